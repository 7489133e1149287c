"""Deleting every stored file that holds an erased person: originals, members, changes, reports, old memberships, and
what has arrived of files that were never finished."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from audsync_web.vendors.connectors.telephone import phone_region
from segments.models import DestinationStatus
from uploads import files
from uploads.delivery.reports import report_names
from uploads.engine.finding import changes_hold, members_hold, members_matching, members_without, text_holds
from uploads.intake.partials import arrived_bytes, partial_sweep
from uploads.intake.sources import chunk_names
from uploads.membership.erased import PHONE
from uploads.membership.snapshots import ends_of
from uploads.models import Delivery, PartialUpload, Snapshot, SourcePull, Upload

from .persons import Person

Holds = Callable[[Path, Collection[str]], bool]
AT_ONCE = 200


@dataclass
class Forgotten:
    """How many files went; `pending` when some are still in use, so that one has to come back."""

    files: int = 0
    pending: bool = False
    uploads: list[Upload] = field(default_factory=list)
    """Uploads under way whose files hold the person: those have to end first."""

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
    for unfinished in PartialUpload.objects.filter(company_id=company_id, upload__isnull=True).iterator(AT_ONCE):
        _forget_partial(unfinished, person, done)
    for pull in SourcePull.objects.filter(company_id=company_id, finished_at__isnull=True, chunks__gt=0):
        # Its pages become an upload's original, or go with it.
        done.pending |= any(_in_file(name, text_holds, person.all_values) for name in chunk_names(pull))
    for upload in _uploads(company_id):
        if upload.pk not in keep_upload_ids and _upload_holds(upload, person):
            _forget_upload(upload, done)
    for delivery in _deliveries(company_id):
        _forget_delivery(delivery, person, done)
    for snapshot in _old_snapshots(company_id):
        kind = snapshot.destination.identifier
        region = phone_region(snapshot.destination.vendor_account.settings, kind)
        held = (snapshot.file, snapshot.uncertain_file)
        if any(_in_members(name, person, kind, region) for name in held):
            _forget_snapshot(snapshot, person, region, done)
    return done


def _forget_partial(partial: PartialUpload, person: Person, done: Forgotten) -> None:
    """A resumable upload that was left lying goes; one that is being sent now becomes an upload first."""
    with arrived_bytes(partial) as path:
        if path is None or not text_holds(path, person.all_values):
            return
    if partial_sweep(partial):
        done.files += 1
    else:
        done.pending = True


def _uploads(company_id: int) -> Iterator[Upload]:
    kept = ~Q(original="") | ~Q(members_file="") | ~Q(report="")
    rows: Iterator[Upload] = Upload.objects.filter(kept, company_id=company_id).iterator(AT_ONCE)
    return rows


def _upload_holds(upload: Upload, person: Person) -> bool:
    if upload.members_file:
        if _in_members(upload.members_file, person, upload.kind):
            return True
    elif _in_file(upload.original, text_holds, person.all_values):
        return True
    return _in_file(upload.report, text_holds, person.all_values)


def _in_file(name: str, holds: Holds, values: Collection[str]) -> bool:
    if not values or not files.exists(name):
        return False
    with files.local_file(name) as path:
        return holds(path, values)


def _in_members(name: str, person: Person, kind: str, region: str = "") -> bool:
    """Whether a members file or snapshot has the person; telephone numbers are found in any spelling."""
    test = person.number_test(region) if kind == PHONE else None
    return _in_file(name, members_hold, person.values_in(kind)) or (
        test is not None and _in_file(name, lambda path, _: bool(members_matching(path, test)), [person.value])
    )


def is_under_way(upload: Upload) -> bool:
    """Whether something may still happen to it: one that is held until its segment is published has ended, and its
    delivery has not."""
    return not upload.has_ended or bool(upload.deliveries.open().exists())


def _forget_upload(upload: Upload, done: Forgotten) -> None:
    if is_under_way(upload):
        done.pending = True
        done.uploads.append(upload)
        return
    for name in (upload.original, upload.members_file, upload.report):
        done.drop(name)
    now = timezone.now()
    gone = {"original_gone_at": upload.original_gone_at or now, "report_gone_at": upload.report_gone_at or now}
    Upload.objects.filter(pk=upload.pk).update(original="", members_file="", report="", **gone)
    for delivery in upload.deliveries.all():
        _drop_delivery_files(delivery, done)


def _deliveries(company_id: int) -> Iterator[Delivery]:
    kept = ~Q(changes_file="") | ~Q(held_report="") | ~Q(vendor_report="") | Q(refused__gt=0)
    rows = Delivery.objects.filter(kept, company_id=company_id).select_related("destination", "upload")
    found: Iterator[Delivery] = rows.iterator(AT_ONCE)
    return found


def delivery_holds(delivery: Delivery, person: Person) -> bool:
    """Whether a delivery's changes have the person, whatever they do to them."""
    return _in_file(delivery.changes_file, changes_hold, person.values_in(delivery.destination.identifier))


def _forget_delivery(delivery: Delivery, person: Person, done: Forgotten) -> None:
    holds = delivery_holds(delivery, person)
    holds = holds or any(_in_file(name, text_holds, person.all_values) for name in report_names(delivery))
    if not holds:
        return
    if not delivery.has_ended:
        done.pending = True
        if delivery.upload not in done.uploads:
            done.uploads.append(delivery.upload)
        return
    _drop_delivery_files(delivery, done)


def _drop_delivery_files(delivery: Delivery, done: Forgotten) -> None:
    for name in (delivery.changes_file, *report_names(delivery)):
        if files.exists(name):
            done.drop(name)
    Delivery.objects.filter(pk=delivery.pk).update(changes_file="", held_report="", vendor_report="")


def _old_snapshots(company_id: int) -> Iterator[Snapshot]:
    """Memberships that are no destination's present one any more, and those of removed destinations."""
    old = Q(superseded_at__isnull=False) | Q(destination__status=DestinationStatus.RELEASED)
    rows = Snapshot.objects.filter(old, destination__segment__company_id=company_id).exclude(file="")
    found: Iterator[Snapshot] = rows.select_related("destination__vendor_account").iterator(AT_ONCE)
    return found


def _forget_snapshot(snapshot: Snapshot, person: Person, region: str, done: Forgotten) -> None:
    in_use = Q(base_snapshot=snapshot) | Q(source_snapshot=snapshot)
    if Delivery.objects.open().filter(in_use).exists():
        done.pending = True
    elif snapshot.superseded_at is None:
        _leave_out(snapshot, person, region, done)
    else:
        done.drop(snapshot.file)
        done.drop(snapshot.uncertain_file)
        snapshot.delete()


def _leave_out(snapshot: Snapshot, person: Person, region: str, done: Forgotten) -> None:
    """Write the present membership of a removed destination anew. The vendor may still hold the others, and has to be
    told of them again with each member of another segment (`Connector.asks_for_neighbours`)."""
    before = (snapshot.file, snapshot.uncertain_file)
    snapshot.file, snapshot.members = _rewritten(snapshot, snapshot.file, person, region)
    snapshot.uncertain_file, snapshot.uncertain = _rewritten(snapshot, snapshot.uncertain_file, person, region)
    if snapshot.file:
        with files.local_file(snapshot.file) as path:
            snapshot.ends = ends_of(path)
    snapshot.save(update_fields=["file", "members", "uncertain_file", "uncertain", "ends"])
    for name in before:
        if name not in (snapshot.file, snapshot.uncertain_file):
            done.drop(name)


def _rewritten(snapshot: Snapshot, name: str, person: Person, region: str) -> tuple[str, int]:
    """A file without the person: its name and how many are left in it; no name for nobody."""
    if not files.exists(name):
        return "", 0
    kind = snapshot.destination.identifier
    test = person.number_test(region) if kind == PHONE else None
    new = f"{name}-{uuid.uuid4().hex[:8]}"
    with files.local_file(name) as path:
        spelt = members_matching(path, test) if test is not None else []
        with files.new_file(new) as out:
            left = members_without(path, {*person.values_in(kind), *spelt}, out)
    if left:
        return new, left
    files.delete(new)
    return "", 0
