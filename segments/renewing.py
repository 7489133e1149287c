"""A new remote segment in a destination's place, where so many would leave the old one that starting anew is quicker.

Nothing does this by itself. The old one stays at the vendor, with its members, until somebody has it deleted: what
names it there has to be changed first.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.jobs.models import cleared_error
from audsync_web.people import audit
from audsync_web.people.actors import Actor
from audsync_web.vendors.connectors.base import LEAVE

from .models import Destination, DestinationStatus, Segment, Wanted
from .services import DestinationWish, SegmentConflict, make_destination, segment_hold, segment_refresh, version_of

REPLACED = "replaced"


def can_be_renewed(destination: Destination) -> bool:
    """Whether a new remote segment may take its place now."""
    if destination.segment.archived_at is not None:
        return False
    connector = destination.vendor_account.connector
    return bool(connector.renewed_by and destination.remote_id and not destination.intent)


def destination_renew(*, actor: Actor, destination: Destination) -> Destination:
    """Make a new remote segment with nobody in it, and let the next uploads go there. Managers only.

    Raises `SegmentConflict` where the vendor's segments are not renewed, for an archived segment, or while the
    destination is worked on.
    """
    actor.require_manager()
    if destination.segment.archived_at is not None:
        raise SegmentConflict("An archived segment takes no destinations.")
    if not can_be_renewed(destination):
        raise SegmentConflict("This destination cannot be given a new segment at its vendor now.")
    now = timezone.now()
    fields: dict[str, Any] = {
        "wanted": Wanted.RELEASED,
        "release_choice": LEAVE.key,
        "status": DestinationStatus.RELEASED,
        "memory": {**destination.memory, REPLACED: True},
        "finished_at": now,
        "next_action_at": None,
        **cleared_error(),
    }
    with transaction.atomic():
        segment_hold(destination.segment_id)
        free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
        rows = Destination.objects.current().filter(free, pk=destination.pk, intent__isnull=True)
        if not rows.update(**fields):
            raise SegmentConflict("This destination is being worked on. Try again in a moment.")
        made = make_destination(destination.segment, _next_version(destination))
        segment_refresh(destination.segment)
        account = destination.vendor_account.name
        audit.record(
            actor, "destination.renew", destination.segment, vendor_account=account, before=destination.remote_id
        )
    return made


def _next_version(destination: Destination) -> DestinationWish:
    """What the destination was asked to be, one version on."""
    options = {**destination.options, "version": version_of(destination) + 1}
    return DestinationWish(destination.vendor_account, destination.identifier, options=options)


def left_at_vendors(segment: Segment) -> QuerySet[Destination]:
    """Destinations whose place a new one has taken, and whose remote segment is still there."""
    rows: QuerySet[Destination] = segment.destinations.filter(
        status=DestinationStatus.RELEASED, release_choice=LEAVE.key, memory__has_key=REPLACED
    )
    return rows.select_related("vendor_account").order_by("pk")


def left_segment_delete(*, actor: Actor, destination: Destination) -> None:
    """Delete at the vendor what was left there; a job does it. Managers only. Raises `SegmentConflict` otherwise."""
    actor.require_manager()
    connector = destination.vendor_account.connector
    with transaction.atomic():
        rows = left_at_vendors(destination.segment).filter(pk=destination.pk)
        now = timezone.now()
        if not connector.renewed_by or not Destination.objects.filter(pk__in=rows.values("pk")).update(
            release_choice=connector.renewed_by, finished_at=None, next_action_at=now, **cleared_error()
        ):
            raise SegmentConflict("There is nothing left to delete at the vendor.")
        account = destination.vendor_account.name
        audit.record(
            actor,
            "destination.delete_replaced",
            destination.segment,
            vendor_account=account,
            remote_id=destination.remote_id,
        )
        wake("segments.destination", destination.pk)
