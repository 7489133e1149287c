"""How long a member that is added has left, for vendors where members end by themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

from .errors import Permanent
from .shapes import DeliveryContext

SAME_LIFETIME = timedelta(hours=1)
"""Parts that are written within so long of their planning say the same lifetime."""


def counted_from(delivery: DeliveryContext) -> datetime:
    """The moment from which a lifetime counts: planning, or the writing of a part that was held up until then."""
    written_at = delivery.written_at or delivery.planned_at
    return written_at if written_at - delivery.planned_at > SAME_LIFETIME else delivery.planned_at


def minutes_left(delivery: DeliveryContext) -> int:
    """Minutes from then on, rounded up and so never 0, which no vendor takes for an end.

    Raises `Permanent` when the time has run out or is not known.
    """
    since = counted_from(delivery)
    if delivery.ends_at is None or delivery.ends_at <= since:
        raise Permanent(
            "The members' time has run out, or is not known.", code="no_lifetime", next_step="Upload the file again."
        )
    return -((since - delivery.ends_at) // timedelta(minutes=1))
