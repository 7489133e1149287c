"""What the pages of segments read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, Exists, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Lower

from audsync_web.people.models import Company
from audsync_web.vendors.models import VendorAccount

from .models import Destination, DestinationStatus, Segment, SegmentStatus

ORDERS: dict[str, tuple[str, ...]] = {
    "name": ("sort_name", "pk"),
    "-name": ("-sort_name", "-pk"),
    "created": ("created_at", "pk"),
    "-created": ("-created_at", "-pk"),
    "size": ("size", "pk"),
    "-size": ("-size", "-pk"),
}
DEFAULT_ORDER = "-created"
# Beside the statuses of a segment: everything, those put away included.
EVERYTHING = "all"
POINTS_PLOTTED = 300


def segments_of(company: Company, wanted: dict[str, Any]) -> QuerySet[Segment]:
    """The company's segments that fit a filter (`q`, `status`, `vendor`, `account`), each with its `size`.

    Without a status those that were put away are left out. `size` is the members of the largest membership that a
    vendor has acknowledged.
    """
    rows: QuerySet[Segment] = Segment.objects.visible_to(company)
    status = wanted.get("status")
    if not status:
        rows = rows.exclude(status=SegmentStatus.ARCHIVED)
    elif status != EVERYTHING:
        rows = rows.filter(status=status)
    for name, path in (("vendor", "vendor_account__vendor"), ("account", "vendor_account")):
        if wanted.get(name):
            rows = rows.filter(Exists(_current().filter(**{path: wanted[name]})))
    if wanted.get("q"):
        rows = rows.filter(_matches(wanted["q"].strip()))
    return with_size(rows).annotate(sort_name=Lower("name"))


def _current() -> QuerySet[Destination]:
    found: QuerySet[Destination] = Destination.objects.current().filter(segment=OuterRef("pk"))
    return found


def _matches(text: str) -> Q:
    """By name; an id of ours, a technical name or an id at a vendor only as a whole."""
    fits: Any = Q(name__icontains=text) | Exists(_current().filter(remote_id=text))
    number = text.rpartition("_")[2] if text.startswith("aud_") else text
    if number.isascii() and number.isdigit() and len(number) <= 18:
        fits |= Q(pk=int(number))
    return Q(fits)


def with_size(segments: QuerySet[Segment]) -> QuerySet[Segment]:
    """Segments with `size`: the members of their largest acknowledged membership.

    Memberships stand above this app and are reached through the destinations.
    """
    # Named as there: of a membership that may be missing, no database looks up the current one by its index.
    current = {"snapshots__isnull": False, "snapshots__superseded_at__isnull": True}
    largest = _current().filter(**current).order_by("-snapshots__members")
    held = Subquery(largest.values("snapshots__members")[:1], output_field=BigIntegerField())
    return segments.annotate(size=Coalesce(held, 0, output_field=BigIntegerField()))


def with_destinations(segments: QuerySet[Segment]) -> QuerySet[Segment]:
    """Segments with their present destinations and accounts loaded."""
    current = Destination.objects.current().select_related("vendor_account").order_by("pk")
    return segments.prefetch_related(Prefetch("destinations", queryset=current))


def destinations_shown(company: Company, segment_pk: int) -> list[Any]:
    """A segment's destinations, those being removed included, in one query.

    Each has its `segment` and `vendor_account`, and of the acknowledged membership the `members` (None: not known), the
    day on which the first `members_end`, and of how many it is `uncertain` whether they are there.
    """
    held = Destination.objects.filter(pk=OuterRef("pk"), snapshots__superseded_at__isnull=True)
    rows = (
        Destination.objects.filter(segment=segment_pk, segment__company=company)
        .exclude(status=DestinationStatus.RELEASED)
        .select_related("segment__company", "vendor_account")
        .annotate(
            members=Subquery(held.values("snapshots__members")[:1]),
            members_end=Subquery(held.values("snapshots__first_ends_on")[:1]),
            uncertain=Subquery(held.values("snapshots__uncertain")[:1]),
        )
    )
    return list(rows.order_by("pk"))


def accounts_offered(company: Company) -> QuerySet[VendorAccount]:
    """The accounts that a segment of the company can go to."""
    rows: QuerySet[VendorAccount] = VendorAccount.objects.visible_to(company).holding_members()
    return rows.order_by(Lower("name"), "pk")


def accounts_not_used(segment: Segment) -> QuerySet[VendorAccount]:
    """The accounts that are no destination of the segment yet."""
    used = segment.destinations.exclude(status=DestinationStatus.RELEASED).values("vendor_account")
    return accounts_offered(segment.company).exclude(pk__in=used)


def size_over_time(destinations: Sequence[Destination]) -> tuple[list[str], list[tuple[datetime, ...]]]:
    """Heads and rows for the plot: a moment, and the members that each destination held from then on."""
    names = {row.pk: row.vendor_account.name for row in destinations}
    points = (
        Destination.objects.filter(pk__in=names, snapshots__isnull=False)
        .order_by("-snapshots__created_at")
        .values_list("snapshots__created_at", "pk", "snapshots__members")
    )
    held: dict[int, int | None] = dict.fromkeys(names)
    rows: list[Any] = []
    for moment, pk, members in reversed(points[:POINTS_PLOTTED]):
        held[pk] = members
        rows.append((moment, *held.values()))
    return ["Moment", *names.values()], rows
