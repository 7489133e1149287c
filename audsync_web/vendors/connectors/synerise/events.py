"""Optional events on the profiles of members who joined or left (spec section 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audsync_web.vendors.connectors.base import DeliveryContext, Journal, PartPayload
from audsync_web.vendors.connectors.errors import Permanent
from audsync_web.vendors.connectors.formats import Op

from .session import Session
from .wire import PROPERTIES, moment

EVENTS = "/v4/events/batch"
SERVER_TIME = "/v4/server/time"
ACTIONS = {Op.ADD: ("audience.join", "joined audience"), Op.REMOVE: ("audience.leave", "left audience")}


class Events:
    """Sends the events of one part: one batch, one identifier type."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, delivery: DeliveryContext, part: PartPayload, journal: Journal, refused: Mapping[int, str]) -> str:
        """Send them once; answers what went wrong, or nothing. Membership never fails for its events."""
        if part.memory.get("eventsSent"):
            return ""
        items = self._items(delivery, part, refused)
        problem = ""
        if items:
            journal.intend("events")
            try:
                self._session.effect("POST", EVENTS, json_body=items)
            except Permanent as error:
                problem = f"The members arrived; Synerise refused their events: {error.text}"
        journal.settle(part={"eventsSent": True})
        return problem

    def _items(self, delivery: DeliveryContext, part: PartPayload, refused: Mapping[int, str]) -> list[dict[str, Any]]:
        rows = [(row, op, value) for row, (op, value) in enumerate(part.rows()) if op in ACTIONS and row not in refused]
        if not rows:
            return []
        at = self._not_in_the_future(delivery.planned_at).isoformat()
        return [self._item(delivery, part, at, *row) for row in rows]

    def _item(
        self, delivery: DeliveryContext, part: PartPayload, at: str, row: int, op: Op, value: str
    ) -> dict[str, Any]:
        action, label = ACTIONS[op]
        return {
            "type": "custom",
            "action": action,
            "label": label,
            "time": at,
            # The same salt, time, profile and action overwrite, so a repeated batch leaves no second event.
            "eventSalt": f"{delivery.key}-{part.number}-{row}",
            "client": {PROPERTIES[delivery.identifier]: value},
            "params": {"audienceId": delivery.segment.technical_name, "tag": delivery.segment.remote_id},
        }

    def _not_in_the_future(self, at: datetime) -> datetime:
        """A future time is discarded by the vendor, so its own clock is asked (section 7.15)."""
        there = moment(self._session.open_read(SERVER_TIME).object().get("serverTime"))
        return at if there is None else min(at, there)
