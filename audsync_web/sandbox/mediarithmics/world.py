"""What all calls of the mediarithmics sandbox share: its data, its clock and its switches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from audsync_web.sandbox.framework import Context, Request, Response

from .envelope import Refused, page
from .execution import Machine
from .store import Datamart, Grant, Segment

DEMO_CREDENTIALS = {"apiToken": "demo-mediarithmics-token"}
DEMO_SETTINGS = {"datamartId": "1471", "organisationId": "612", "identifier": "email_sha256"}
OTHER_TOKEN = "demo-mediarithmics-other-organisation"  # noqa: S105  # a name in a sandbox, no secret


class World:
    """A demo organisation with one data mart, and a second one that the demo token has no rights on."""

    def __init__(self, context: Context, lock: AbstractContextManager[bool | None]) -> None:
        self.lock = lock
        self.clock = context.clock
        self._faults = context.faults
        self._last_id = 5000
        self.machine = Machine(context.clock, context.faults)
        self.tokens = {
            DEMO_CREDENTIALS["apiToken"]: Grant("612", frozenset({"1471"})),
            OTHER_TOKEN: Grant("613", frozenset({"1472"})),
        }
        self.datamarts = {
            "1471": Datamart("1471", "612", _compartments("1471", "1042", "1043")),
            "1472": Datamart("1472", "613", _compartments("1472", "2042", "2043")),
        }
        for number, kind, paused in (
            ("90001", "USER_LIST", False),
            ("90002", "USER_LIST", True),
            ("90003", "USER_QUERY", False),
        ):
            self._present_segment(number, kind, paused=paused)

    def _present_segment(self, number: str, kind: str, *, paused: bool = False) -> None:
        values = {"type": kind, "name": f"Present segment {number}", "technical_name": f"present_{number}"}
        more = {"persisted": True, "paused": paused, "default_ttl": None, "subtype": "STANDARD"}
        feed = {"feed_type": "FILE_IMPORT"} if kind == "USER_LIST" else {}
        found = Segment(number, "1471", "612", self.clock.now(), {**values, **more, **feed})
        self.datamarts["1471"].segments[number] = found

    def advance(self) -> None:
        """Bring every job to where the clock has it."""
        with self.lock:
            self.machine.advance(self.datamarts.values())

    def next_id(self) -> str:
        """A new id, in digits."""
        self._last_id += 1
        return str(self._last_id)

    def datamart(self, grant: Grant, number: str) -> Datamart:
        """A data mart that the token has rights on: unknown is 404, somebody else's 403."""
        if number not in self.datamarts:
            raise Refused(404, "Resource Not Found")
        if number not in grant.datamarts:
            raise Refused(403, "Forbidden")
        return self.datamarts[number]

    # -- switches

    def on(self, name: str) -> bool:
        """Whether a switch is set."""
        return self._faults.on(f"mediarithmics.{name}")

    def take(self, name: str) -> bool:
        """Whether a fault happens now; a counted one is used up by one."""
        return self._faults.take(f"mediarithmics.{name}")

    def text(self, name: str) -> str:
        """A switch's text."""
        return self._faults.get(f"mediarithmics.{name}")

    # -- shapes

    def page(self, request: Request, items: Sequence[Any]) -> Response:
        """The asked page of a list."""
        return page(request, items, with_total=not self.on("no_total"))

    def more(self, values: dict[str, Any]) -> dict[str, Any]:
        """An object, with a field nobody knows where that was chosen."""
        return {**values, "a_field_of_tomorrow": {"x": 1}} if self.on("extra_fields") else values


def _compartments(datamart: str, *ids: str) -> list[dict[str, Any]]:
    return [
        {"id": f"9{number}", "datamart_id": datamart, "compartment_id": number, "name": f"Compartment {number}"}
        | {"token": f"c{number}", "default": number == ids[0]}
        for number in ids
    ]
