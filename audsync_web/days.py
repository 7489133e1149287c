"""Filters by day: from the beginning of one day to the end of another, in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Q


def within_days(wanted: Mapping[str, Any], column: str) -> Q:
    """Moments of `column` from the day `since` to the day `until`, both included; without one there is no such end."""
    fits = Q()
    if since := wanted.get("since"):
        fits &= Q(**{f"{column}__gte": _begin_of(since)})
    # After the last day that there is nothing follows.
    if (until := wanted.get("until")) and until < date.max:
        fits &= Q(**{f"{column}__lt": _begin_of(until + timedelta(days=1))})
    return fits


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
