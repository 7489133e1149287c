"""The way into the mediarithmics sandbox: who may ask, which call is meant, faults, and the controls for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from audsync_web.sandbox.framework import Context, DropConnection, Request, Response, VendorSandbox

from .commands import bare
from .envelope import Refused
from .imports import ImportCalls
from .segments import SegmentCalls
from .store import Grant, Segment
from .world import World

Handler = Callable[..., Response]

REFUSALS = (401, 403, 409, 413, 429, 500, 503)


class MediarithmicsSandbox(VendorSandbox):
    """The vendor below `/mediarithmics/v1`."""

    name = "mediarithmics"
    base_path = "/v1"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.world = World(context, self.lock)
        self._table = _table(ImportCalls(self.world), SegmentCalls(self.world))

    def handle(self, request: Request) -> Response:
        """Authenticate, apply faults, route; every refusal in the vendor's error envelope."""
        try:
            call, handler, values = self._route(request)
            self._fault_before(call)
            grant = self._grant(request)
            # A file is read without the lock: a slow upload must not hold up everybody else's calls.
            with nullcontext() if call == "m4" else self.lock:
                self.world.advance()
                response = handler(request, grant, **values)
            answer = self._fault_after(call, response)
            if call == "m4" and (answer.drop or answer is not response):
                self.world.datamarts[values["dm"]].imports[values["imp"]].answer_lost = True
            return answer
        except Refused as refusal:
            return refusal.response(self._retry_after(refusal.status))

    def _route(self, request: Request) -> tuple[str, Handler, dict[str, str]]:
        pieces = request.segments()
        if "user_segments" in pieces:
            request.shown_path = "/v1/datamarts/{dm}/user_segments/{identifier}"
        for call, method, template, handler in self._table:
            values = _match(template, pieces)
            if values is not None and request.method == method:
                return call, handler, values
        request.violate("no such path or method")
        raise Refused(404, "Resource Not Found")

    def _grant(self, request: Request) -> Grant:
        """Emulator rule 2: the bare token in its header, and nowhere else."""
        given = request.header("authorization")
        if any(value in self.world.tokens for values in request.query.values() for value in values):
            request.violate("token in the query string")
            raise Refused(401, "Unauthorized")
        if given.startswith("Bearer ") and not self.world.on("accept_bearer"):
            request.violate("scheme word before the token")
        elif given.startswith("Bearer "):
            given = given.removeprefix("Bearer ")
        if given not in self.world.tokens or self.fault("expired_token"):
            raise Refused(401, "Unauthorized", "TOKEN_REJECTED")
        return self.world.tokens[given]

    # -- faults (emulator rule 27)

    def _has(self, call: str, fault: str) -> bool:
        return self.fault(f"{call}.{fault}") or self.fault(fault)

    def _retry_after(self, status: int) -> str:
        wish = self.world.text("retry_after") or "2"
        return wish if status in (429, 503) and wish != "none" else ""

    def _fault_before(self, call: str) -> None:
        if self._has(call, "drop_before"):
            raise DropConnection
        for status in REFUSALS:
            if self._has(call, str(status)):
                raise Refused(status, f"Chosen fault {status}")
        if self._has(call, "html"):
            raise Refused(502, "")

    def _fault_after(self, call: str, response: Response) -> Response:
        slow = self.faults.number(f"{self.name}.{call}.slow", 0.0)
        if slow:
            time.sleep(slow)
        if self._has(call, "answer_500"):
            return Refused(500, "Failed after the work was done").response()
        if self._has(call, "ok_error"):
            return Response.of({"status": "error", "error": "Chosen fault", "error_id": "chosen-reference"})
        if self._has(call, "no_data"):
            return Response.of({"status": "ok"})
        response.drop = self._has(call, "drop_after")
        return response

    # -- test controls

    def state(self) -> dict[str, Any]:
        """Segments with at most 1000 members each, imports, and executions in the order of their creation."""
        with self.lock:
            datamarts = self.world.datamarts.values()
            self.world.advance()
            return {
                "segments": [self._segment_state(s) for d in datamarts for s in d.segments.values()],
                "imports": [i.shown() for d in datamarts for i in d.imports.values()],
                "executions": [{**e.shown(), "lines": e.lines} for d in datamarts for e in d.executions()],
            }

    def _segment_state(self, segment: Segment) -> dict[str, Any]:
        segment.expire(self.clock.now().timestamp())
        some = [bare(key) for key, _ in zip(segment.members, range(1000), strict=False)]
        return {**segment.shown(), "count": len(segment.members), "members": some}

    def control(self, action: str, arguments: dict[str, Any]) -> Any:
        """`members` {segment}: all of them, the segment by id or technical name; `ends` {segment}: when each leaves."""
        if action not in {"members", "ends"}:
            raise KeyError(action)
        with self.lock:
            self.world.advance()
            segment = self._named(str(arguments["segment"]))
            segment.expire(self.clock.now().timestamp())
            if action == "ends":
                return {bare(key): end for key, end in segment.members.items()}
            return [bare(key) for key in segment.members]

    def _named(self, name: str) -> Segment:
        for datamart in self.world.datamarts.values():
            for segment in datamart.segments.values():
                if name in (segment.id, segment.values.get("technical_name")):
                    return segment
        raise KeyError(name)


def _table(imports: ImportCalls, segments: SegmentCalls) -> list[tuple[str, str, str, Handler]]:
    """The calls by their numbers in the spec; templates are matched piece by piece."""
    root = "v1/datamarts/{dm}/document_imports"
    users = "v1/datamarts/{dm}/user_segments"
    return [
        ("m1", "POST", root, imports.create_import),
        ("m2", "GET", root, imports.list_imports),
        ("m3", "GET", root + "/{imp}", imports.get_import),
        ("m3", "PUT", root + "/{imp}", imports.change_import),
        ("m3", "DELETE", root + "/{imp}", imports.delete_import),
        ("m4", "POST", root + "/{imp}/executions", imports.create_execution),
        ("m5", "GET", root + "/{imp}/executions", imports.list_executions),
        ("m5", "GET", root + "/{imp}/executions/{ex}", imports.get_execution),
        ("m6", "POST", root + "/{imp}/executions/{ex}/action", imports.act),
        ("m7", "GET", "v1/data_file/data", imports.download),
        ("m8", "GET", "v1/audience_segments", segments.list_segments),
        ("m9", "POST", "v1/audience_segments", segments.create_segment),
        ("m10", "GET", "v1/audience_segments/{seg}", segments.get_segment),
        ("m10", "PUT", "v1/audience_segments/{seg}", segments.change_segment),
        ("m10", "DELETE", "v1/audience_segments/{seg}", segments.delete_segment),
        ("m11", "GET", "v1/datamarts/{dm}/compartments", segments.list_compartments),
        ("m12", "GET", users + "/{first}", segments.segments_of_user),
        ("m12", "GET", users + "/{first}/{second}", segments.segments_of_user),
    ]


def _match(template: str, pieces: list[str]) -> dict[str, str] | None:
    """The values of a path that fits the template, None for one that does not."""
    wanted = template.split("/")
    if len(wanted) != len(pieces):
        return None
    values: dict[str, str] = {}
    for want, piece in zip(wanted, pieces, strict=True):
        if want.startswith("{"):
            values[want[1:-1]] = piece
        elif want != piece:
            return None
    return values
