"""Reads for the pages of uploads: always within one company, always a fixed number of queries."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, FilteredRelation, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from audsync_web.jobs.leases import WORKER_FRESH
from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.people.models import Company
from segments.models import Segment, SegmentStatus

from .models import UPLOAD_ENDED, Delivery, Part, PartStatus, Snapshot, Upload, UploadStatus

SEGMENTS_OFFERED = 500
LIVE = [status for status in UploadStatus if status not in UPLOAD_ENDED]
JOINED: Sequence[str] = ("segment", "uploaded_by", "delivery__destination__vendor_account")


def segments_to_upload_to(company: Company) -> QuerySet[Segment]:
    """The company's segments that take uploads, newest first."""
    rows: QuerySet[Segment] = Segment.objects.visible_to(company).exclude(status=SegmentStatus.ARCHIVED)
    return rows.order_by("-pk")


def upload_with_deliveries(company: Company, pk: uuid.UUID) -> list[Upload]:
    """One upload joined with its deliveries, in one query: a row for each delivery (its `delivery`), at least one.

    Each row tells whether a worker lives, and about its delivery: whether another goes first, whether a call has no
    outcome yet, how many vendor jobs it has and the first one's id. Empty when the company has no such upload.
    """
    parts = Part.objects.filter(delivery_id=OuterRef("delivery__pk"))
    jobs = parts.exclude(job_id="")
    ahead = Delivery.objects.open().filter(
        destination_id=OuterRef("delivery__destination_id"), pk__lt=OuterRef("delivery__pk")
    )
    rows = (
        Upload.objects.visible_to(company)
        .filter(pk=pk)
        .annotate(delivery=FilteredRelation("deliveries"))
        .select_related(*JOINED)
        .annotate(
            worker_lives=_worker_lives(),
            another_first=Exists(ahead),
            unsettled=Exists(parts.filter(intent__isnull=False)),
            waiting_parts=_count(parts.filter(status=PartStatus.SUBMITTED)),
            jobs=_count(jobs),
            first_job=Subquery(jobs.order_by("number").values("job_id")[:1]),
        )
        .order_by("delivery__pk")
    )
    return list(rows)


def _worker_lives() -> Exists:
    return Exists(WorkerHeartbeat.objects.filter(seen_at__gte=timezone.now() - WORKER_FRESH))


def _count(rows: QuerySet[Any]) -> Subquery:
    grouped = rows.order_by().values("delivery_id").annotate(number=Count("pk")).values("number")
    return Subquery(grouped, output_field=IntegerField())


def live_uploads(company: Company, limit: int) -> QuerySet[Upload]:
    """Uploads that have not ended, newest first, each with how many deliveries it has and how many have ended."""
    ended = Q(deliveries__finished_at__isnull=False)
    rows: QuerySet[Upload] = (
        Upload.objects.visible_to(company)
        # Named one by one: of "not ended" the database cannot tell that its index by status serves.
        .filter(status__in=LIVE)
        .select_related("segment", "uploaded_by")
        .annotate(
            delivery_count=Count("deliveries"),
            delivery_ended=Count("deliveries", filter=ended),
            worker_lives=_worker_lives(),
        )
        .order_by("-created_at", "-pk")[:limit]
    )
    return rows


def recent_uploads(company: Company, limit: int) -> QuerySet[Upload]:
    """The newest uploads, live or ended."""
    rows: QuerySet[Upload] = Upload.objects.visible_to(company).prefetch_related("segment", "uploaded_by")
    return rows.order_by("-created_at", "-pk")[:limit]


def uploads_of_segment(segment: Segment, limit: int) -> QuerySet[Upload]:
    """The newest uploads of one segment."""
    rows: QuerySet[Upload] = Upload.objects.filter(segment=segment).select_related("uploaded_by")
    return rows.order_by("-created_at", "-pk")[:limit]


def parts_of(delivery: Delivery, limit: int) -> QuerySet[Part]:
    """A delivery's parts in order."""
    return Part.objects.filter(delivery=delivery).order_by("number")[:limit]


def memberships_ending(company: Company, within: timedelta) -> QuerySet[Snapshot]:
    """Acknowledged memberships whose first members end at the vendor soon, the soonest first."""
    last = timezone.now().date() + within
    rows: QuerySet[Snapshot] = (
        Snapshot.objects.filter(
            destination__segment__company=company,
            superseded_at__isnull=True,
            members__gt=0,
            first_ends_on__lte=last,
        )
        .exclude(destination__status="released")
        .exclude(destination__segment__status=SegmentStatus.ARCHIVED)
        .select_related("destination__segment", "destination__vendor_account")
        .order_by("first_ends_on", "pk")
    )
    return rows


def memberships_since(company: Company, since: datetime) -> QuerySet[Snapshot]:
    """Memberships that were current at some moment since `since`: when each began, ended, and its members."""
    live = Q(superseded_at__isnull=True) | Q(superseded_at__gte=since)
    rows: QuerySet[Snapshot] = Snapshot.objects.filter(live, destination__segment__company=company, members__gt=0)
    return rows.annotate(began=F("created_at")).only("created_at", "superseded_at", "members").order_by()
