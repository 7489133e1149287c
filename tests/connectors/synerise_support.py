"""What the tests of Synerise share: a sandbox, a connection, a small engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audsync_web.sandbox import synerise as sandbox
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import SegmentRef
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.synerise import SyneriseConnector

from .fakes import services
from .given import account_config, delivery_context, segment_ref, segment_spec
from .mini_engine import MiniEngine
from .parts import FilePayload, make_parts

MEMBERS = [f"crm-{number:05d}" for number in range(1, 41)]
UUID = "8d7f0f55-1c55-4d0b-a9a4-0b8a6f6f9d11"


def connect(box: Sandbox, **settings: Any) -> SyneriseConnector:
    config = account_config(
        SyneriseConnector,
        f"{box.url}/synerise",
        sandbox.DEMO_CREDENTIALS,
        {"requestsPerSecond": 10_000, "pollFirstSeconds": 1, **settings},
    )
    return SyneriseConnector(config, services(box.context.clock))


def switch(box: Sandbox, name: str, value: str | None = "1x") -> None:
    box.context.faults.set(f"synerise.{name}", value)


def control(box: Sandbox, action: str, **arguments: Any) -> Any:
    return box.vendors["synerise"].control(action, arguments)


def members_of(box: Sandbox, tag: str) -> set[str]:
    box.context.clock.advance(1)
    return set(control(box, "members", segment=tag))


def asked(box: Sandbox, method: str, path: str) -> int:
    """How often an operation was called."""
    return sum(e.method == method and e.path == path for e in box.context.ledger.entries("synerise"))


def violations(box: Sandbox) -> list[str]:
    return box.context.ledger.violations("synerise")


def made(connector: SyneriseConnector, name: str = "aud_k7q2_11107", **options: Any) -> SegmentRef:
    """A tag at the vendor, as our segment refers to it."""
    spec = segment_spec(name, options=options)
    return replace(segment_ref(connector.create_segment(spec), spec, published=True), options=options)


def deliver(
    box: Sandbox,
    connector: SyneriseConnector,
    segment: SegmentRef,
    rows: list[tuple[Op, str]],
    *,
    number: int = 1,
    neighbours: tuple[str, ...] = (),
    held_by: dict[str, int] | None = None,
) -> list[Any]:
    kind = connector.config.settings["identifier"]
    delivery = delivery_context(segment, kind, box.context.clock, number=number, days=None, neighbours=neighbours)
    parts = make_parts(connector, delivery, rows, held_by)
    return MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)


def removals(values: list[str]) -> list[tuple[Op, str]]:
    return [(Op.REMOVE, value) for value in sorted(values)]


def memory_of(part: FilePayload) -> dict[str, Any]:
    """A part's memory, where a journal may write."""
    assert isinstance(part.memory, dict)
    return part.memory
