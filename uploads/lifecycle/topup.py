"""Expiry watch: when members end at their vendors, and topping up those who are about to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from audsync_web.people import audit
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from segments.models import Destination, Segment
from uploads.membership.snapshots import RENEW_SHARE, lifetime_for, planning_connector
from uploads.models import Delivery, Mode, Snapshot, Upload
from uploads.services import UploadConflict, require_uploadable

from .derived import begin_delivery, new_upload

# Who ends within so many days is shown; at short-lived segments only the last quarter of the life counts.
WATCHED_DAYS = 14
LONGEST_WINDOW = 365
WATCHED_MOST = 50


@dataclass(frozen=True)
class Ending:
    """Members of one destination that end within the window: how many, and on which day the first of them."""

    destination: Destination
    members: int
    first_on: dt.date
    days: int
    """Days from today to the first of them; 0 is today."""
    window: int


def ending_members(snapshot: Snapshot, days: int, today: dt.date) -> tuple[int, dt.date | None]:
    """How many members of a membership end from today until `days` from now, and when the first do."""
    last = today + dt.timedelta(days=days)
    moments = {dt.date.fromisoformat(day): count for day, count in snapshot.ends.get("days", {}).items()}
    due = {day: count for day, count in moments.items() if today <= day <= last}
    return sum(due.values()), min(due, default=None)


def ending_of_segment(segment: Segment, within_days: int | None = None) -> list[Ending]:
    """The segment's destinations where members end soon."""
    rows = _current().filter(destination__segment=segment)
    return _endings(rows, within_days)


def ending_of_company(company: Company) -> list[Ending]:
    """The company's destinations where members end soonest; those whose segment was put away are left out."""
    today = timezone.now().date()
    rows = _current().filter(
        destination__segment__company=company,
        destination__segment__archived_at__isnull=True,
        first_ends_on__lte=today + dt.timedelta(days=WATCHED_DAYS),
    )
    return _endings(rows.order_by("first_ends_on", "pk")[:WATCHED_MOST], None)


def _current() -> QuerySet[Snapshot]:
    related = ("destination__segment__company", "destination__vendor_account")
    rows = Snapshot.objects.filter(superseded_at__isnull=True, members__gt=0, first_ends_on__isnull=False)
    return rows.exclude(destination__status="released").select_related(*related)


def _endings(snapshots: Iterable[Snapshot], within_days: int | None) -> list[Ending]:
    today = timezone.now().date()
    found = []
    for snapshot in snapshots:
        window = within_days or window_of(snapshot.destination)
        members, first = ending_members(snapshot, window, today)
        if first is not None:
            found.append(Ending(snapshot.destination, members, first, (first - today).days, window))
    return sorted(found, key=lambda row: (row.first_on, row.destination.pk))


def window_of(destination: Destination) -> int:
    """How many days ahead somebody counts as ending soon: two weeks, or a quarter of a shorter life."""
    lifetime = lifetime_for(planning_connector(destination), destination.segment.duration_days, timezone.now())
    life = lifetime.ends_day - lifetime.today
    return max(1, min(WATCHED_DAYS, int(life * RENEW_SHARE))) if life > 0 else WATCHED_DAYS


def top_up(
    *, actor: Actor, segment: Segment, within_days: int | None = None, accounts: Sequence[int] | None = None
) -> list[Upload]:
    """Send again who is about to end, and nobody else: one upload for each destination concerned.

    `within_days` widens or narrows the window (1 to 365), `accounts` limits it to some vendor accounts. Raises
    `UploadConflict` when nobody ends in that time.
    """
    require_uploadable(segment)
    due = [
        row
        for row in ending_of_segment(segment, within_days)
        if (accounts is None or row.destination.vendor_account_id in accounts) and row.destination.holds_members
    ]
    with transaction.atomic():
        busy = _topping_up([row.destination for row in due])
        made = [_upload(actor, row) for row in due if row.destination.pk not in busy]
        if not made:
            raise UploadConflict("A top-up is under way already." if busy else "Nobody's membership ends in that time.")
        audit.record(actor, "segment.top_up", segment, uploads=[str(upload.pk) for upload in made])
    return made


def _topping_up(destinations: Sequence[Destination]) -> set[int]:
    """Where a top-up has not ended yet: a second click must not send everybody twice."""
    list(Destination.objects.select_for_update().filter(pk__in=[row.pk for row in destinations]))
    open_ones = Delivery.objects.open().filter(
        destination__in=destinations, upload__origin__has_key="renew_within_days"
    )
    return set(open_ones.values_list("destination_id", flat=True))


def _upload(actor: Actor, ending: Ending) -> Upload:
    upload = new_upload(
        actor=actor,
        destination=ending.destination,
        mode=Mode.ADD,
        name=f"Top-up of {ending.destination.vendor_account.name}",
        members=ending.members,
        origin={"renew_within_days": ending.window},
    )
    upload.save(force_insert=True)
    begin_delivery(upload, ending.destination)
    return upload
