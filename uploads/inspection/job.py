"""Inspection: a received file becomes a sorted set of members, and its differences are counted for the preflight."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.jobs.leases import CancelRequested, Lease
from audsync_web.vendors.connectors.identifiers import KINDS
from uploads import files
from uploads.engine.checking import CheckOptions, CheckResult
from uploads.engine.members import build_members
from uploads.engine.progress import Progress
from uploads.engine.refusal import FileRefused
from uploads.lifecycle.undo import undo_sources
from uploads.membership.snapshots import preview_counts
from uploads.models import DeliveryStatus, Upload, UploadStatus
from uploads.receiving import check_stored, unpack_stored, with_rule
from uploads.rules import destinations_for_upload, destinations_of, require_taker
from uploads.services import UploadConflict, _queue_deliveries, check_options_of, take_quota, upload_folder
from uploads.settling import upload_settle

PROGRESS_EVERY = 0.8


class Reporter:
    """Writes an upload's progress at most about once a second, and stops the work when somebody cancels it."""

    def __init__(self, lease: Lease, pk: Any) -> None:
        self._lease = lease
        self._pk = pk
        self._next = 0.0
        self._began: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        began = self._began.setdefault(progress.stage, now)
        if now < self._next:
            return
        self._next = now + PROGRESS_EVERY
        self._lease.check()
        if Upload.objects.filter(pk=self._pk, cancel_requested_at__isnull=False).exists():
            raise CancelRequested
        spent = max(now - began, 0.001)
        self._lease.update(
            progress={
                "stage": progress.stage,
                "bytes": progress.bytes_done,
                "bytes_total": progress.bytes_total,
                "rows": progress.rows,
                "bytes_per_second": round(progress.bytes_done / spent),
                "at": timezone.now().isoformat(),
            }
        )


def advance(lease: Lease) -> None:
    """One upload's inspection, start to end."""
    upload = Upload.objects.select_related("segment__company", "company").get(pk=lease.pk)
    if upload.has_ended or upload.status in {UploadStatus.READY, UploadStatus.DELIVERING}:
        lease.update(next_action_at=None)
        return
    try:
        _inspect(lease, upload)
    except CancelRequested:
        _end(lease, upload, UploadStatus.CANCELLED, "Cancelled while it was inspected.", DeliveryStatus.CANCELLED)
    except UploadConflict as conflict:
        _end(lease, upload, UploadStatus.FAILED, str(conflict), DeliveryStatus.FAILED)
    except FileRefused as refusal:
        _end(lease, upload, UploadStatus.FAILED, refusal.message, DeliveryStatus.FAILED)
    except files.StorageFull as full:
        lease.update(details=full.text, next_action_at=timezone.now() + timedelta(minutes=1))


def _inspect(lease: Lease, upload: Upload) -> None:
    if upload.cancel_requested_at:
        raise CancelRequested
    reporter = Reporter(lease, upload.pk)
    lease.update(status=UploadStatus.INSPECTING, started_at=upload.started_at or timezone.now(), details="")
    if not upload.checked:
        _check(lease, upload, reporter)
    if not upload.members_file and "undo" not in upload.origin:
        _build(lease, upload, reporter)
    if not upload.hold and not upload.accepted_at:
        _queue_deliveries(upload)
    _hand_over(lease, upload, reporter)


def _check(lease: Lease, upload: Upload, reporter: Reporter) -> None:
    files.require_room(upload.bytes)
    _unpack(lease, upload)
    options = CheckOptions(**check_options_of(upload.check_options))
    report = f"{upload_folder(upload.company_id, upload.pk)}/rejections.csv.gz"
    check, report = check_stored(upload.original, report=report, options=options, progress=reporter)
    require_taker(destinations_for_upload(upload.segment), check.kind)
    _store_check(lease, upload, check, report)


def _unpack(lease: Lease, upload: Upload) -> None:
    """A file that arrived gzip-compressed is unpacked first: bytes and hashes are those of the file itself."""
    packed = upload.original
    unpacked = f"{upload_folder(upload.company_id, upload.pk)}/unpacked"
    if packed == unpacked or not unpack_stored(packed, unpacked, max_bytes=settings.MAX_UPLOAD_BYTES):
        return
    size = default_storage.size(unpacked)
    # Whoever took the inspection over meanwhile works on that file.
    lease.update(details="")
    try:
        with transaction.atomic():
            take_quota(upload.company, size - upload.bytes)
            lease.update(original=unpacked, bytes=size)
    except files.StorageFull as full:
        files.delete(unpacked)
        raise FileRefused("quota", full.text) from None
    upload.original, upload.bytes = unpacked, size
    files.delete(packed)


def _store_check(lease: Lease, upload: Upload, check: CheckResult, report: str) -> None:
    upload.kind, upload.checked, upload.report = check.kind, True, report
    upload.bytes, upload.md5, upload.sha256 = check.bytes, check.md5, check.sha256
    upload.records, upload.rejected, upload.blank_lines = check.records, check.rejected, check.blank_lines
    upload.rejected_by_reason = dict(check.rejected_by_reason)
    names = ("kind", "checked", "report", "bytes", "md5", "sha256", "records", "rejected", "blank_lines")
    lease.update(rejected_by_reason=upload.rejected_by_reason, **{name: getattr(upload, name) for name in names})


def _build(lease: Lease, upload: Upload, reporter: Reporter) -> None:
    name = f"{upload_folder(upload.company_id, upload.pk)}/members"
    options = CheckOptions(**check_options_of(upload.check_options))
    if options.kind is None:
        options = CheckOptions(**(check_options_of(upload.check_options) | {"rule": KINDS[upload.kind].rule}))
    with files.local_file(upload.original) as source, files.new_file(name) as out, files.spill_folder() as spill:
        found = build_members(
            lambda: _opened(source),
            with_rule(options),
            upload.kind,
            out,
            spill,
            total_bytes=upload.bytes,
            progress=reporter,
        )
    upload.members_file, upload.members, upload.duplicates = name, found.members, found.duplicates
    lease.update(members_file=name, members=found.members, duplicates=found.duplicates)


def _opened(path: Path) -> BinaryIO:
    # The engine reads it from the start, maybe more than once, and closes it.
    return path.open("rb")


def _hand_over(lease: Lease, upload: Upload, reporter: Reporter) -> None:
    """Count the differences for people or for the caution that was asked for, then start, or wait for "go"."""
    done: dict[str, Any] = {"next_action_at": None, "progress": {}}
    if upload.hold or upload.max_removed_share is not None:
        preview = preview_counts(upload, destinations_of(upload), reporter, undo_sources(upload))
        lease.update(preview=preview)
        if not upload.hold and (excess := _excess(preview, upload.max_removed_share)):
            _end(lease, upload, UploadStatus.FAILED, excess, DeliveryStatus.FAILED)
            return
    if upload.hold:
        lease.update(status=UploadStatus.READY, **done)
        return
    lease.update(status=UploadStatus.DELIVERING, **done)
    for delivery in upload.deliveries.open():
        wake("uploads.delivery", delivery.pk)
    upload.refresh_from_db()
    upload_settle(upload)


def _excess(preview: dict[str, Any], share: float | None) -> str:
    if share is None:
        return ""
    lines = [
        f"{cell['name']}: would remove {cell['leave']:,} of {cell['before']:,} members "
        f"({cell['leave'] / cell['before']:.0%}), more than the {share:.0%} allowed"
        for cell in preview["destinations"]
        if cell.get("before") and cell.get("leave", 0) > share * cell["before"]
    ]
    return "; ".join(lines)


def _end(lease: Lease, upload: Upload, status: UploadStatus, details: str, delivery_status: DeliveryStatus) -> None:
    now = timezone.now()
    ended = upload.deliveries.open().filter(is_live=False)
    ended.update(status=delivery_status, error_text=details, finished_at=now, next_action_at=None, updated_at=now)
    lease.update(status=status, details=details, finished_at=now, next_action_at=None, progress={})


def crashed(lease: Lease, reference: str) -> None:
    """A fault of ours: the upload fails and shows the reference; nothing was sent."""
    upload = Upload.objects.get(pk=lease.pk)
    text = f"Stopped because of a fault in AudSync (reference {reference}). Nothing was sent."
    _end(lease, upload, UploadStatus.FAILED, text, DeliveryStatus.FAILED)
