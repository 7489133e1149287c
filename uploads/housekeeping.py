"""Deadlines, retention, and what new destinations are given."""

from __future__ import annotations

import functools
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.jobs.engine import held, safely, wake
from audsync_web.jobs.kinds import kind_named, on_housekeeping
from audsync_web.jobs.leases import seize
from audsync_web.jobs.models import Quota
from audsync_web.people.actors import system_actor
from audsync_web.people.models import Company
from segments.models import EMPTY, Destination, Wanted

from . import files
from .delivery.job import give_up
from .delivery.reports import report_names
from .delivery.run import PART_HOLDER
from .intake.partials import partial_drop
from .lifecycle.derived import NothingToSend, upload_from_snapshot
from .membership.snapshots import ensure_snapshot
from .models import (
    PART_ENDED,
    Delivery,
    DeliveryStatus,
    Mode,
    Part,
    PartialUpload,
    Snapshot,
    Upload,
    UploadStatus,
)
from .services import delivery_request_cancel
from .settling import upload_settle

ATTENTION_LIFETIME = timedelta(hours=72)
AT_ONCE = 200


def settle_stragglers() -> None:
    """Put right the word of uploads that nothing happens to any more.

    Two that settle an upload at the same moment (its inspection ends while a newer upload supersedes it) may each have
    looked before the other wrote.
    """
    own = Delivery.objects.filter(upload=OuterRef("pk"))
    working = own.open().exclude(status=DeliveryStatus.STAGED)
    left_behind = Upload.objects.filter(Exists(own), ~Exists(working), status=UploadStatus.DELIVERING)
    for upload in left_behind[:AT_ONCE]:
        upload_settle(upload)


def give_membership_to_new_destinations() -> None:
    """A destination that was added later is given the segment's current membership, as a delivery like any other."""
    wanting = Destination.objects.filter(wants_membership=True).exclude(remote_id="").select_related("segment")
    for destination in wanting[:AT_ONCE]:
        with transaction.atomic():
            taken = Destination.objects.filter(pk=destination.pk, wants_membership=True).update(wants_membership=False)
            if taken:
                _copy_membership(destination)


def _copy_membership(destination: Destination) -> None:
    source = (
        Snapshot.objects.filter(
            destination__segment_id=destination.segment_id,
            destination__identifier=destination.identifier,
            superseded_at__isnull=True,
            members__gt=0,
        )
        .exclude(destination=destination)
        .exclude(file="")
        .select_related("delivery__upload")
        .order_by("-pk")
        .first()
    )
    upload = source.delivery.upload if source and source.delivery else _newest_upload(destination)
    if upload is None:
        return
    made = Delivery.objects.create(
        company_id=upload.company_id,
        upload=upload,
        destination=destination,
        source_snapshot=source,
        mode="replace" if destination.membership_known else "add",
        lane=destination.vendor_account.lane,
        next_action_at=timezone.now(),
    )
    wake("uploads.delivery", made.pk)
    upload_settle(upload)


def _newest_upload(destination: Destination) -> Upload | None:
    """The newest completed whole list of the segment whose members are still kept, when no later upload changed it."""
    rows = Upload.objects.filter(segment_id=destination.segment_id, accepted_at__isnull=False)
    newest = rows.filter(status__in=[UploadStatus.COMPLETED, UploadStatus.PARTIAL]).order_by("-accepted_at").first()
    return newest if newest and newest.mode == "replace" and files.exists(newest.members_file) else None


@on_housekeeping
def fail_what_nobody_attended() -> None:
    """A delivery that has needed attention for 72 hours has failed (design section 4.8); what was taken stays."""
    for pk in list(_unattended().values_list("pk", flat=True)[:AT_ONCE]):
        safely(f"giving up delivery {pk}", functools.partial(_give_up, pk))


def _unattended() -> QuerySet[Delivery]:
    too_old = timezone.now() - ATTENTION_LIFETIME
    found: QuerySet[Delivery] = Delivery.objects.filter(
        status=DeliveryStatus.NEEDS_ATTENTION, attention_since__lt=too_old
    )
    return found


def _give_up(pk: int) -> None:
    lease = seize(kind_named("uploads.delivery"), pk)
    if lease is None:
        return
    with held(lease):
        # It may have gone on, or ended, while others were given up.
        if _unattended().filter(pk=pk).exists():
            give_up(lease)


@on_housekeeping
def leave_gates_of_ended_parts() -> None:
    """A worker that dies between a part's end and leaving its gate would keep the others out until the gate's own end:
    for a vendor's whole job that is two days."""
    holders = Quota.objects.filter(holder__startswith=PART_HOLDER).values_list("holder", flat=True)
    held = {int(holder.removeprefix(PART_HOLDER)): holder for holder in holders[:AT_ONCE]}
    alive = set(Part.objects.filter(pk__in=held).exclude(status__in=PART_ENDED).values_list("pk", flat=True))
    quotas.leave(*(holder for pk, holder in held.items() if pk not in alive))


@on_housekeeping
def drop_unfinished_uploads() -> None:
    """Resumable uploads that were abandoned, with what had arrived of them."""
    for partial in PartialUpload.objects.filter(expires_at__lt=timezone.now())[:AT_ONCE]:
        partial_drop(partial)


@on_housekeeping
def enforce_retention() -> None:
    """Originals, reports and superseded snapshots go when each company's settings say so."""
    for company in Company.objects.all().iterator():
        _drop_originals(company)
        _drop_changes(company)
        _drop_reports(company)
        _drop_superseded_snapshots(company)


def _drop_originals(company: Company) -> None:
    now = timezone.now()
    old = Q(created_at__lt=now - timedelta(days=company.keep_originals_days))
    if company.delete_originals_when_confirmed:
        old |= Q(status=UploadStatus.COMPLETED)
    ended = Upload.objects.filter(old, company=company, finished_at__isnull=False).exclude(original="")
    for upload in ended.exclude(deliveries__status=DeliveryStatus.STAGED)[:AT_ONCE]:
        files.delete(upload.original)
        files.delete(upload.members_file)
        Upload.objects.filter(pk=upload.pk).update(original="", members_file="", original_gone_at=now)


def _drop_changes(company: Company) -> None:
    """What deliveries told their vendors, in the time of originals: top-ups and other uploads without a file have it,
    too."""
    old = Q(uploaded_at__lt=timezone.now() - timedelta(days=company.keep_originals_days))
    if company.delete_originals_when_confirmed:
        old |= Q(upload__status=UploadStatus.COMPLETED)
    ended = Delivery.objects.filter(old, company=company, finished_at__isnull=False)
    for delivery in ended.exclude(changes_file="")[:AT_ONCE]:
        files.delete(delivery.changes_file)
        Delivery.objects.filter(pk=delivery.pk).update(changes_file="")


def _drop_reports(company: Company) -> None:
    now = timezone.now()
    before = now - timedelta(days=company.keep_reports_days)
    old = Upload.objects.filter(company=company, finished_at__isnull=False, created_at__lt=before)
    for upload in old.filter(report_gone_at__isnull=True)[:AT_ONCE]:
        files.delete(upload.report)
        for delivery in upload.deliveries.all():
            _drop_delivery_reports(delivery)
        Upload.objects.filter(pk=upload.pk).update(report="", report_gone_at=now)


def _drop_delivery_reports(delivery: Delivery) -> None:
    for name in report_names(delivery):
        files.delete(name)
    Delivery.objects.filter(pk=delivery.pk).update(held_report="", vendor_report="")


def _drop_superseded_snapshots(company: Company) -> None:
    before = timezone.now() - timedelta(days=company.keep_snapshots_days)
    old = Snapshot.objects.filter(destination__segment__company=company, superseded_at__lt=before)
    pairs = Delivery.objects.open().filter(company=company).values_list("base_snapshot_id", "source_snapshot_id")
    in_use = {pk for pair in pairs for pk in pair if pk is not None}
    for snapshot in old.exclude(pk__in=in_use)[:AT_ONCE]:
        files.delete(snapshot.file)
        files.delete(snapshot.uncertain_file)
        snapshot.delete()


def empty_released_destinations() -> None:
    """A destination that is to be emptied before it is removed gets a delivery that removes every member."""
    waiting = Destination.objects.filter(
        wanted=Wanted.RELEASED, release_choice=EMPTY, finished_at__isnull=True, memory__emptied__isnull=True
    ).select_related("segment__company", "vendor_account")
    for destination in waiting[:AT_ONCE]:
        newest = destination.deliveries.filter(upload__origin__has_key="emptying").order_by("-pk").first()
        if newest is None:
            _begin_emptying(destination)
        elif newest.has_ended:
            _note_emptied(destination, newest)


def _begin_emptying(destination: Destination) -> None:
    snapshot = ensure_snapshot(destination)
    open_ones = destination.deliveries.open()
    if open_ones.exists():
        for delivery in open_ones:
            if delivery.cancel_requested_at is None:
                delivery_request_cancel(delivery)
        return
    try:
        upload_from_snapshot(
            actor=system_actor(destination.segment.company),
            snapshot=snapshot or Snapshot(destination=destination),
            destinations=[destination],
            mode=Mode.REMOVE,
            name="Emptied before its removal",
            emptying=True,
        )
    except NothingToSend:
        _mark_emptied(destination)


def _note_emptied(destination: Destination, delivery: Delivery) -> None:
    if delivery.status == DeliveryStatus.COMPLETED:
        _mark_emptied(destination)
        return
    Destination.objects.filter(pk=destination.pk).update(
        wanted=Wanted.PUBLISHED if destination.is_published else Wanted.CREATED,
        error_code="not_emptied",
        error_text=f"It could not be emptied: {delivery.error_text or delivery.details or delivery.status}.",
        next_step="See the delivery, mend its cause, and remove the destination again.",
        next_action_at=None,
    )


def _mark_emptied(destination: Destination) -> None:
    Destination.objects.filter(pk=destination.pk).update(
        memory={**destination.memory, "emptied": True}, next_action_at=timezone.now()
    )
