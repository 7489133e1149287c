"""Moments on the API: RFC 3339 in UTC, ending in `Z`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def api_time(moment: datetime) -> str: ...
@overload
def api_time(moment: None) -> None: ...
def api_time(moment: datetime | None) -> str | None:
    """The moment as text; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
