"""Reads for the pages of uploads: always within one company, always a fixed number of queries."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import (
    CharField,
    Count,
    DateTimeField,
    Exists,
    FilteredRelation,
    Func,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce, Greatest

from audsync_web.jobs.leases import live_workers
from audsync_web.people.models import Company
from segments.models import Segment, SegmentStatus
from uploads.models import UPLOAD_ENDED, Delivery, DeliveryStatus, Part, PartStatus, Snapshot, Upload, UploadStatus

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
    return Exists(live_workers())


def _count(rows: QuerySet[Any]) -> Subquery:
    grouped = rows.order_by().values("delivery_id").annotate(number=Count("pk")).values("number")
    return Subquery(grouped, output_field=IntegerField())


def live_uploads(company: Company, limit: int) -> QuerySet[Upload]:
    """Uploads that have not ended, newest first, each with how many deliveries it has and how many have ended."""
    # Each counted by itself: joined, all live uploads would be gathered with all their columns before the newest.
    own = Delivery.objects.filter(upload_id=OuterRef("pk")).order_by().values("upload_id")
    number = own.annotate(number=Count("pk")).values("number")
    ended = own.filter(finished_at__isnull=False).annotate(number=Count("pk")).values("number")
    rows: QuerySet[Upload] = (
        Upload.objects.visible_to(company)
        # Named one by one: of "not ended" the database cannot tell that its index by status serves.
        .filter(status__in=LIVE)
        .select_related("segment", "uploaded_by")
        .annotate(
            delivery_count=Coalesce(Subquery(number, output_field=IntegerField()), 0),
            delivery_ended=Coalesce(Subquery(ended, output_field=IntegerField()), 0),
            worker_lives=_worker_lives(),
        )
        .order_by("-created_at", "-pk")[:limit]
    )
    return rows


def recent_uploads(company: Company, limit: int) -> QuerySet[Upload]:
    """The newest uploads, live or ended."""
    rows: QuerySet[Upload] = Upload.objects.visible_to(company).prefetch_related("segment", "uploaded_by", held_back())
    return rows.order_by("-created_at", "-pk")[:limit]


def held_back() -> Prefetch[Any]:
    """An upload's deliveries that wait for its segment to be published, as `held_back`: its own word, completed, does
    not tell of them. For the uploads of one page."""
    staged = Delivery.objects.filter(status=DeliveryStatus.STAGED).only("upload_id").order_by()
    return Prefetch("deliveries", queryset=staged, to_attr="held_back")


def uploads_of_segment(segment: Segment, limit: int) -> QuerySet[Upload]:
    """The newest uploads of one segment."""
    rows: QuerySet[Upload] = Upload.objects.filter(segment=segment).select_related("uploaded_by")
    rows = rows.prefetch_related(held_back())
    return rows.order_by("-created_at", "-pk")[:limit]


def memberships_since(company: Company, since: datetime) -> list[tuple[str, str | None, int]]:
    """Memberships that were current at some moment since `since`, added up by day: when they came (never before
    `since`), when another one took their place (None: not yet), how many members. Days as in 2026-07-31, in UTC."""
    rows: QuerySet[Snapshot] = Snapshot.objects.filter(destination__segment__company=company, members__gt=0)
    came = UtcDay(Greatest("created_at", Value(since, output_field=DateTimeField())))
    found: list[tuple[str, str | None, int]] = []
    for wanted in (Q(superseded_at__isnull=True), Q(superseded_at__gte=since)):
        days = rows.filter(wanted).order_by().annotate(came=came, went=UtcDay("superseded_at")).values("came", "went")
        found += days.annotate(held=Sum("members")).values_list("came", "went", "held")
    return found


class UtcDay(Func):
    """The day of a moment as text, like 2026-07-31, by the database's own means: it is asked of very many rows."""

    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Moments are texts that begin with the day."""
        return super().as_sql(compiler, connection, template="SUBSTR(%(expressions)s, 1, 10)", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Moments are numbers with a time zone."""
        template = "TO_CHAR(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
        return super().as_sql(compiler, connection, template=template, **context)
