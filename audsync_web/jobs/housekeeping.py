"""What the job engine cleans up after itself."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from .kinds import on_housekeeping
from .models import Quota, WorkerHeartbeat


@on_housekeeping
def forget_old_rows() -> None:
    """Forget workers that have been silent for a day and pacing keys that nobody has used for a month."""
    now = timezone.now()
    WorkerHeartbeat.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()
    month = now - timedelta(days=31)
    Quota.objects.filter(next_free_at__lt=month, holder="").exclude(last_at__gt=month).exclude(
        paused_until__gt=now
    ).delete()
