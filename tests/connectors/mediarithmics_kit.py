"""What the tests of the mediarithmics connector share: an account in the sandbox, segments, deliveries and parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audsync_web.sandbox.mediarithmics import DEMO_CREDENTIALS, DEMO_SETTINGS
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import DeliveryContext, RemoteState, RemoteStatus, SegmentRef
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.mediarithmics import MediarithmicsConnector

from .fakes import services
from .given import account_config, delivery_context, segment_ref, segment_spec
from .parts import FilePayload, additions, make_parts

HASHES = [f"{n:064x}" for n in range(1, 41)]


def connect(box: Sandbox, **settings: Any) -> MediarithmicsConnector:
    """A connector to the sandbox on the sandbox's clock."""
    given = {**DEMO_SETTINGS, **settings}
    config = account_config(MediarithmicsConnector, f"{box.url}/mediarithmics/v1", DEMO_CREDENTIALS, given)
    return MediarithmicsConnector(config, services(box.context.clock))


def switch(box: Sandbox, name: str, value: str | None = "1x") -> None:
    """Set one of the sandbox's switches."""
    box.context.faults.set(f"mediarithmics.{name}", value)


def state_of(box: Sandbox) -> dict[str, Any]:
    """What the vendor holds."""
    return box.vendors["mediarithmics"].state()


def members(box: Sandbox, segment: SegmentRef) -> set[str]:
    """Who is in the segment at the vendor now."""
    return set(box.vendors["mediarithmics"].control("members", {"segment": segment.remote_id}))


def clean(box: Sandbox) -> bool:
    """That no rule of the vendor was broken so far."""
    assert box.context.ledger.violations("mediarithmics") == []
    return True


def asked(box: Sandbox, method: str, ending: str) -> int:
    """How often something was asked of the vendor."""
    entries = box.context.ledger.entries("mediarithmics")
    return sum(1 for entry in entries if entry.method == method and entry.path.endswith(ending))


def fed(connector: MediarithmicsConnector) -> SegmentRef:
    """A new segment that files may be sent to."""
    spec = segment_spec()
    return segment_ref(connector.create_segment(spec), spec)


def planned(
    box: Sandbox, connector: MediarithmicsConnector, rows: Sequence[tuple[Op, str]] | None = None, number: int = 1
) -> tuple[DeliveryContext, list[FilePayload]]:
    """A delivery to a new segment and its parts; all `HASHES` are added unless other rows are given."""
    kind = str(connector.config.settings["identifier"])
    delivery = delivery_context(fed(connector), kind, box.context.clock, number=number)
    return delivery, make_parts(connector, delivery, additions(HASHES) if rows is None else rows)


def remember(part: FilePayload, state: RemoteState) -> RemoteState:
    """What the product's engine does with a state's memory."""
    part.memory = {**part.memory, **state.memory}
    return state


def looked_at(
    box: Sandbox, connector: MediarithmicsConnector, delivery: DeliveryContext, part: FilePayload, seconds: float
):
    """The part as it stands after so long."""
    box.context.clock.advance(seconds)
    state = RemoteState(RemoteStatus.UNKNOWN, job_id=part.memory["executions"][-1])
    return remember(part, connector.poll_part(delivery, part.ref(state, box.context.clock.now())))
