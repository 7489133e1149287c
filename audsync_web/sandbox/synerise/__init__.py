"""Synerise as a strict emulator: workspace login, profile tags, profile batches, segmentations, exports, events.

Faults, each `synerise.<name>`:

- `delay`: seconds before every answer
- `throttle`: 429; `retry_after` gives its Retry-After in seconds (default 2, `none` for no header)
- `server_error`: 500 on any call, nothing done · `unavailable`: 503 likewise
- `drop_before` / `drop_after`: any call but a login; the connection breaks before or after the work was done
- `drop_before_<effect>` / `drop_after_<effect>` / `error_before_<effect>` / `error_after_<effect>` (500) /
  `throttle_<effect>` (429), where the effect is login, create (a tag), delete_tag, batch, assign, unassign, erase,
  materialise, export or events
- `expire_token`: every token ends now, and the call is answered 401 · `token_seconds`: their life (default 3600)
- `opaque_tokens`: tokens without a readable `exp` · `address_refused`: login answers 403
- `missing_permissions`: names by comma; their operations answer 403 · `no_permission_check`: that call answers 404
- `tags_mode`: `replace` (default) or `append`, what `tags` in a batch does
- `apply_seconds`: delay until a batch shows (default 0.25) · `ignore_batches`: taken and never applied
- `refuse_rows`: indexes by comma that each batch refuses · `array_status`: status of that answer (default 207)
- `batch_too_large`: 413 · `batch_refused`: 400 (or `refusal_status`) without row detail
- `non_unique_email`: e-mail is no identifier · `tag_cache_seconds`: a deleted tag lives on so long (default 2)
- `materialisation_seconds` (default 86400) · `export_seconds` (default 7200): life of snapshots
- `list_cap`: no page of a list is longer, and its `limit` says so
- `estimate_off_by`: added to an export's estimated count · `unconfirmed_absent`: paths marked unconfirmed are 404
- `extra_fields`: every JSON answer holds fields that nobody knows

Controls (`POST /_control/synerise/<action>`): `workspace` {id, name, key}; `profiles` {count, prefix, tags} or
{profiles: […]}; `segmentation` {uuid, name, tags}; `members` {segment: tag name or segmentation UUID, field} gives all
as a list of the identifier; `user` {name, password, mfa}; `profileKey` {key}; `events` gives those stored; `taken`
gives how many items of batches were taken, in all workspaces.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

from audsync_web.sandbox.framework import Context, DropConnection, Request, Response, VendorSandbox

from . import crm, profiles
from .auth import Auth, User, need_permission
from .frame import Call, Operation, Refused, malformed, refused
from .profiles import MOST_BYTES
from .world import DEMO_KEY, DEMO_PROFILE_KEY, DEMO_SEGMENTATION, DEMO_TAG, Segmentation, Workspace, demo_workspace

DEMO_CREDENTIALS = {"apiKey": DEMO_KEY}
DEMO_SETTINGS: dict[str, Any] = {
    "identifier": "custom_id",
    "requestsPerSecond": 50,
    "pollFirstSeconds": 1,
    "pollMaxSeconds": 5,
    "unconfirmedEndpoints": True,
}

MOST_CALLS = 2

__all__ = [
    "DEMO_CREDENTIALS",
    "DEMO_PROFILE_KEY",
    "DEMO_SEGMENTATION",
    "DEMO_SETTINGS",
    "DEMO_TAG",
    "SyneriseSandbox",
]


class SyneriseSandbox(VendorSandbox):
    """Workspaces in memory behind one table of operations."""

    name: ClassVar[str] = "synerise"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        demo = demo_workspace()
        self._workspaces: dict[str, Workspace] = {demo.guid: demo}
        self._auth = Auth(self._workspaces)
        self._auth.profile_keys.add(DEMO_PROFILE_KEY)
        self._table = [*self._auth.operations(), *profiles.operations(), *crm.operations()]
        self._quiet_until: datetime | None = None
        self._counter = threading.Lock()
        self._batches_running = 0
        self._running = 0

    # --- what tests look at

    def state(self) -> dict[str, Any]:
        """Tags with their sizes and first members, batches and logins, by workspace."""
        with self.lock:
            shown: dict[str, Any] = {"logins": self._auth.logins, "segments": [], "memberships": {}, "batches": []}
            for workspace in self._workspaces.values():
                self._settle(workspace)
                for tag in workspace.tags.values():
                    shown["segments"].append({**tag.as_json(), "members": len(tag.members)})
                    shown["memberships"][tag.name] = self._first(workspace, tag.members)
                shown["batches"] += [_batch(batch) for batch in workspace.batches[-1000:]]
                shown["profiles"] = shown.get("profiles", 0) + len(workspace.profiles)
                shown["queued"] = shown.get("queued", 0) + len(workspace.queue)
            return shown

    def _first(self, workspace: Workspace, members: set[int]) -> dict[str, Any]:
        first = sorted(members)[:1000] if len(members) <= 1000 else list(members)[:1000]
        return {"count": len(members), "ids": [_named(workspace, number, "") for number in first]}

    def control(self, action: str, arguments: dict[str, Any]) -> Any:
        """The test controls of the module docstring."""
        with self.lock:
            if action == "taken":
                batches = (batch for workspace in self._workspaces.values() for batch in workspace.batches)
                return sum(batch.count - batch.refused for batch in batches)
            workspace = self._chosen(arguments)
            self._settle(workspace)
            if action == "workspace":
                made = Workspace(int(arguments["id"]), arguments["name"], arguments["key"])
                self._workspaces[made.guid] = made
                return {"guid": made.guid}
            if action == "profiles":
                return self._add_profiles(workspace, arguments)
            if action == "segmentation":
                key = arguments["uuid"]
                tags = frozenset(arguments["tags"])
                workspace.segmentations[key] = Segmentation(key, arguments.get("name", ""), tags)
                return {}
            if action == "members":
                return self._members(workspace, arguments)
            if action == "user":
                self._auth.users[arguments["name"]] = User(arguments["password"], bool(arguments.get("mfa")))
                return {}
            if action == "profileKey":
                self._auth.profile_keys.add(arguments["key"])
                return {}
            if action == "events":
                return list(workspace.events)
        raise KeyError(action)

    def _chosen(self, arguments: dict[str, Any]) -> Workspace:
        guid = arguments.get("workspace")
        return self._workspaces[guid] if guid else next(iter(self._workspaces.values()))

    def _add_profiles(self, workspace: Workspace, arguments: dict[str, Any]) -> dict[str, int]:
        items = arguments.get("profiles") or [
            {"customId": f"{arguments.get('prefix', 'c-')}{number}", "tags": arguments.get("tags", [])}
            for number in range(int(arguments["count"]))
        ]
        for item in items:
            workspace.upsert(item, append_tags=True, unique_email=True)
        return {"profiles": len(workspace.profiles)}

    def _members(self, workspace: Workspace, arguments: dict[str, Any]) -> list[str]:
        key = arguments["segment"]
        if key in workspace.segmentations:
            ids = workspace.listing(workspace.segmentations[key])
        else:
            ids = sorted(workspace.tags[key].members) if key in workspace.tags else []
        return [_named(workspace, number, arguments.get("field", "")) for number in ids]

    # --- one request

    def handle(self, request: Request) -> Response:
        """Find the operation, pass its gates, answer."""
        pieces = request.segments()
        operation, values = self._operation(request.method, pieces)
        request.shown_path = operation.path if operation else "/" + "/".join(pieces[:2])
        try:
            if operation is None:
                raise refused(404, "No such resource")
            with self._counting(operation, request):
                return self._extra(self._answer(operation, values, request))
        except Refused as error:
            return self._refusal(error)

    def _operation(self, method: str, pieces: list[str]) -> tuple[Operation | None, dict[str, str]]:
        for operation in self._table:
            values = operation.match(method, pieces)
            if values is not None:
                hidden = operation.unconfirmed and self.faults.on("synerise.unconfirmed_absent")
                return (None, {}) if hidden else (operation, values)
        return None, {}

    @contextmanager
    def _counting(self, operation: Operation, request: Request) -> Iterator[None]:
        """Note what runs at the same time: a client keeps one batch, and two calls in all, in flight."""
        counted = operation.effect == "batch"
        with self._counter:
            self._running += 1
            self._batches_running += counted
            if counted and self._batches_running > 1:
                request.violate("two batches in flight")
            if self._running > MOST_CALLS:
                request.violate(f"{self._running} calls in flight")
        try:
            yield
        finally:
            with self._counter:
                self._running -= 1
                self._batches_running -= counted

    def _answer(self, operation: Operation, values: dict[str, str], request: Request) -> Response:
        call = Call(request, self.faults, self.clock.now(), values)
        self._early_faults(operation, call)
        _check_version(operation, call)
        if operation.body:
            _read_body(call)
        with self.lock:
            if not operation.anyone:
                self._authorise(operation, call)
            effect = operation.effect
            if effect and self.fault(f"drop_before_{effect}"):
                raise DropConnection
            response = operation.handle(call)
            if (effect and self.fault(f"drop_after_{effect}")) or (not operation.anyone and self.fault("drop_after")):
                raise DropConnection
            if effect and self.fault(f"error_after_{effect}"):
                raise refused(500, "Something went wrong after the work was done")
            return response

    def _early_faults(self, operation: Operation, call: Call) -> None:
        if self._quiet_until is not None and call.now < self._quiet_until:
            call.request.violate("asked again before Retry-After had passed")
        if not operation.anyone and self.fault("drop_before"):
            raise DropConnection
        effect = operation.effect
        if self.fault("throttle") or (effect and self.fault(f"throttle_{effect}")):
            raise refused(429, "Too many requests")
        if self.fault("unavailable"):
            raise refused(503, "Unavailable")
        if self.fault("server_error") or (effect and self.fault(f"error_before_{effect}")):
            raise refused(500, "Something went wrong")
        if effect == "batch" and self.fault("batch_too_large"):
            raise refused(413, "Request entity too large")

    def _authorise(self, operation: Operation, call: Call) -> None:
        if self.fault("expire_token"):
            self._auth.expire_all(call.now)
        call.workspace = self._auth.workspace(call)
        self._settle(call.workspace)
        need_permission(call, operation.permission)

    def _settle(self, workspace: Workspace) -> None:
        workspace.settle(
            self.clock.now(),
            append_tags=self.faults.get("synerise.tags_mode") == "append",
            unique_email=not self.faults.on("synerise.non_unique_email"),
        )

    def _refusal(self, error: Refused) -> Response:
        answer = Response.of(error.body, error.status)
        wait = self.faults.get("synerise.retry_after", "2")
        if error.status == 429 and wait != "none":
            answer.headers["Retry-After"] = wait
            self._quiet_until = self.clock.now() + timedelta(seconds=float(wait))
        return answer

    def _extra(self, response: Response) -> Response:
        if not response.body or not self.faults.on("synerise.extra_fields"):
            return response
        value = json.loads(response.body)
        for row in value if isinstance(value, list) else [value]:
            if isinstance(row, dict):
                row["revision"] = {"number": 7, "links": []}
        response.body = json.dumps(value).encode()
        return response


def _check_version(operation: Operation, call: Call) -> None:
    given = call.request.header("api-version")
    if operation.version == "none" or (operation.version == "checked" and not given):
        return
    if given != "4.4":
        call.request.violate("Api-Version is missing or wrong")
        raise malformed("Version header content is invalid")


def _read_body(call: Call) -> None:
    if call.request.media_type != "application/json":
        call.request.violate("Content-Type is not application/json")
        raise refused(415, "Content type is not supported")
    digest, blocks = hashlib.sha256(), []
    for block in call.request.blocks():
        digest.update(block)
        blocks.append(block)
        if call.request.received > MOST_BYTES:
            call.request.violate(f"more than {MOST_BYTES} bytes in one request")
            raise refused(413, "Request entity too large")
    try:
        call.body = json.loads(b"".join(blocks))
    except ValueError:
        raise malformed("JSON parse error") from None
    call.size, call.digest = call.request.received, digest.hexdigest()


def _named(workspace: Workspace, number: int, field: str) -> str:
    named = workspace.profiles[number].named
    return named.get(field, "") if field else next(iter(named.values()), str(number))


def _batch(batch: Any) -> dict[str, Any]:
    keys = ("number", "count", "bytes", "digest", "refused")
    return {**{key: getattr(batch, key) for key in keys}, "applied": not batch.items}
