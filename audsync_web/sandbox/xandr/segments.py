"""The Segment Service on both hosts (spec sections 2.4, 3.2 and 13, points 5 and 7 to 9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from audsync_web.sandbox.framework import Request, Response

from .model import LONGEST_MINUTES, PAGE, TIMESTAMP, Refused, Segment, World, shown_time

SHARED_SEGMENT = 1
CODE = re.compile(r"[A-Za-z0-9_-]{1,50}")
MAIN_FIELDS = ("member_id", "code", "short_name", "state", "expire_minutes")
STORED = ("code", "short_name", "description", "state", "expire_minutes")


def page_of(request: Request) -> tuple[int, int]:
    """`start_element` from 0 and `num_elements`, capped at 100 without a word."""
    start, size = int(request.one("start_element", "0")), int(request.one("num_elements", str(PAGE)))
    if size > PAGE:
        request.violate(f"num_elements over {PAGE}")
    return max(0, start), max(0, min(size, PAGE))


def sorted_by(rows: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    """Rows in the order of `sort=<field>.asc|desc,…`; the last criterion first, because sorting is stable."""
    for criterion in reversed([part for part in sort.split(",") if part]):
        name, _, direction = criterion.partition(".")
        if rows and name not in rows[0]:
            raise Refused("SYNTAX", f"cannot sort by {name}")
        rows = sorted(rows, key=lambda row: (row[name] is not None, row[name]), reverse=direction == "desc")
    return rows


class SegmentService:
    """Segments of a member: create, read, change, delete."""

    def __init__(self, world: World) -> None:
        self.world = world

    def handle(self, request: Request, member_id: int, segment_id: int | None) -> Response:
        """One call; the member and, on changes, the segment were read from path or query."""
        if request.method == "GET":
            return self._read(request, member_id, segment_id)
        if request.method == "POST":
            return self._create(request, member_id)
        segment = self._own(member_id, segment_id)
        if request.method == "PUT":
            return self._change(request, segment)
        if request.method == "DELETE":
            self.world.segments.pop(segment.id)
            self.world.deleted.add(segment.id)
            return self._answer(count=1, id=str(segment.id))
        raise Refused("SYNTAX", "method not allowed", status=405)

    def _own(self, member_id: int, segment_id: int | None) -> Segment:
        if segment_id is None:
            raise Refused("SYNTAX", "id is required in the query string")
        segment = self.world.segments.get(segment_id)
        if segment is None or (segment.member_id != member_id and segment_id != SHARED_SEGMENT):
            raise Refused("SYNTAX", "segment not found", status=404)
        if segment_id == SHARED_SEGMENT:
            raise Refused("UNAUTH", "segment is owned by another member", status=403)
        return segment

    # --- create and change

    def _create(self, request: Request, member_id: int) -> Response:
        given = self._body(request)
        missing = [name for name in MAIN_FIELDS if name not in given]
        if missing:
            request.violate(f"create without {', '.join(missing)}")
        if given.get("member_id", member_id) != member_id:
            raise Refused("UNAUTH", "segment cannot be made in another member", status=403)
        self._require_valid(request, given)
        self._require_free(request, member_id, given.get("code"))
        now = self.world.now()
        state = str(given.get("state", "active"))
        if self.world.on("legacy"):
            state = "active" if given.get("active", True) else "inactive"
        segment = Segment(
            self.world.next_segment,
            member_id,
            given.get("code"),
            str(given.get("short_name") or ""),
            given.get("description"),
            state,
            given.get("expire_minutes"),
            now,
            now,
            others={name: value for name, value in given.items() if name not in {*STORED, "member_id", "id"}},
        )
        self.world.next_segment += 1
        self.world.segments[segment.id] = segment
        return self._answer(id=segment.id, count=1, segment=self.shown(segment))

    def _change(self, request: Request, segment: Segment) -> Response:
        given = self._body(request)
        self._require_valid(request, given)
        code = given.get("code")
        if code and code.lower() != (segment.code or "").lower():
            self._require_free(request, segment.member_id, code)
        if self.world.on("legacy"):
            given.pop("state", None)
            if "active" in given:
                given["state"] = "active" if given.pop("active") else "inactive"
        for name in STORED:
            if name in given:
                setattr(segment, name, given[name])
        segment.last_modified = self.world.now()
        return self._answer(id=str(segment.id), count=1, segment=self.shown(segment))

    def _body(self, request: Request) -> dict[str, Any]:
        if request.media_type != "application/json":
            request.violate("JSON body without Content-Type: application/json")
        try:
            given = request.json()["segment"]
        except (ValueError, KeyError, TypeError):
            raise Refused("SYNTAX", "segment object is required") from None
        if not isinstance(given, dict):
            raise Refused("SYNTAX", "segment must be an object")
        return given

    def _require_valid(self, request: Request, given: dict[str, Any]) -> None:
        faults = [text for text, broken in _faults(given) if broken]
        if given.get("expire_minutes") == 0:
            request.violate("expire_minutes 0 keeps members for one ad call only")
        if faults:
            request.violate(faults[0])
            raise Refused("SYNTAX", faults[0])

    def _require_free(self, request: Request, member_id: int, code: str | None) -> None:
        if code is None:
            return
        taken = any(
            held.member_id == member_id and (held.code or "").lower() == code.lower()
            for held in self.world.segments.values()
        )
        if taken:
            request.violate("create with a code that exists")
            raise Refused("SYNTAX", "code must be unique within the member")

    # --- read

    def _read(self, request: Request, member_id: int, segment_id: int | None) -> Response:
        start, size = page_of(request)
        found = [segment for segment in self.world.segments.values() if self._wanted(segment, request, member_id)]
        if segment_id is not None:
            found = [segment for segment in found if segment.id == segment_id]
        rows = sorted_by([self.shown(segment) for segment in found], request.one("sort"))
        picked = rows[start : start + size]
        if segment_id is not None and not picked and self.world.impbus:
            raise Refused("SYNTAX", "segment not found", status=404)
        if segment_id is not None and (self.world.impbus or self.world.on("singular")):
            return self._answer(count=len(rows), segment=picked[0] if picked else None)
        return self._answer(count=len(rows), segments=picked, start_element=start, num_elements=size)

    def _wanted(self, segment: Segment, request: Request, member_id: int) -> bool:
        shared = segment.id == SHARED_SEGMENT
        if segment.member_id != member_id and not shared:
            return False
        if shared and (request.one("include_shared") == "0" or request.one("code")):
            return False
        return all(test(segment) for test in _filters(request))

    def shown(self, segment: Segment) -> dict[str, Any]:
        """A segment as this host spells it; one field is new to every client."""
        now = self.world.now()
        row: dict[str, Any] = {
            "id": segment.id,
            "member_id": segment.member_id,
            "code": segment.code,
            "short_name": segment.short_name,
            "description": segment.description,
            "expire_minutes": segment.expire_minutes,
            "advertiser_id": None,
            "provider": None,
            "price": 0,
            "field_of_a_later_release": {"seen_at": shown_time(now)},
            **segment.others,
        }
        if self.world.on("legacy"):
            return {**row, "active": segment.state == "active", "last_activity": shown_time(segment.last_modified)}
        return {**row, "state": segment.state, "last_modified": shown_time(segment.last_modified)}

    def _answer(self, **fields: Any) -> Response:
        body = {"status": "OK", "start_element": 0, "num_elements": PAGE, "dbg_info": {"time": 3.1}, **fields}
        return Response.of({"response": body})


def _faults(given: dict[str, Any]) -> list[tuple[str, bool]]:
    code, name, text = given.get("code"), given.get("short_name"), given.get("description")
    minutes = given.get("expire_minutes")
    whole = isinstance(minutes, int) and not isinstance(minutes, bool)
    return [
        ("code is not 1 to 50 letters, digits, _ or -", code is not None and not CODE.fullmatch(str(code))),
        ("short_name is not 1 to 255 characters", "short_name" in given and not 1 <= len(str(name or "")) <= 255),
        ("description is longer than 500 characters", text is not None and len(str(text)) > 500),
        ("description holds ' or \\", text is not None and any(mark in str(text) for mark in "'\\")),
        ("state must be active or inactive", given.get("state", "active") not in {"active", "inactive"}),
        (
            "expire_minutes is not null or 0 to 259200",
            minutes is not None and not (whole and 0 <= minutes <= LONGEST_MINUTES),
        ),
    ]


def _filters(request: Request) -> list[Callable[[Segment], bool]]:
    tests: list[Callable[[Segment], bool]] = []
    if code := request.one("code"):
        tests.append(lambda segment: (segment.code or "").lower() == code.lower())
    if search := request.one("search").lower():
        tests.append(lambda segment: search in f"{segment.short_name} {segment.code}".lower())
    if state := request.one("state"):
        tests.append(lambda segment: segment.state == state)
    if ids := request.one("id"):
        wanted = {int(part) for part in ids.split(",") if part.isdigit()}
        tests.append(lambda segment: segment.id in wanted)
    if since := request.one("min_last_modified"):
        moment = datetime.strptime(f"{since} +0000", f"{TIMESTAMP} %z")
        tests.append(lambda segment: segment.last_modified >= moment)
    return tests
