"""The Segment Service on both hosts (spec section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from audsync_web.vendors.connectors.base import RemoteSegment, SegmentSpec, SegmentState
from audsync_web.vendors.connectors.errors import Permanent, RemoteMissing
from audsync_web.vendors.connectors.reading import whole

from .api import Api, Envelope, moment, word
from .layout import LONGEST_MINUTES

SHARED_SEGMENT = "1"
"""The vendor's own segment, visible to every member; never written (section 3.2.1)."""
LONGEST_NAME = 255
STATES = {"active": SegmentState.PUBLISHED, "inactive": SegmentState.CREATED}
Row = Mapping[str, Any]


def rows_of(envelope: Envelope) -> list[Row]:
    """Segments of an answer: `segment`, a `segments` array, or a map of them by id (section 3.2.3)."""
    found = envelope.get("segments")
    if found is None:
        found = envelope.get("segment")
    if isinstance(found, dict):
        found = [found] if "id" in found else list(found.values())
    return [row for row in found or [] if isinstance(row, dict) and whole(row.get("id")) is not None]


def state_word(row: Row) -> str:
    """`active` or `inactive`; older Impbus objects tell it as a flag (section 3.2.5)."""
    if "state" in row:
        return word(row["state"])
    return {True: "active", False: "inactive"}.get(row.get("active"), "")  # type: ignore[arg-type]  # None is no key


def minutes_of(days: int) -> int:
    """A segment's own lifetime. Never 0, which here means one ad call, unlike in a file (section 12, rule 10)."""
    return max(1, min(days * 1440, LONGEST_MINUTES))


class Segments:
    """A member's segments; on Impbus the member stands in the path, on the Console in the query."""

    def __init__(self, api: Api, member_id: int, *, impbus: bool) -> None:
        self._api = api
        self._member = member_id
        self._impbus = impbus

    # --- reading

    def listed(self, **filters: Any) -> Iterator[list[Row]]:
        """Own segments page by page; rows of other members are dropped."""
        params = {"include_shared": 0, "sort": "id.asc", **filters}
        path = f"/segment/{self._member}" if self._impbus else "/segment"
        query = params if self._impbus else {"member_id": self._member, **params}
        for rows in self._api.pages(path, query, rows_of, "segments"):
            yield [row for row in rows if self._is_own(row)]

    def find(self, code: str) -> Row | None:
        """The segment of a code, whose letter case does not count within a member (section 12, rule 6)."""
        for rows in self.listed(code=code):
            for row in rows:
                if word(row.get("code")).lower() == code.lower():
                    return row
        return None

    def get(self, remote_id: str) -> Row:
        """One own segment by id; `RemoteMissing` when there is none, a deleted one included (register, U11)."""
        path, params, values = self._one(remote_id)
        for row in rows_of(self._api.read(path, params, values)):
            if str(whole(row["id"])) == remote_id and self._is_own(row):
                return row
        raise RemoteMissing("Xandr has no segment of this id in the member.", next_step="Check the segment's id.")

    def _is_own(self, row: Row) -> bool:
        return whole(row.get("member_id", self._member)) == self._member

    def _one(self, remote_id: str) -> tuple[str, dict[str, Any], dict[str, str | int]]:
        if not (remote_id.isascii() and remote_id.isdigit()):
            raise RemoteMissing("A Xandr segment id is a number.", next_step="Give the id, not the name or code.")
        if self._impbus:
            return "/segment/{member}/{id}", {}, {"member": self._member, "id": remote_id}
        return "/segment", {"id": remote_id, "member_id": self._member}, {}

    # --- writing

    def create(self, spec: SegmentSpec) -> Row:
        """Create it inactive, every main field said (section 12, rule 6). Effectful."""
        name = spec.name or spec.technical_name
        if len(name) > LONGEST_NAME:
            raise Permanent(
                "The segment's name is longer than Xandr allows (255 characters).",
                code="name_too_long",
                next_step="Shorten the name of the segment.",
            )
        segment = {
            "member_id": self._member,
            "code": spec.technical_name,
            "short_name": name,
            "state": "inactive",
            "expire_minutes": minutes_of(spec.duration_days),
            "description": f"Kept by AudSync as {spec.technical_name}",
        }
        path = f"/segment/{self._member}" if self._impbus else "/segment"
        params = {} if self._impbus else {"member_id": self._member}
        return self._changed(self._api.change("POST", path, params, body={"segment": segment}))

    def set_state(self, remote_id: str, state: str) -> Row:
        """Activate or deactivate. Effectful; the same call again changes nothing."""
        row = self.change(remote_id, {"state": state})
        if state_word(row) != state and "active" in row:
            # An older Impbus object: it knows the flag only (section 3.2.5).
            row = self.change(remote_id, {"active": state == "active"})
        if state_word(row) != state:
            raise Permanent(
                f"Xandr took the change, but the segment is not {state}.",
                code="state_not_taken",
                next_step="Look at the segment at Xandr, then publish again.",
            )
        return row

    def change(self, remote_id: str, fields: Mapping[str, Any]) -> Row:
        """Change the given fields; the others stay (section 2.3). Effectful."""
        require_writable(remote_id)
        path, params, values = self._one(remote_id)
        # A member named with a change would move an advertiser's segment up to the member (table in section 3.0, S3).
        params = {name: value for name, value in params.items() if name == "id"}
        return self._changed(self._api.change("PUT", path, params, values, {"segment": dict(fields)}), remote_id)

    def _changed(self, envelope: Envelope, remote_id: str = "") -> Row:
        """The segment as the answer tells it; read where it tells less than its id, state and code."""
        rows = rows_of(envelope)
        if rows and state_word(rows[0]) and "code" in rows[0]:
            return rows[0]
        return self.get(remote_id or str(whole(rows[0]["id"] if rows else envelope.get("id"))))


def require_writable(remote_id: str) -> None:
    """Refuse the vendor's shared segment."""
    if remote_id == SHARED_SEGMENT:
        raise Permanent(
            "Segment 1 belongs to Xandr and is shared by all members.",
            code="shared_segment",
            next_step="Choose a segment of your own.",
        )


def remote_segment(row: Row, created_at: datetime | None) -> RemoteSegment:
    """A segment in our words. Its code is remembered: files may name segments by it."""
    raw = state_word(row)
    code = word(row.get("code"))
    return RemoteSegment(
        remote_id=str(whole(row["id"])),
        state=STATES.get(raw, SegmentState.UNKNOWN),
        raw_state=raw,
        name=str(row.get("short_name") or "")[:LONGEST_NAME],
        external_id=code,
        created_at=created_at,
        memory={"code": code},
    )


def no_older_than(row: Row, now: datetime) -> datetime:
    """The latest moment at which a segment can have been created: the vendor tells only its latest change."""
    changed = moment(row.get("last_modified") or row.get("last_activity"))
    return min(changed, now) if changed else now
