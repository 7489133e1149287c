"""Deadlines of destinations."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from audsync_web.jobs.kinds import on_housekeeping

from .models import Destination, DestinationStatus
from .services import segment_refresh

ATTENTION_LIFETIME = timedelta(hours=72)


@on_housekeeping
def fail_what_nobody_attended() -> None:
    """A destination that has needed attention for 72 hours has failed (design section 4.8)."""
    overdue = Destination.objects.filter(
        status=DestinationStatus.NEEDS_ATTENTION, attention_since__lt=timezone.now() - ATTENTION_LIFETIME
    ).select_related("segment")
    for destination in overdue[:500]:
        rows = Destination.objects.filter(pk=destination.pk, status=DestinationStatus.NEEDS_ATTENTION)
        if rows.update(status=DestinationStatus.FAILED, next_action_at=None, updated_at=timezone.now()):
            segment_refresh(destination.segment)
