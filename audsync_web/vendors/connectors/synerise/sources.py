"""Synerise as a source: segmentations page by page, materialised, exported (spec section 4.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from audsync_web.vendors.connectors.base import Clock
from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.errors import NotSupported, Permanent, unreadable
from audsync_web.vendors.connectors.identifiers import UUID
from audsync_web.vendors.connectors.reading import utc_moment, whole
from audsync_web.vendors.connectors.source import (
    ExportTask,
    Materialisation,
    SnapshotExpired,
    SourcePage,
)

from .session import Session
from .wire import CRM_FIELDS, read_customer

CLIENTS = "/crm/v1/segmentations/{uuid}/clients"
MATERIALISE = "/crm/v1/clients/list"
MATERIALISATION = "/crm/v1/clients/list/{id}"
EXPORT = "/client-exporter/v2/export/clients/task"
EXPORT_TASK = "/client-exporter/v2/export/clients/task/{id}"

MOST_IN_A_PAGE = 100
MOST_EXPORT_ROWS = 10_000
ASSUMED_LIFE = timedelta(hours=2)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
UNCONFIRMED_OFF = "needs “Use unconfirmed calls” to be switched on for this vendor account"


class Sources:
    """The calls that read segmentations."""

    def __init__(self, session: Session, settings: Mapping[str, Any], clock: Clock) -> None:
        self._session = session
        self._settings = settings
        self._clock = clock

    def page(self, uuid: str, limit: int, offset: int, recognised: bool | None, search: str) -> SourcePage:
        """`GET /crm/v1/segmentations/{UUID}/clients`."""
        size = min(limit, int(self._settings["listPageSize"]), MOST_IN_A_PAGE)
        params: dict[str, Any] = {"limit": size, "offset": offset}
        if recognised is not None:
            params["recognized"] = "RECOGNIZED" if recognised else "ANONYMOUS"
        if search:
            params["search"] = search
        reply = self._session.read(CLIENTS, values={"uuid": checked_uuid(uuid)}, params=params)
        return _customers(reply, offset, size)

    def matching(self, uuid: str) -> int | None:
        """How many profiles a segmentation has now; `matching`, not `all` (section 9)."""
        params = {"limit": 1, "offset": 0}
        reply = self._session.read(CLIENTS, values={"uuid": checked_uuid(uuid)}, params=params)
        return whole(reply.object().get("matching"))

    # --- materialisation

    def materialise(self, uuid: str) -> Materialisation:
        """`POST /crm/v1/clients/list`, whose path is not published."""
        row = self._start(MATERIALISE, {"segment": checked_uuid(uuid)})
        number = whole(row.get("materializationId"))
        if number is None:
            raise unreadable("Synerise")
        ends_at = utc_moment(row.get("expiration")) or self._clock.now() + ASSUMED_LIFE
        return Materialisation(str(number), whole(row.get("count")), ends_at)

    def read_materialisation(self, materialisation: Materialisation, offset: int) -> SourcePage:
        """`GET /crm/v1/clients/list/{id}`; no total: a page shorter than asked is the last."""
        size = min(int(self._settings["listPageSize"]), MOST_IN_A_PAGE)
        reply = self._session.read(
            MATERIALISATION,
            values={"id": materialisation.materialisation_id},
            params={"limit": size, "offset": offset},
            accept=(400, 404, 410),
        )
        return _customers(_still_there(reply), offset, size)

    # --- export

    def export(self, uuid: str, kinds: Sequence[str], name: str) -> ExportTask:
        """`POST …/export/clients/task`, whose path is not published."""
        body = {
            "name": name,
            "fields": [CRM_FIELDS[kind] for kind in kinds],
            "agreementFilter": "NONE",
            "segmentationHash": checked_uuid(uuid),
            "excludedIds": [],
        }
        row = self._start(EXPORT, body)
        number = whole(row.get("taskId"))
        if number is None:
            raise unreadable("Synerise")
        listed = row.get("columnOrder")
        columns = [str(column) for column in listed] if isinstance(listed, list) else []
        life = min(duration(row.get("ttl")), timedelta(minutes=float(self._settings["exportBudgetMinutes"])))
        return ExportTask(str(number), columns, whole(row.get("estimatedCount")), self._clock.now() + life)

    def read_export(self, task: ExportTask, limit: int, offset: int) -> SourcePage:
        """`GET …/task/{id}`; the estimated count is never relied on, a short page ends it (section 7.16)."""
        if self._clock.now() >= task.ends_at:
            raise _expired(None)
        size = min(limit, int(self._settings["exportPageRows"]), MOST_EXPORT_ROWS)
        reply = self._session.read(
            EXPORT_TASK,
            values={"id": task.task_id},
            params={"limit": size, "offset": offset},
            accept=(400, 404, 410),
            timeout=120.0,
        )
        rows = _still_there(reply).json()
        if not isinstance(rows, list):
            raise unreadable("Synerise")
        profiles = [read_customer(row) for row in rows if isinstance(row, dict)]
        return SourcePage(profiles, offset, None, len(rows) < size)

    # --- unconfirmed calls

    def _start(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call whose path is unconfirmed: only behind its switch, and 404 or 405 says so (section 7.20)."""
        if not self._settings["unconfirmedEndpoints"]:
            raise NotSupported(
                "Materialising and exporting use calls whose paths Synerise does not publish.",
                code="endpoint_unconfirmed",
                next_step="Switch on “Use unconfirmed calls” for this account, or browse the segmentation.",
            )
        reply = self._session.effect("POST", path, json_body=body, accept=(404, 405))
        if reply.ok:
            return reply.object()
        raise Permanent(
            "Synerise does not know this unconfirmed call, or the segmentation.",
            code="endpoint_unconfirmed",
            next_step="Check the segmentation's UUID; if it is right, switch off “Use unconfirmed calls”.",
            vendor_text=self._session.client.said(reply),
            status=reply.status,
        )


def checked_uuid(uuid: str) -> str:
    """A segmentation's UUID, refused here when it is none."""
    if not UUID.accepts(uuid.strip()):
        raise Permanent(
            "That is not a segmentation's UUID.",
            code="bad_uuid",
            next_step="Copy the UUID from the segmentation's address in Synerise.",
        )
    return uuid.strip().lower()


def duration(value: Any) -> timedelta:
    """A life like `2h`; two hours where it cannot be read."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if text[:-1].isdigit() and text[-1:] in UNITS:
        return timedelta(**{UNITS[text[-1]]: int(text[:-1])})
    return ASSUMED_LIFE


def _customers(reply: Reply, offset: int, size: int) -> SourcePage:
    body = reply.object()
    listed = body.get("customers")
    if not isinstance(listed, list):
        raise unreadable("Synerise")
    profiles = [read_customer(row) for row in listed if isinstance(row, dict)]
    # A vendor that gives smaller pages than it was asked for says so.
    page = min(size, whole(body.get("limit")) or size)
    return SourcePage(profiles, offset, whole(body.get("matching")), len(listed) < page)


def _still_there(reply: Reply) -> Reply:
    """Any 4xx on a snapshot means that its life is over (section 9)."""
    if not reply.ok:
        raise _expired(reply.status)
    return reply


def _expired(status: int | None) -> SnapshotExpired:
    return SnapshotExpired(
        "The snapshot at Synerise is no longer there.", next_step="It is made anew once.", status=status
    )
