"""What a vendor's tests tell of it, and the steps that the promises are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import (
    Capabilities,
    Connector,
    DeliveryContext,
    RemoteSegment,
    SegmentRef,
    SegmentSpec,
)
from audsync_web.vendors.connectors.fields import AccountConfig
from audsync_web.vendors.connectors.registry import connector_class
from tests.connectors.fakes import services
from tests.connectors.given import account_config, delivery_context, segment_ref, segment_spec
from tests.connectors.mini_engine import MiniEngine
from tests.connectors.parts import FilePayload, additions, make_parts


class Facts:
    """A vendor's facts, its sandbox, and a connector to it."""

    vendor: ClassVar[str]
    base_path: ClassVar[str] = ""
    """What follows `<sandbox>/<vendor>` in the base URL."""
    wrong_credentials: ClassVar[Mapping[str, str]]
    """The credential fields to change so that the vendor rejects them."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Added to the sandbox's `DEMO_SETTINGS`."""
    members: ClassVar[Sequence[str]] = ()
    """At least 20 identifiers that the sandbox takes and knows, of the account's kind."""
    switches: ClassVar[Mapping[str, str | None]] = {}
    effects: ClassVar[Mapping[str, Sequence[str]]] = {"create": ["create"], "publish": ["publish"], "send": ["send"]}
    """Effectful calls within creating, publishing and sending; empty where it makes none."""
    settle_seconds: ClassVar[float] = 120.0
    """After so long every phase of the sandbox is over and a new segment may be fed."""

    # -- what a vendor may override

    def prepare(self, box: Sandbox) -> None:
        """Bring the sandbox into the state that the flow needs (members known, segments there …)."""

    def remote_members(self, box: Sandbox, remote_id: str) -> set[str]:
        """Who is in a remote segment now."""
        return set(box.vendors[self.vendor].control("members", {"segment": remote_id}))

    def remote_segments(self, box: Sandbox) -> int:
        """How many segments the vendor holds."""
        return len(box.vendors[self.vendor].state()["segments"])

    # -- helpers

    @property
    def connector_type(self) -> type[Connector]:
        return connector_class(self.vendor)

    @property
    def can(self) -> Capabilities:
        return self.connector_type.capabilities

    @property
    def demo_credentials(self) -> dict[str, str]:
        return dict(import_module(f"audsync_web.sandbox.{self.vendor}").DEMO_CREDENTIALS)

    @property
    def demo_settings(self) -> dict[str, Any]:
        given = dict(import_module(f"audsync_web.sandbox.{self.vendor}").DEMO_SETTINGS)
        return {**given, **self.settings}

    @pytest.fixture
    def box(self, box: Sandbox) -> Sandbox:
        self.prepare(box)
        return box

    def config(self, url: str, credentials: Mapping[str, str] | None = None) -> AccountConfig:
        return account_config(
            self.connector_type, url, {**self.demo_credentials, **(credentials or {})}, self.demo_settings
        )

    def connect(self, box: Sandbox, credentials: Mapping[str, str] | None = None) -> Connector:
        """A connector to the sandbox, on the sandbox's clock."""
        config = self.config(f"{box.url}/{self.vendor}{self.base_path}", credentials)
        return self.connector_type(config, services(box.context.clock))

    def switch(self, box: Sandbox, name: str, value: str | None = "1x") -> None:
        """Set a switch by its usual name; skips the test where the vendor has none."""
        own = self.switches.get(name, name)
        if own is None:
            pytest.skip(f"{self.vendor} has no switch for {name}")
        box.context.faults.set(f"{self.vendor}.{own}", value)

    def needs(self, ability: bool) -> None:
        if not ability:
            pytest.skip(f"{self.vendor} has no such ability")

    def secrets(self) -> list[str]:
        """Every credential that nobody may see: those that work and those that do not."""
        secret = {f.name for f in self.connector_type.fields if f.secret}
        values = [value for name, value in {**self.demo_credentials}.items() if name in secret]
        return values + [value for name, value in self.wrong_credentials.items() if name in secret]

    def violations(self, box: Sandbox) -> list[str]:
        return box.context.ledger.violations(self.vendor)

    def engine(self, box: Sandbox, connector: Connector) -> MiniEngine:
        return MiniEngine(connector, box.context.clock.advance)

    def create(self, box: Sandbox, connector: Connector, spec: SegmentSpec) -> RemoteSegment:
        remote = connector.create_segment(spec)
        box.context.clock.advance(self.settle_seconds)
        return remote

    def live_segment(self, box: Sandbox, connector: Connector) -> SegmentRef:
        """A segment that may be fed: created, and published where that comes first."""
        spec = segment_spec()
        remote = self.create(box, connector, spec)
        if not self.can.uploads_before_publish:
            remote = connector.publish_segment(segment_ref(remote, spec))
        return segment_ref(remote, spec, published=not self.can.uploads_before_publish or self.can.publish != "call")

    def delivery(self, box: Sandbox, connector: Connector, segment: SegmentRef, number: int = 1) -> DeliveryContext:
        identifier = str(connector.config.settings["identifier"])
        return delivery_context(segment, identifier, box.context.clock, number=number, days=self.can.longest_days)

    def planned(self, box: Sandbox, connector: Connector) -> tuple[DeliveryContext, list[FilePayload]]:
        delivery = self.delivery(box, connector, self.live_segment(box, connector))
        return delivery, make_parts(connector, delivery, additions(self.members))
