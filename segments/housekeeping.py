"""Deadlines of destinations."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from audsync_web.jobs.kinds import on_housekeeping, on_tick
from audsync_web.jobs.waiting import flag, go_on
from audsync_web.vendors.faults import ACCOUNT_IN_TROUBLE, account_trouble
from audsync_web.vendors.models import AccountStatus

from .models import Destination, DestinationStatus
from .services import segment_refresh

ATTENTION_LIFETIME = timedelta(hours=72)
UNDER_WAY = (DestinationStatus.CREATING, DestinationStatus.PUBLISHING)


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


@on_tick
def flag_waiting_for_accounts() -> None:
    """A destination whose vendor account needs attention says why; it goes on when the account works again."""
    rows = Destination.objects.select_related("segment", "vendor_account")
    troubled = rows.filter(status__in=UNDER_WAY, vendor_account__status=AccountStatus.NEEDS_ATTENTION)
    touched = flag(troubled, ACCOUNT_IN_TROUBLE, lambda destination: account_trouble(destination.vendor_account))
    touched += go_on(rows.filter(vendor_account__status=AccountStatus.OK), ACCOUNT_IN_TROUBLE, _under_way)
    for destination in touched:
        segment_refresh(destination.segment)


def _under_way(destination: Destination) -> str:
    return DestinationStatus.PUBLISHING if destination.remote_id else DestinationStatus.CREATING
