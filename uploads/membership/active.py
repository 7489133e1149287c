"""Reads the active membership of segments: the newest upload that every destination acknowledged."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db.models import Exists, Max, OuterRef, Subquery

from segments.active import ActiveMembership
from segments.models import Destination, Segment
from uploads.models import Delivery, DeliveryStatus, Snapshot, Upload


def read_active_memberships(segments: Sequence[Segment]) -> Mapping[int, ActiveMembership]:
    """The active memberships by segment id: none before a segment was published (design section 7.3)."""
    published = {segment.pk: segment for segment in segments if segment.activated_at is not None}
    uploads = _active_uploads(list(published))
    moments = _moments(uploads.values())
    members = _members(uploads.values())
    found = {}
    for pk, upload_id in uploads.items():
        published_at = published[pk].activated_at
        found[pk] = ActiveMembership(
            upload_id, members.get(upload_id, 0), max(filter(None, (moments.get(upload_id), published_at)))
        )
    return found


def _active_uploads(segment_ids: list[int]) -> dict[int, uuid.UUID]:
    if not segment_ids:
        return {}
    completed = Delivery.objects.filter(status=DeliveryStatus.COMPLETED)
    there = completed.filter(destination=OuterRef("pk"), upload=OuterRef(OuterRef("pk")))
    behind = Destination.objects.current().filter(~Exists(there), segment=OuterRef("segment_id"))
    acknowledged = Upload.objects.filter(
        ~Exists(behind), Exists(completed.filter(upload=OuterRef("pk"))), segment=OuterRef("pk")
    )
    newest = acknowledged.order_by("-created_at", "-id").values("pk")[:1]
    rows = Segment.objects.filter(pk__in=segment_ids).annotate(active=Subquery(newest))
    return {pk: active for pk, active in rows.values_list("pk", "active") if active is not None}


def _moments(upload_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Any]:
    rows = Delivery.objects.filter(upload__in=upload_ids, status=DeliveryStatus.COMPLETED).order_by()
    return dict(rows.values_list("upload_id").annotate(at=Max("finished_at")))


def _members(upload_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """What the upload left at the vendors: the largest of its snapshots, else what the file held."""
    counts = {pk: members or 0 for pk, members in Upload.objects.filter(pk__in=upload_ids).values_list("pk", "members")}
    rows = Snapshot.objects.filter(delivery__upload__in=upload_ids).order_by()
    counts.update(rows.values_list("delivery__upload_id").annotate(most=Max("members")))
    return counts
