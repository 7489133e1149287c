"""What a connector is asked to work on: an account, a segment, a delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from audsync_web.vendors.connectors.base import (
    Clock,
    Connector,
    DeliveryContext,
    Mode,
    RemoteSegment,
    SegmentRef,
    SegmentSpec,
    SegmentState,
)
from audsync_web.vendors.connectors.fields import AccountConfig, read_values


def account_config(
    connector: type[Connector],
    base_url: str,
    credentials: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
) -> AccountConfig:
    """A vendor account from its connector's declared fields, checked the way the product checks it."""
    config = AccountConfig(
        connector.vendor,
        base_url,
        read_values(connector.fields, "credentials", credentials),
        read_values(connector.fields, "settings", settings or {}),
    )
    connector.validate(config)
    return config


def segment_spec(technical_name: str = "aud_k7q2_11107", **changes: Any) -> SegmentSpec:
    """The segment that tests create."""
    values: dict[str, Any] = {"name": "Lapsed buyers", "duration_days": 90, **changes}
    return SegmentSpec(technical_name, **values)


def segment_ref(remote: RemoteSegment, spec: SegmentSpec, *, published: bool | None = None) -> SegmentRef:
    """Our side of a remote segment."""
    live = remote.state is SegmentState.PUBLISHED if published is None else published
    return SegmentRef(
        remote.remote_id, spec.technical_name, spec.name, spec.duration_days, live, remote.created_at, remote.memory
    )


def delivery_context(
    segment: SegmentRef,
    identifier: str,
    clock: Clock,
    *,
    mode: Mode = "replace",
    number: int = 1,
    days: int | None = 90,
    neighbours: Sequence[str] = (),
) -> DeliveryContext:
    """A delivery planned now; its memory is a dict that a `RecordingJournal(delivery=…)` may write to."""
    now = clock.now()
    ends_at = None if days is None else now + timedelta(days=days)
    return DeliveryContext(
        f"delivery-{number}", number, segment, identifier, mode, now, ends_at, tuple(neighbours), memory={}
    )
