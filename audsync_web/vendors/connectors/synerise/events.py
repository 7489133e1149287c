"""Optional events on the profiles of members who joined or left (spec section 4.5)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from audsync_web.vendors.connectors.base import DeliveryContext, Journal, PartPayload
from audsync_web.vendors.connectors.errors import Permanent
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.reading import utc_moment

from .fields import MOST_BYTES
from .session import Session
from .wire import PROPERTIES

EVENTS = "/v4/events/batch"
SERVER_TIME = "/v4/server/time"
ACTIONS = {Op.ADD: ("audience.join", "joined audience"), Op.REMOVE: ("audience.leave", "left audience")}


class Events:
    """Sends the events of one part: one batch, one identifier type."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, delivery: DeliveryContext, part: PartPayload, journal: Journal, without: Collection[int]) -> str:
        """Send them once, for all rows but some; answers what went wrong, or nothing. A part never fails for them."""
        if part.memory.get("eventsSent"):
            return ""
        rows = [(row, op, value) for row, (op, value) in enumerate(part.rows()) if op in ACTIONS and row not in without]
        problem = ""
        try:
            for body in self._bodies(delivery, part, rows, journal):
                journal.intend("events")
                self._session.effect("POST", EVENTS, data=body)
        except Permanent as error:
            problem = f"The members arrived; Synerise refused their events: {error.text}"
        journal.settle(part={"eventsSent": True})
        return problem

    def _bodies(
        self, delivery: DeliveryContext, part: PartPayload, rows: Sequence[tuple[int, Op, str]], journal: Journal
    ) -> Iterator[bytes]:
        """The events as batches within both bounds; a part has no more rows than one batch takes."""
        if not rows:
            return
        at = self._moment(delivery, part, journal)
        items = [_item(delivery, at, op, value) for _, op, value in rows]
        start = size = 0
        for number, item in enumerate(items):
            if number > start and size + len(item) + 2 > MOST_BYTES:
                yield b"[" + b",".join(items[start:number]) + b"]"
                start, size = number, 0
            size += len(item) + 1
        yield b"[" + b",".join(items[start:]) + b"]"

    def _moment(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> str:
        """When it was planned, but never in the vendor's future; the same moment should the events go again."""
        stored = part.memory.get("eventsAt")
        if isinstance(stored, str):
            return stored
        at = self._not_in_the_future(delivery.planned_at).isoformat()
        journal.settle(part={"eventsAt": at})
        return at

    def _not_in_the_future(self, at: datetime) -> datetime:
        """A future time is discarded by the vendor, so its own clock is asked (section 7.15)."""
        there = utc_moment(self._session.open_read(SERVER_TIME).object().get("serverTime"))
        return at if there is None else min(at, there)


def _item(delivery: DeliveryContext, at: str, op: Op, value: str) -> bytes:
    """One event. The same salt, time, profile and action overwrite, so a repeated batch leaves no second event.

    A salt must never meet another profile, in this workspace or from another AudSync that feeds it: it is made of all
    that tells the event apart.
    """
    action, label = ACTIONS[op]
    name, technical = PROPERTIES[delivery.identifier], delivery.segment.technical_name
    told_apart = "\n".join((technical, delivery.key, delivery.planned_at.isoformat(), action, name, value))
    event = {
        "type": "custom",
        "action": action,
        "label": label,
        "time": at,
        "eventSalt": hashlib.sha256(told_apart.encode()).hexdigest(),
        "client": {name: value},
        "params": {"audienceId": technical, "tag": delivery.segment.remote_id},
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
