"""Writes on uploads and deliveries: accept, start, cancel, retry. Vendors are never called here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.people import audit
from audsync_web.people.actors import Actor, NotAllowed
from audsync_web.people.models import Company
from segments.models import Destination, Segment, SegmentStatus

from . import files
from .models import Delivery, DeliveryStatus, Mode, PartStatus, Snapshot, Upload, UploadStatus
from .receiving import Received
from .rules import destinations_of, feed_instead, takes, why_not
from .settling import upload_settle

# Uploads that no file brought: their deliveries start from memberships.
NO_FILE_ORIGINS = {"snapshot", "undo", "renew_within_days"}


class UploadConflict(Exception):
    """The state does not allow it (409); the text says why."""


@dataclass(frozen=True)
class UploadWish:
    """How a file is to be taken: mode, whether a person will look before it goes, and the check's options."""

    mode: Mode = Mode.REPLACE
    hold: bool = False
    file_name: str = ""
    max_removed_share: float | None = None
    check_options: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)


def require_uploadable(segment: Segment) -> None:
    """Raise `UploadConflict` for a segment that takes no uploads."""
    if segment.status == SegmentStatus.ARCHIVED:
        raise UploadConflict("This segment is archived; restore it before uploading.")


def require_quota(company: Company, wanted: int) -> None:
    """Raise `StorageFull` when the company's quota of stored originals has no room for `wanted` bytes.

    A look beforehand, which spares a file in vain; `take_quota` decides.
    """
    if company.max_stored_bytes is None:
        return
    kept = Upload.objects.filter(company=company).exclude(original="").aggregate(total=Sum("bytes"))["total"] or 0
    if kept + wanted > company.max_stored_bytes:
        raise files.StorageFull(
            f"The company's quota is used up: {kept / 1e6:,.1f} of {company.max_stored_bytes / 1e6:,.1f} MB are kept. "
            "Let an admin shorten the retention of originals or raise the quota."
        )


def take_quota(company: Company, wanted: int) -> None:
    """As `require_quota`, within the transaction that stores the bytes.

    The company's row is the lock: of two files that end at the same moment the second counts the first.
    """
    if company.max_stored_bytes is not None:
        # Without its key, so that rows which merely name the company can be written meanwhile.
        require_quota(Company.objects.select_for_update(no_key=True).get(pk=company.pk), wanted)


def upload_folder(company_id: int, upload_id: uuid.UUID) -> str:
    """Where an upload's files lie in storage."""
    return f"company-{company_id}/upload-{upload_id}"


def upload_accept(
    *, actor: Actor, segment: Segment, upload_id: uuid.UUID, received: Received, wish: UploadWish
) -> Upload:
    """Record a file that was received and checked; its inspection begins, and its deliveries are queued unless held.

    Raises `StorageFull` when the company's quota is used up.
    """
    check = received.check
    with transaction.atomic():
        take_quota(actor.company, check.bytes)
        upload = _new_upload(actor, segment, upload_id, wish)
        upload.original, upload.report, upload.checked = received.original, received.report, True
        upload.kind, upload.bytes = check.kind, check.bytes
        upload.md5, upload.sha256 = check.md5, check.sha256
        upload.records, upload.blank_lines = check.records, check.blank_lines
        upload.rejected, upload.rejected_by_reason = check.rejected, dict(check.rejected_by_reason)
        upload.save(force_insert=True)
        if not wish.hold:
            _queue_deliveries(upload)
        _audit_and_wake(actor, upload)
    return upload


def upload_accept_unchecked(
    *, actor: Actor, segment: Segment, upload_id: uuid.UUID, original: str, size: int, wish: UploadWish
) -> Upload:
    """Record a file that arrived in pieces: it lies in storage whole and is checked by its inspection.

    Raises `StorageFull` when the company's quota is used up.
    """
    with transaction.atomic():
        take_quota(actor.company, size)
        upload = _new_upload(actor, segment, upload_id, wish)
        upload.original, upload.bytes = original, size
        upload.save(force_insert=True)
        _audit_and_wake(actor, upload)
    return upload


def _new_upload(actor: Actor, segment: Segment, upload_id: uuid.UUID, wish: UploadWish) -> Upload:
    return Upload(
        id=upload_id,
        company=actor.company,
        segment=segment,
        uploaded_by=actor.user,
        via=actor.via,
        origin=dict(wish.origin),
        file_name=wish.file_name[:255],
        mode=wish.mode,
        hold=wish.hold,
        max_removed_share=wish.max_removed_share,
        check_options=dict(wish.check_options),
        lane="inspection",
        next_action_at=timezone.now(),
    )


def _audit_and_wake(actor: Actor, upload: Upload) -> None:
    audit.record(actor, "upload.accept", upload, name=str(upload), mode=upload.mode, bytes=upload.bytes)
    wake("uploads.inspection", upload.pk)


def _queue_deliveries(upload: Upload) -> None:
    """One delivery a destination, in order of acceptance; a replace makes older waiting ones pointless."""
    sources = upload.origin.get("undo", {}).get("sources", {})
    for destination in destinations_of(upload):
        source = sources.get(str(destination.pk))
        if source is None and upload.kind and not takes(destination, upload.kind):
            _refuse_kind(upload, destination)
            continue
        if upload.mode == Mode.REPLACE:
            _supersede_waiting(destination, upload)
        _new_delivery(upload, destination, source_snapshot_id=source)
    upload.accepted_at = timezone.now()
    upload.save(update_fields=["accepted_at"])


def _new_delivery(upload: Upload, destination: Destination, **fields: Any) -> Delivery:
    return Delivery.objects.create(
        company_id=upload.company_id,
        upload=upload,
        destination=destination,
        mode=upload.mode,
        lane=destination.vendor_account.lane,
        next_action_at=timezone.now(),
        **fields,
    )


def _refuse_kind(upload: Upload, destination: Destination) -> None:
    now = timezone.now()
    Delivery.objects.create(
        company_id=upload.company_id,
        upload=upload,
        destination=destination,
        mode=upload.mode,
        status=DeliveryStatus.FAILED,
        error_code="kind_not_taken",
        error_text=why_not(destination, upload.kind),
        next_step=feed_instead(destination),
        finished_at=now,
    )


def _supersede_waiting(destination: Destination, upload: Upload) -> None:
    # The removal of an erased person is owed to them, whatever file comes next.
    waiting = Delivery.objects.open().filter(destination=destination, is_live=False)
    older = waiting.exclude(upload__origin__has_key="erasure")
    touched = set(older.values_list("upload_id", flat=True))
    older.end_waiting(DeliveryStatus.SUPERSEDED, details="A newer upload replaced it before it was sent.")
    for other in Upload.objects.filter(pk__in=touched).exclude(pk=upload.pk):
        upload_settle(other)


def upload_go(*, actor: Actor, upload: Upload, max_removed_share: float | None = None) -> Upload:
    """Start the deliveries of an upload that was held for a person to look at.

    `max_removed_share` is what the person has seen and agreed to: a delivery that would remove more when its turn has
    come stops. None: whatever it removes.
    """
    if not actor.may_handle(upload.uploaded_by_id):
        raise NotAllowed("Only whoever uploaded it, a client success manager or an admin may start it.")
    with transaction.atomic():
        row = Upload.objects.select_for_update().get(pk=upload.pk)
        if row.status != UploadStatus.READY:
            raise UploadConflict("This upload is not waiting to be started.")
        require_uploadable(row.segment)
        if not destinations_of(row):
            raise UploadConflict("The destinations of this upload were removed, so there is nowhere to send it.")
        _require_sources(row)
        row.hold, row.status, row.max_removed_share = False, UploadStatus.DELIVERING, max_removed_share
        row.save(update_fields=["hold", "status", "max_removed_share"])
        _queue_deliveries(row)
        for delivery in row.deliveries.open():
            wake("uploads.delivery", delivery.pk)
        audit.record(actor, "upload.go", row, name=str(row))
        upload_settle(row)
    row.refresh_from_db()
    return row


def _require_sources(upload: Upload) -> None:
    """Raise `UploadConflict` when an undo waited so long that the memberships of before are gone."""
    wanted = upload.origin.get("undo", {}).get("sources", {}).values()
    if Snapshot.objects.filter(pk__in=wanted).count() != len(wanted):
        raise UploadConflict("The membership of before is no longer kept, so this cannot be undone any more.")


def upload_recount(*, actor: Actor, upload: Upload) -> None:
    """Compare a held upload again: a vendor has acknowledged another membership since. Its check is not repeated."""
    if not actor.may_handle(upload.uploaded_by_id):
        raise NotAllowed("Only whoever uploaded it, a client success manager or an admin may do that.")
    now = timezone.now()
    held = Upload.objects.filter(pk=upload.pk, status=UploadStatus.READY)
    if held.update(status=UploadStatus.INSPECTING, next_action_at=now, updated_at=now):
        wake("uploads.inspection", upload.pk)


def upload_cancel(*, actor: Actor, upload: Upload) -> Upload:
    """Stop what is unsent; what a vendor already has is followed to its end. 409 when the upload has ended.

    One that is completed because a delivery is held until publish has not: that delivery is unsent, and is stopped.
    """
    if not actor.may_handle(upload.uploaded_by_id):
        raise NotAllowed("Only whoever uploaded it, a client success manager or an admin may stop it.")
    now = timezone.now()
    with transaction.atomic():
        row = Upload.objects.select_for_update().get(pk=upload.pk)
        if row.has_ended and not row.deliveries.open().exists():
            raise UploadConflict("This upload has ended; there is nothing left to cancel.")
        row.cancel_requested_at = row.cancel_requested_at or now
        row.next_action_at = now if not row.has_ended and row.status != UploadStatus.DELIVERING else None
        row.save(update_fields=["cancel_requested_at", "next_action_at"])
        for delivery in row.deliveries.open():
            delivery_request_cancel(delivery)
        audit.record(actor, "upload.cancel", row, name=str(row))
        if row.status == UploadStatus.READY:
            _end_ready(row)
        elif row.next_action_at:
            wake("uploads.inspection", row.pk)
        upload_settle(row)
    row.refresh_from_db()
    return row


def _end_ready(upload: Upload) -> None:
    upload.status, upload.finished_at, upload.next_action_at = UploadStatus.CANCELLED, timezone.now(), None
    upload.details = "Cancelled before it was started."
    upload.save(update_fields=["status", "finished_at", "next_action_at", "details"])


def delivery_request_cancel(delivery: Delivery) -> None:
    """Ask a delivery to stop: one that has not begun ends here, a live one stops at its next step."""
    now = timezone.now()
    if Delivery.objects.filter(pk=delivery.pk).end_waiting(DeliveryStatus.CANCELLED, cancel_requested_at=now):
        return
    if delivery.vendor_account.connector.capabilities.cancels_parts:
        # What waits at the vendor is asked to stop at once: by its next look it may have begun. Parts before their
        # delivery, as a worker writes them.
        delivery.parts.filter(status=PartStatus.SUBMITTED).update(next_poll_at=now)
    Delivery.objects.filter(pk=delivery.pk, finished_at__isnull=True).update(
        cancel_requested_at=now, next_action_at=now, updated_at=now
    )
    wake("uploads.delivery", delivery.pk)


def upload_retry(*, actor: Actor, upload: Upload) -> Upload:
    """Send again what failed, only where it failed. 409 when nothing did, or a newer upload was accepted there."""
    if not actor.may_handle(upload.uploaded_by_id):
        raise NotAllowed("Only whoever uploaded it, a client success manager or an admin may retry it.")
    with transaction.atomic():
        row = Upload.objects.select_for_update().select_related("segment__company").get(pk=upload.pk)
        require_uploadable(row.segment)
        failed = _deliveries_to_retry(row)
        if not failed:
            raise UploadConflict("No delivery of this upload has failed; there is nothing to retry.")
        from_file = not row.origin.keys() & NO_FILE_ORIGINS
        if from_file and not row.members_file and not files.exists(row.original):
            raise UploadConflict("The file of this upload is gone; upload it again.")
        for delivery in failed:
            _refuse_if_newer(delivery)
        row.status, row.finished_at, row.cancel_requested_at = UploadStatus.DELIVERING, None, None
        row.details = ""
        if from_file and not row.members_file:
            row.status, row.next_action_at = UploadStatus.INSPECTING, timezone.now()
        row.save(update_fields=["status", "finished_at", "cancel_requested_at", "details", "next_action_at"])
        for delivery in failed:
            made = _new_delivery(
                row, delivery.destination, retry_of=delivery, source_snapshot_id=delivery.source_snapshot_id
            )
            wake("uploads.delivery", made.pk)
        audit.record(actor, "upload.retry", row, name=str(row), deliveries=len(failed))
    row.refresh_from_db()
    return row


def _deliveries_to_retry(upload: Upload) -> list[Delivery]:
    """The newest delivery of each destination, where it failed, was partial or was cancelled."""
    newest: dict[int, Delivery] = {}
    rows = upload.deliveries.select_related("destination__vendor_account").order_by("pk")
    for delivery in rows:
        newest[delivery.destination_id] = delivery
    again = {DeliveryStatus.FAILED, DeliveryStatus.PARTIAL, DeliveryStatus.CANCELLED}
    return [
        delivery
        for delivery in newest.values()
        if delivery.status in again
        and delivery.error_code != "kind_not_taken"
        and delivery.destination.wanted != "released"
    ]


def _refuse_if_newer(delivery: Delivery) -> None:
    newer = Delivery.objects.filter(destination_id=delivery.destination_id, pk__gt=delivery.pk)
    if newer.exclude(upload_id=delivery.upload_id).exists():
        name = delivery.destination.vendor_account.name
        raise UploadConflict(f"A newer upload was accepted for {name}; sending this one again would undo it.")


def delivery_retry(*, actor: Actor, delivery: Delivery) -> None:
    """Let a delivery that needs attention try again now. Raises `UploadConflict` for one that has ended."""
    if not actor.may_handle(delivery.upload.uploaded_by_id):
        raise NotAllowed("Only whoever uploaded it, a client success manager or an admin may retry it.")
    now = timezone.now()
    with transaction.atomic():
        # Parts before their delivery, as a worker writes them: the other way round each would wait for the other.
        delivery.parts.filter(status=PartStatus.SUBMITTED).update(next_poll_at=now)
        waiting = delivery.parts.filter(intent__has_key="look_at")
        for part in waiting:
            sooner = {name: value for name, value in (part.intent or {}).items() if name != "look_at"}
            # Unless its outcome has been found meanwhile: then nothing is to be looked for.
            waiting.filter(pk=part.pk).update(intent=sooner)
        going = Delivery.objects.filter(pk=delivery.pk, finished_at__isnull=True)
        if not going.update(next_action_at=now, attempts=0):
            raise UploadConflict("This delivery has ended; retry its upload instead.")
        audit.record(actor, "delivery.retry", delivery, name=str(delivery.upload))
        wake("uploads.delivery", delivery.pk)


def check_options_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of `CheckOptions` out of what an upload has stored."""
    known = ("kind", "any_header", "has_header", "encoding", "column", "delimiter", "allow_empty")
    return {name: stored[name] for name in known if stored.get(name) is not None}


def options_to_store(options: Any) -> dict[str, Any]:
    """What is kept of `CheckOptions`, so that the stored file can be read the same way again."""
    return check_options_of({name: value for name, value in asdict(options).items() if name not in {"rule"}})
