"""Undo: bring the memberships back to what they were before an upload, looked at like a replace before anything leaves.

A destination can be brought back while the upload was the last that changed it and the membership of before is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.people import audit
from audsync_web.people.actors import Actor, NotAllowed
from uploads import files
from uploads.models import Delivery, DeliveryStatus, Mode, Snapshot, Upload, UploadStatus
from uploads.services import UploadConflict, require_uploadable
from uploads.settling import newest_deliveries

_CHANGED_SOMETHING = {DeliveryStatus.COMPLETED, DeliveryStatus.PARTIAL}


@dataclass(frozen=True)
class Undoable:
    """One destination of an upload: the membership to go back to, or why that cannot be."""

    delivery: Delivery
    before: Snapshot | None
    reason: str = ""


def undo_choices(upload: Upload) -> list[Undoable]:
    """Every destination that the upload changed, and whether that can be undone."""
    deliveries = [row for row in newest_deliveries(upload) if row.status in _CHANGED_SOMETHING and row.sent]
    current = Snapshot.objects.filter(
        destination__in=[row.destination_id for row in deliveries], superseded_at__isnull=True
    )
    newest = {row.destination_id: row for row in current}
    kept = Snapshot.objects.select_related("destination").in_bulk(
        [row.base_snapshot_id for row in deliveries if row.base_snapshot_id]
    )
    return [_undoable(row, newest.get(row.destination_id), kept.get(row.base_snapshot_id or 0)) for row in deliveries]


def _undoable(delivery: Delivery, current: Snapshot | None, before: Snapshot | None) -> Undoable:
    if current is None or current.delivery_id != delivery.pk:
        return Undoable(delivery, None, "A later delivery has changed it since.")
    if before is None or (before.file and not files.exists(before.file)):
        return Undoable(delivery, None, "The membership of before is no longer kept.")
    return Undoable(delivery, before)


def undo_begin(*, actor: Actor, upload: Upload, hold: bool) -> Upload:
    """Make the upload that brings the destinations back. With `hold` it waits until somebody has looked and said go.

    Raises `UploadConflict` where nothing can be undone, with the reasons.
    """
    if not actor.may_handle(upload.uploaded_by_id):
        raise NotAllowed("Only whoever uploaded it, a client success manager or an admin may undo it.")
    require_uploadable(upload.segment)
    if not upload.has_ended:
        raise UploadConflict("This upload is still under way; cancel it, or wait for its end.")
    choices = undo_choices(upload)
    sources = {row.delivery.destination_id: row.before for row in choices if row.before is not None}
    if not sources:
        raise UploadConflict(_why_not(choices))
    with transaction.atomic():
        made = _undo_upload(actor, upload, sources, hold)
        made.save(force_insert=True)
        audit.record(actor, "upload.undo", upload, name=str(upload), upload=str(made.pk))
        wake("uploads.inspection", made.pk)
    return made


def _why_not(choices: Iterable[Undoable]) -> str:
    told = [f"{row.delivery.destination.vendor_account.name}: {row.reason}" for row in choices]
    return " ".join(told) or "This upload changed nothing, so there is nothing to undo."


def _undo_upload(actor: Actor, upload: Upload, sources: dict[int, Snapshot], hold: bool) -> Upload:
    # The memberships of before are one each; the upload shows the largest of them.
    members = max(row.members for row in sources.values())
    kinds = {row.destination.identifier for row in sources.values()}
    return Upload(
        company=actor.company,
        segment=upload.segment,
        uploaded_by=actor.user,
        via=actor.via,
        origin={"undo": {"upload": str(upload.pk), "sources": {str(key): row.pk for key, row in sources.items()}}},
        file_name=f"Undo of {upload.shown_name}"[:255],
        status=UploadStatus.INSPECTING,
        mode=Mode.REPLACE,
        kind=kinds.pop() if len(kinds) == 1 else "provider_id",
        checked=True,
        hold=hold,
        records=members,
        members=members,
        duplicates=0,
        lane="inspection",
        next_action_at=timezone.now(),
    )


def undo_sources(upload: Upload) -> dict[int, Snapshot] | None:
    """The memberships that an undo goes back to, by destination; None for an upload that is none."""
    named = upload.origin.get("undo", {}).get("sources")
    if named is None:
        return None
    found = Snapshot.objects.in_bulk(list(named.values()))
    if len(found) != len(named):
        raise UploadConflict("The membership of before is no longer kept, so this cannot be undone any more.")
    return {int(destination): found[pk] for destination, pk in named.items()}
