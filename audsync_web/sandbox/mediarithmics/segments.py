"""M8 to M12: audience segments, compartments, and the segments of one user."""

from __future__ import annotations

from audsync_web.sandbox.framework import Request, Response

from .envelope import Refused, json_object, one
from .store import Grant, Segment
from .world import World

SEGMENT_TYPES = frozenset(
    {
        "USER_LIST",
        "USER_QUERY",
        "USER_ACTIVATION",
        "USER_PARTITION",
        "USER_PIXEL",
        "USER_LOOKALIKE",
        "USER_LOOKALIKE_BY_COHORTS",
        "EDGE",
    }
)


class SegmentCalls:
    """The handlers; each gets the request, what its token may do, and the path's values."""

    def __init__(self, world: World) -> None:
        self.world = world

    def list_segments(self, request: Request, grant: Grant) -> Response:
        if request.one("organisation_id") not in ("", grant.organisation_id):
            raise Refused(403, "Forbidden")
        shown = [s.shown() for s in self._own_segments(grant)]
        exact = ("datamart_id", "type", "technical_name", "name", "feed_type")
        for name in exact:
            if name in request.query:
                shown = [s for s in shown if str(s.get(name, "")) == request.one(name)]
        if "persisted" in request.query:
            shown = [s for s in shown if s.get("persisted") is (request.one("persisted") == "true")]
        words = request.one("keywords").lower()
        return self.world.page(request, [self.world.more(s) for s in shown if words in str(s["name"]).lower()])

    def _own_segments(self, grant: Grant) -> list[Segment]:
        found = [s for number in grant.datamarts for s in self.world.datamarts[number].segments.values()]
        for segment in found:
            segment.expire(self.world.clock.now().timestamp())
        return found

    def create_segment(self, request: Request, grant: Grant) -> Response:
        values = json_object(request)
        if request.one("organisation_id") != grant.organisation_id:
            status = 403 if request.one("organisation_id") else 400
            raise Refused(status, "organisation_id is missing or not yours")
        for name in ("type", "name", "datamart_id"):
            if not isinstance(values.get(name), str) or not values[name]:
                raise Refused(400, f"{name} is missing")
        if values["type"] not in SEGMENT_TYPES or type(values.get("default_ttl")) not in (int, type(None)):
            raise Refused(400, "Unknown type, or default_ttl is no integer")
        datamart = self.world.datamart(grant, values["datamart_id"])
        technical = values.get("technical_name")
        if technical and any(s.values.get("technical_name") == technical for s in datamart.segments.values()):
            raise Refused(409, "The technical name is taken", "TECHNICAL_NAME_TAKEN")
        segment = Segment(self.world.next_id(), datamart.id, grant.organisation_id, self.world.clock.now(), values)
        segment.values.setdefault("paused", False)
        datamart.segments[segment.id] = segment
        return one(self.world.more(segment.shown()))

    def _segment(self, grant: Grant, number: str) -> Segment:
        for segment in self._own_segments(grant):
            if segment.id == number:
                return segment
        raise Refused(404, "Resource Not Found")

    def get_segment(self, request: Request, grant: Grant, seg: str) -> Response:
        return one(self.world.more(self._segment(grant, seg).shown()))

    def change_segment(self, request: Request, grant: Grant, seg: str) -> Response:
        segment, given = self._segment(grant, seg), json_object(request)
        if given.get("technical_name", segment.values.get("technical_name")) != segment.values.get("technical_name"):
            request.violate("technical name changed")
        segment.values = {**segment.values, **{k: v for k, v in given.items() if k not in ("id", "datamart_id")}}
        return one(segment.shown())

    def delete_segment(self, request: Request, grant: Grant, seg: str) -> Response:
        request.violate("segment deleted")
        segment = self._segment(grant, seg)
        del self.world.datamarts[segment.datamart_id].segments[seg]
        return one({})

    def list_compartments(self, request: Request, grant: Grant, dm: str) -> Response:
        found = self.world.datamart(grant, dm).compartments
        if request.one("default") == "true":
            found = [c for c in found if c["default"]]
        return self.world.page(request, [self.world.more(c) for c in found])

    def segments_of_user(self, request: Request, grant: Grant, dm: str, first: str, second: str = "") -> Response:
        key = f"{first}/{second}" if second else first
        found = []
        for segment in self.world.datamart(grant, dm).segments.values():
            segment.expire(self.world.clock.now().timestamp())
            if key in segment.members:
                ends = segment.members[key]
                found.append({"segment_id": segment.id, "data_bag": None, "expiration_ts": int(ends * 1000) or None})
        if not found:
            raise Refused(404, "Resource Not Found")
        return self.world.page(request, found)
