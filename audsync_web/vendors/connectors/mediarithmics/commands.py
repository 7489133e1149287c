"""User segment commands on the wire: one line a member, UPDATE or DELETE (spec sections 5 and 8)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from audsync_web.vendors.connectors.base import DeliveryContext
from audsync_web.vendors.connectors.errors import Permanent
from audsync_web.vendors.connectors.formats import LineFormat, Op, Wrap
from audsync_web.vendors.connectors.lifetimes import minutes_left

LONGEST_MINUTES = 5_256_000
"""M-U17: ten years."""
LONGEST_DAYS = LONGEST_MINUTES // 1440

NEVER = 0
"""What the vendor reads as "will never leave the segment"; a DELETE carries it too, as the field is mandatory."""

WIRE_FIELD: Mapping[str, str] = {
    "email_sha256": "email_hash",
    "email_md5": "email_hash",
    "user_account_id": "user_account_id",
    "user_agent_id": "user_agent_id",
}

NDJSON = "application/x-ndjson"
CSV = "text/csv"
MIME_TYPE = {NDJSON: "APPLICATION_X_NDJSON", CSV: "TEXT_CSV"}
"""One meaning, two enumerations: media type of an execution, `mime_type` of its import. They must agree (M-U10)."""


def minutes_to_live(delivery: DeliveryContext, *, never_expires: bool) -> int:
    """Minutes for an UPDATE line: of a file that was held up, how long is left (section 5, rules 5, 6 and 8)."""
    if never_expires:
        return NEVER
    minutes = minutes_left(delivery)
    if minutes > LONGEST_MINUTES:
        raise Permanent("Members may stay for ten years at most.", code="lifetime_too_long")
    return minutes


@dataclass(frozen=True)
class CommandFormat:
    """How the members of one delivery are written: which field names them, in which segment, for how long."""

    delivery: DeliveryContext
    compartment_id: str
    never_expires: bool

    def _fields(self, op: Op) -> dict[str, str | int]:
        """A command in the order of its fields, its identifier empty. The segment is named by its id only (M-U14)."""
        kind = WIRE_FIELD[self.delivery.identifier]
        compartment = {"compartment_id": self.compartment_id} if kind == "user_account_id" else {}
        return {
            "operation": "DELETE" if op is Op.REMOVE else "UPDATE",
            **compartment,
            kind: "",
            "segment_id": self.delivery.segment.remote_id,
            "expiration_duration": self._minutes(op),
        }

    def _minutes(self, op: Op) -> int:
        return NEVER if op is Op.REMOVE else minutes_to_live(self.delivery, never_expires=self.never_expires)

    def ndjson(self) -> LineFormat:
        """Compact JSON, one object a line, a final line feed, no byte-order mark (section 8)."""
        return LineFormat(wrap=self._json_wrap, escape="json", content_type=NDJSON)

    def _json_wrap(self, op: Op, held_by: int) -> Wrap:
        line = json.dumps(self._fields(op), separators=(",", ":"))
        return _around(line, f'"{WIRE_FIELD[self.delivery.identifier]}":"', '"')

    def csv(self) -> LineFormat:
        """The dialect of M-U35: comma, RFC 4180 quotes, LF, a header in lower case. Experimental."""
        header = ",".join(self._fields(Op.REMOVE)) + "\n"
        return LineFormat(wrap=self._csv_wrap, opening=header.encode(), content_type=CSV)

    def _csv_wrap(self, op: Op, held_by: int) -> Wrap:
        values = [f'"{value}"' if value == "" else str(value) for value in self._fields(op).values()]
        return _around(",".join(values), '"', '"')


def _around(line: str, before: str, after: str) -> Wrap:
    """A line with an empty value, cut where the value goes."""
    head, _, tail = line.partition(before + after)
    return Wrap((head + before).encode(), (after + tail).encode())
