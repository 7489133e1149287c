"""Segmentations, materialisations, exports, batch events and analytics lists (spec sections 4.5, 4.6 and 4.8)."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from audsync_web.sandbox.framework import Response

from .frame import Call, Operation, analytics_refused, refused
from .profiles import CLIENT_BYTES
from .world import Segmentation, Snapshot

MOST_EVENTS = 1000
MOST_EXPORT_ROWS = 10_000
CLIENT_PAGE = 100
ANALYTICS = "/analytics-backend/analytics/definitions-manager"
RECOGNIZED = ("NONE", "RECOGNIZED", "true", "ANONYMOUS", "false")
AGREEMENTS = ("NONE", "RECOGNIZED", "ANONYMOUS")
SORTS = tuple(
    f"{name},{way}"
    for name in ("name", "isPredefinedAnalytic", "isDynamicAnalytic", "created", "title")
    for way in ("asc", "desc")
)
_ACTION = re.compile(r"^[a-zA-Z0-9.\-_]{1,32}$")


def operations() -> list[Operation]:
    """The rows of the table that this module serves."""
    read, make = "CRM_LIST_FROM_MATERIALIZATION_CLIENT_READ", "CRM_LIST_FROM_MATERIALIZATION_CLIENT_CREATE"
    export, task = "CLIENT_EXPORTER_REPORT_CREATE", "/client-exporter/v2/export/clients/task"
    members = "/crm/v1/segmentations/{uuid}/clients"
    return [
        Operation("GET", members, segmentation_clients, "CRM_LIST_FROM_SEGMENTATION_CLIENT_READ"),
        Operation("POST", "/crm/v1/clients/list", materialise, make, "materialise", body=True, unconfirmed=True),
        Operation("GET", "/crm/v1/clients/list/{id:int}", read_materialisation, read),
        Operation("POST", task, start_export, export, "export", body=True, unconfirmed=True),
        Operation("GET", f"{task}/{{id:int}}", read_export, export),
        Operation("POST", "/v4/events/batch", events, "API_BATCH_EVENTS_CREATE", "events", "required", body=True),
        *(
            Operation("GET", f"{ANALYTICS}/{kind}{rest}", handle, f"ANALYTICS_BACKEND_LIST_{kind[:-1].upper()}_READ")
            for kind in ("expressions", "aggregates")
            for rest, handle in (("", analytics_list), ("/projections", lambda _call: Response.of([])))
        ),
    ]


# --- segmentations


def segmentation_clients(call: Call) -> Response:
    """A page of the profiles that are in a segmentation now."""
    segmentation = _segmentation(call, call.values["uuid"])
    limit, offset = _page(call)
    wanted = call.choice("recognized", "NONE", RECOGNIZED)
    ids: Sequence[int] = call.workspace.listing(segmentation)
    if wanted in {"ANONYMOUS", "false"}:
        ids = [number for number in ids if not call.workspace.profiles[number].named]
    search = call.request.one("search")
    if search:
        ids = [number for number in ids if _matches(call.workspace.profiles[number].as_crm(), search)]
    rows = [call.workspace.profiles[number].as_crm() for number in ids[offset : offset + limit]]
    total = {"all": len(call.workspace.profiles), "matching": len(ids)}
    return Response.of({"customers": rows, "limit": limit, "offset": offset, **total})


def _matches(row: dict[str, Any], search: str) -> bool:
    name, colon, text = search.partition(":")
    values = [row.get(name)] if colon else row.values()
    return any(isinstance(value, str) and (text or name) in value for value in values)


def _segmentation(call: Call, text: str) -> Segmentation:
    try:
        key = str(uuids.UUID(text))
    except ValueError:
        raise refused(400, "Not a UUID") from None
    found = call.workspace.segmentations.get(key)
    if found is None:
        raise refused(404, "Segmentation does not exist")
    return found


def _page(call: Call) -> tuple[int, int]:
    limit, offset = call.whole("limit", 25), call.whole("offset", 0)
    if limit > CLIENT_PAGE:
        call.request.violate(f"limit {limit} on a CRM list, whose maximum is not known")
    return min(limit, int(call.number("list_cap", limit))), offset


# --- snapshots


def materialise(call: Call) -> Response:
    """Freeze a segmentation."""
    given = call.body if isinstance(call.body, dict) else {}
    segmentation = _segmentation(call, str(given.get("segment", "")))
    life = timedelta(seconds=call.number("materialisation_seconds", 86_400))
    snapshot = call.workspace.freeze(call.workspace.listing(segmentation), life, call.now)
    call.workspace.materialisations[snapshot.id] = snapshot
    answer = {"materializationId": snapshot.id, "expiration": snapshot.expires.isoformat()}
    return Response.of({**answer, "count": len(snapshot.rows)})


def read_materialisation(call: Call) -> Response:
    """A page of a frozen segmentation."""
    snapshot = _snapshot(call, call.workspace.materialisations)
    limit, offset = _page(call)
    rows = _slice(call, snapshot, limit, offset)
    return Response.of({"materializationId": snapshot.id, "customers": rows, "offset": offset, "limit": limit})


def start_export(call: Call) -> Response:
    """Freeze chosen fields of a segmentation."""
    given = call.body if isinstance(call.body, dict) else {}
    fields = given.get("fields")
    if not isinstance(given.get("name"), str) or not isinstance(fields, list) or not fields:
        raise refused(400, "name and fields are needed")
    if given.get("excludedIds") != []:
        call.request.violate("excludedIds is not an empty array")
        raise refused(400, "excludedIds must be an empty array")
    if given.get("agreementFilter") not in AGREEMENTS:
        raise refused(400, "agreementFilter is not in the list")
    segmentation = _segmentation(call, str(given.get("segmentationHash", "")))
    life = timedelta(seconds=call.number("export_seconds", 7200))
    frozen = call.workspace.freeze(call.workspace.listing(segmentation), life, call.now)
    columns = ["id", *[str(name) for name in fields if name != "id"]]
    frozen.rows = [{name: row.get(name) for name in columns} for row in frozen.rows]
    call.workspace.exports[frozen.id] = frozen
    count = max(0, len(frozen.rows) + int(call.number("estimate_off_by", 0)))
    return Response.of({"taskId": frozen.id, "columnOrder": columns, "estimatedCount": count, "ttl": "2h"})


def read_export(call: Call) -> Response:
    """Rows of an export."""
    snapshot = _snapshot(call, call.workspace.exports)
    limit = call.whole("limit", MOST_EXPORT_ROWS, most=MOST_EXPORT_ROWS)
    return Response.of(_slice(call, snapshot, limit, call.whole("offset", 0)))


def _snapshot(call: Call, held: dict[int, Snapshot]) -> Snapshot:
    snapshot = held.get(int(call.values["id"]))
    if snapshot is None or snapshot.expires <= call.now:
        raise refused(404, "Does not exist")
    return snapshot


def _slice(call: Call, snapshot: Snapshot, limit: int, offset: int) -> list[dict[str, Any]]:
    if snapshot.short_page is not None and offset > snapshot.short_page:
        call.request.violate("read on after a short page")
    rows = snapshot.rows[offset : offset + limit]
    if len(rows) < limit:
        snapshot.short_page = offset
    return rows


# --- events


def events(call: Call) -> Response:
    """Store a batch of events of one identifier type."""
    items = call.body
    if not isinstance(items, list) or not items or len(items) > MOST_EVENTS:
        raise refused(400, f"1 to {MOST_EVENTS} events are needed")
    if call.size > CLIENT_BYTES:
        call.request.violate(f"{call.size} bytes in one event batch, over the client's own bound")
    checked = [_checked_event(call, item) for item in items]
    if len({next(iter(item["client"])) for item in checked}) > 1:
        call.request.violate("mixed identifier types in an event batch")
        raise refused(400, "All events must use the same identifier type")
    for item in checked:
        _store_event(call, item)
    return Response(202)


def _checked_event(call: Call, item: Any) -> dict[str, Any]:
    fault = _event_fault(item)
    if fault:
        entry = {"path": "", "message": fault, "rejectedValue": ""}
        raise refused(400, fault, errors=[entry])
    time = item.get("time")
    if time and datetime.fromisoformat(str(time).replace("Z", "+00:00")) > call.now:
        call.request.violate("an event of a future time")
        item = {**item, "time": call.now.isoformat()}
    return dict(item)


def _event_fault(item: Any) -> str:
    if not isinstance(item, dict) or None in item.values() or None in (item.get("params") or {}).values():
        return "null is not allowed"
    label, client = item.get("label"), item.get("client")
    if not isinstance(label, str) or not 1 <= len(label) <= 64:
        return "label must have 1 to 64 characters"
    if not isinstance(client, dict) or not client or set(client) - {"id", "uuid", "email", "customId"}:
        return "client must hold an identifier"
    if not item.get("type"):
        return "type is needed"
    if item["type"] == "custom" and not _ACTION.match(str(item.get("action", ""))):
        return "action must match the pattern"
    return ""


def _store_event(call: Call, item: dict[str, Any]) -> None:
    salt = item.get("eventSalt")
    held = call.workspace.salted.get(salt) if salt else None
    if held is not None and all(held.get(key) == item.get(key) for key in ("time", "client", "action")):
        held.update(item)
        return
    if held is not None:
        call.request.violate("an event's salt is used for another event")
    if salt:
        call.workspace.salted[salt] = item
    call.workspace.events.append(item)


# --- analytics


def analytics_list(call: Call) -> Response:
    """An empty page of definitions; the enumerations are checked all the same."""
    if call.request.one("filter") not in {"", "NONE", "CLIENT", "EVENT"}:
        raise analytics_refused(400, "filter is not in the list")
    if call.request.one("sort") and call.request.one("sort") not in SORTS:
        raise analytics_refused(400, "sort is not in the list")
    page = {"currentPageNumber": 0, "pageSize": 20, "sorted": False, "totalElements": 0, "totalPages": 0}
    return Response.of({"content": [], "pagination": page})
