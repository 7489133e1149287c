"""What the tests of the Xandr connector share: an account in the sandbox, a live segment, deliveries and parts."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any, cast

from audsync_web.sandbox import xandr as sandbox
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import DeliveryContext, RemoteState, SegmentRef
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.xandr import XandrConnector

from .fakes import RecordingJournal, services
from .given import account_config, delivery_context, segment_ref, segment_spec
from .mini_engine import MiniEngine
from .parts import FilePayload, additions, make_parts

USERS = [str(2_718_281_828_459_000_000 + number) for number in range(30)]


def connect(box: Sandbox, **settings: Any) -> XandrConnector:
    """A connector to the sandbox on the sandbox's clock."""
    config = account_config(
        XandrConnector, f"{box.url}/xandr", sandbox.DEMO_CREDENTIALS, {**sandbox.DEMO_SETTINGS, **settings}
    )
    return XandrConnector(config, services(box.context.clock))


def switch(box: Sandbox, name: str, value: str | None = "1x") -> None:
    """Set one of the sandbox's switches."""
    box.context.faults.set(f"xandr.{name}", value)


def vendor(box: Sandbox) -> sandbox.XandrSandbox:
    """The sandbox's Xandr."""
    return cast("sandbox.XandrSandbox", box.vendors["xandr"])


def control(box: Sandbox, action: str, **arguments: Any) -> Any:
    """One of the sandbox's test controls."""
    return vendor(box).control(action, arguments)


def live_segment(box: Sandbox, connector: XandrConnector, name: str = "aud_k7q2_11107") -> SegmentRef:
    """A segment that is published and old enough to be fed."""
    spec = segment_spec(name)
    remote = connector.create_segment(spec)
    published = connector.publish_segment(segment_ref(remote, spec))
    box.context.clock.advance(3600)
    return segment_ref(published, spec)


def planned(
    box: Sandbox,
    connector: XandrConnector,
    segment: SegmentRef,
    users: Sequence[str] = USERS,
    *,
    op: Op = Op.ADD,
    days: int | None = 90,
) -> tuple[DeliveryContext, FilePayload]:
    """A delivery of one part."""
    identifier = str(connector.config.settings["identifier"])
    delivery = delivery_context(segment, identifier, box.context.clock, days=days)
    rows = [(op, user) for _, user in additions(users)]
    (part,) = make_parts(connector, delivery, rows)
    return delivery, part


def deliver(
    box: Sandbox,
    connector: XandrConnector,
    segment: SegmentRef,
    users: Sequence[str] = USERS,
    *,
    op: Op = Op.ADD,
    days: int | None = 90,
) -> RemoteState:
    """Send and follow one part to its end, and leave the time that uploads need between them."""
    delivery, part = planned(box, connector, segment, users, op=op, days=days)
    (state,) = MiniEngine(connector, box.context.clock.advance).deliver(delivery, [part])
    box.context.clock.advance(60)
    return state


def journal(box: Sandbox, part: FilePayload) -> RecordingJournal:
    """A journal that writes to the part's memory."""
    return RecordingJournal(box.context.clock, cast("MutableMapping[str, Any]", part.memory))


def sent(box: Sandbox, connector: XandrConnector) -> tuple[DeliveryContext, FilePayload, RemoteState]:
    """A part that the vendor has taken and not ended."""
    delivery, part = planned(box, connector, live_segment(box, connector))
    return delivery, part, connector.send_part(delivery, part, journal(box, part))


def members(box: Sandbox, segment: SegmentRef) -> set[str]:
    """Who is in the segment at the vendor now."""
    return set(control(box, "members", segment=segment.remote_id))


def jobs(box: Sandbox) -> list[dict[str, Any]]:
    """Every job of the vendor, as it shows them."""
    found: list[dict[str, Any]] = vendor(box).state()["jobs"]
    return found


def asked(box: Sandbox, method: str, path: str) -> int:
    """How often something was asked of the vendor."""
    entries = box.context.ledger.entries("xandr")
    return sum(entry.method == method and path in entry.path for entry in entries)


def violations(box: Sandbox) -> list[str]:
    """Rules that were broken so far."""
    return box.context.ledger.violations("xandr")
