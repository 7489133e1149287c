"""Deleting every stored file that holds an erased person: originals, members, changes, reports, old memberships."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from segments.models import DestinationStatus

from . import files
from .engine.finding import changes_hold, members_hold, text_holds
from .models import Delivery, Part, Snapshot, Upload
from .persons import Person

Holds = Callable[[Path, Collection[str]], bool]
AT_ONCE = 200


@dataclass
class Forgotten:
    """How many files went; `pending` when some are still in use, so that one has to come back."""

    files: int = 0
    pending: bool = False

    def drop(self, name: str) -> None:
        """Delete a stored file."""
        if name:
            files.delete(name)
            self.files += 1


def forget_person(company_id: int, person: Person, *, keep_upload_ids: Collection[object] = ()) -> Forgotten:
    """Delete what holds the person, except files that a delivery under way needs. Safe to run again.

    Uploads in `keep_upload_ids` (removals that have to be tried again) keep their one-member file.
    """
    done = Forgotten()
    for upload in _uploads(company_id):
        if upload.pk not in keep_upload_ids and _upload_holds(upload, person):
            _forget_upload(upload, done)
    for delivery in _deliveries(company_id):
        _forget_delivery(delivery, person, done)
    for snapshot in _old_snapshots(company_id):
        if _in_file(snapshot.file, members_hold, person.values_in(snapshot.destination.identifier)):
            _forget_snapshot(snapshot, done)
    return done


def _uploads(company_id: int) -> Iterator[Upload]:
    kept = ~Q(original="") | ~Q(members_file="") | ~Q(report="")
    rows: Iterator[Upload] = Upload.objects.filter(kept, company_id=company_id).iterator(AT_ONCE)
    return rows


def _upload_holds(upload: Upload, person: Person) -> bool:
    if upload.members_file:
        if _in_file(upload.members_file, members_hold, person.values_in(upload.kind)):
            return True
    elif _in_file(upload.original, text_holds, person.all_values):
        return True
    return _in_file(upload.report, text_holds, person.all_values)


def _in_file(name: str, holds: Holds, values: Collection[str]) -> bool:
    if not values or not files.exists(name):
        return False
    with files.local_file(name) as path:
        return holds(path, values)


def _forget_upload(upload: Upload, done: Forgotten) -> None:
    if not upload.has_ended:
        done.pending = True
        return
    for name in (upload.original, upload.members_file, upload.report):
        done.drop(name)
    now = timezone.now()
    gone = {"original_gone_at": upload.original_gone_at or now, "report_gone_at": upload.report_gone_at or now}
    Upload.objects.filter(pk=upload.pk).update(original="", members_file="", report="", **gone)
    for delivery in upload.deliveries.all():
        _drop_delivery_files(delivery, done)


def _deliveries(company_id: int) -> Iterator[Delivery]:
    kept = ~Q(changes_file="") | ~Q(held_report="") | ~Q(vendor_report="")
    rows = Delivery.objects.filter(kept, company_id=company_id).select_related("destination")
    found: Iterator[Delivery] = rows.iterator(AT_ONCE)
    return found


def _forget_delivery(delivery: Delivery, person: Person, done: Forgotten) -> None:
    values = person.values_in(delivery.destination.identifier)
    holds = _in_file(delivery.changes_file, changes_hold, values)
    holds = holds or any(_in_file(name, text_holds, person.all_values) for name in _reports(delivery))
    if not holds:
        return
    if not delivery.has_ended:
        done.pending = True
        return
    _drop_delivery_files(delivery, done)


def _reports(delivery: Delivery) -> list[str]:
    """Every report of a delivery, those of single parts included."""
    folder = f"company-{delivery.company_id}/upload-{delivery.upload_id}/delivery-{delivery.pk}"
    numbers = Part.objects.filter(delivery=delivery, refused__gt=0).values_list("number", flat=True)
    of_parts = [
        name for number in numbers for name in (f"{folder}/refused-{number}.csv.gz", f"{folder}/vendor-report-{number}")
    ]
    return [delivery.held_report, delivery.vendor_report, *of_parts]


def _drop_delivery_files(delivery: Delivery, done: Forgotten) -> None:
    for name in (delivery.changes_file, *_reports(delivery)):
        if files.exists(name):
            done.drop(name)
    Delivery.objects.filter(pk=delivery.pk).update(changes_file="", held_report="", vendor_report="")


def _old_snapshots(company_id: int) -> Iterator[Snapshot]:
    """Memberships that are no destination's present one any more."""
    old = Q(superseded_at__isnull=False) | Q(destination__status=DestinationStatus.RELEASED)
    rows = Snapshot.objects.filter(old, destination__segment__company_id=company_id).exclude(file="")
    found: Iterator[Snapshot] = rows.select_related("destination").iterator(AT_ONCE)
    return found


def _forget_snapshot(snapshot: Snapshot, done: Forgotten) -> None:
    in_use = Q(base_snapshot=snapshot) | Q(source_snapshot=snapshot)
    if Delivery.objects.open().filter(in_use).exists():
        done.pending = True
        return
    done.drop(snapshot.file)
    snapshot.delete()
