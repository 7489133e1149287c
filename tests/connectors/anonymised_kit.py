"""What the tests of the Anonymised connector share: members, and a bench to try the connector on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS, DEMO_SETTINGS
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.anonymised import AnonymisedConnector
from audsync_web.vendors.connectors.base import DeliveryContext, SegmentRef, Services

from .fakes import RecordingJournal, services
from .given import account_config, delivery_context, segment_ref, segment_spec
from .mini_engine import MiniEngine
from .parts import FilePayload, additions, make_parts

MEMBERS = [f"member-{number:04}" for number in range(40)]


class Bench:
    """A sandbox, a connector on its clock, and the few steps that tests repeat."""

    def __init__(self, box: Sandbox, **settings: Any) -> None:
        self.box = box
        self.clock = box.context.clock
        self.services = services(self.clock)
        self.connector = self.connect(**settings)
        self.engine = MiniEngine(self.connector, self.clock.advance)
        self.journal = RecordingJournal(self.clock)

    def connect(self, shared: Services | None = None, password: str = "", **settings: Any) -> AnonymisedConnector:
        credentials = {**DEMO_CREDENTIALS, **({"password": password} if password else {})}
        config = account_config(
            AnonymisedConnector, self.box.base_url("anonymised"), credentials, {**DEMO_SETTINGS, **settings}
        )
        return AnonymisedConnector(config, shared or self.services)

    def switch(self, name: str, value: str | None = "1") -> None:
        self.box.context.faults.set(f"anonymised.{name}", value)

    def segment(self, *, published: bool = False, name: str = "aud_k7q2_11107") -> SegmentRef:
        spec = segment_spec(name)
        remote = self.connector.create_segment(spec)
        if published:
            remote = self.connector.publish_segment(segment_ref(remote, spec))
        return segment_ref(remote, spec)

    def delivery(self, segment: SegmentRef, number: int = 1) -> DeliveryContext:
        return delivery_context(segment, "provider_id", self.clock, number=number, days=None)

    def part(self, delivery: DeliveryContext, members: Sequence[str] = MEMBERS) -> FilePayload:
        (part,) = make_parts(self.connector, delivery, additions(members))
        return part

    def calls(self, method: str, ending: str) -> int:
        entries = self.box.context.ledger.entries("anonymised")
        return sum(1 for entry in entries if entry.method == method and entry.path.endswith(ending))

    @property
    def logins(self) -> int:
        return int(self.box.vendors["anonymised"].state()["logins"])

    @property
    def jobs(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self.box.vendors["anonymised"].state()["jobs"]
        return jobs
