"""Finding one person: a job looks them up in every acknowledged membership, without reading files whole."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.jobs.kinds import on_housekeeping
from audsync_web.jobs.leases import Lease
from audsync_web.people import audit
from audsync_web.people.actors import Actor
from segments.models import Destination, DestinationStatus

from . import files
from .engine.snapshot import Row, SnapshotReader
from .erasing import ask_vendors
from .membership import EPOCH, day_of
from .models import Snapshot, Upload
from .models_erasing import PersonSearch, SearchStatus
from .persons import Person, fault_of, person_of

SLICE_SECONDS = 8.0
PERSON_KEPT = timedelta(days=1)
SEARCH_KEPT = timedelta(days=30)


def search_begin(*, actor: Actor, value: str, kind: str = "", identity_name: str = "") -> PersonSearch:
    """Start to look for a person. Managers only; raises `ValidationError` with the fields at fault."""
    actor.require_manager()
    if faults := fault_of(value, kind):
        raise ValidationError(faults)
    person = Person(value.strip(), kind, identity_name.strip())
    with transaction.atomic():
        search = PersonSearch.objects.create(
            company=actor.company,
            asked_by=actor.user,
            via=actor.via,
            person=person.stored(),
            kinds=person.kinds,
            total=_destinations(actor.company.pk).count(),
            lane="person",
            next_action_at=timezone.now(),
        )
        audit.record(actor, "person.search", search, kinds=[kind] if kind else ["any"])
        wake("uploads.search", search.pk)
    return search


def _destinations(company_id: int) -> Any:
    """Every destination that somebody could be in, those that were removed included while their membership is kept."""
    rows = Destination.objects.filter(segment__company_id=company_id)
    return rows.select_related("segment", "vendor_account").order_by("pk")


def advance(lease: Lease) -> None:
    """One slice of a search; the destinations looked into are counted, so that it goes on after a dead worker."""
    search = PersonSearch.objects.select_related("company").get(pk=lease.pk)
    if search.status != SearchStatus.RUNNING or search.person is None:
        lease.update(next_action_at=None)
        return
    person = person_of(search.person)
    deadline = time.monotonic() + SLICE_SECONDS
    for destination in _destinations(search.company_id)[search.searched :].iterator():
        _look_into(search, destination, person)
        search.searched += 1
        if time.monotonic() > deadline:
            _save(lease, search)
            lease.update(next_action_at=timezone.now())
            return
    search.profiles = ask_vendors(search.company_id, person)
    _save(lease, search)
    lease.update(status=SearchStatus.COMPLETED, finished_at=timezone.now(), next_action_at=None)


def _save(lease: Lease, search: PersonSearch) -> None:
    names = ("searched", "findings", "profiles", "unknown")
    lease.update(**{name: getattr(search, name) for name in names})


def _look_into(search: PersonSearch, destination: Destination, person: Person) -> None:
    values = person.values_in(destination.identifier)
    snapshot = Snapshot.objects.filter(destination=destination, superseded_at__isnull=True).first()
    row = _find(snapshot, values) if snapshot is not None else None
    if row is not None:
        search.findings.append(_where(destination) | _since(row))
    elif values and not destination.membership_known and destination.status != DestinationStatus.RELEASED:
        search.unknown.append(_where(destination))


def _find(snapshot: Snapshot, values: list[str]) -> Row | None:
    if not values or not files.exists(snapshot.file):
        return None
    with files.local_file(snapshot.file) as path, SnapshotReader(path) as reader:
        return next((row for value in values if (row := reader.find(value)) is not None), None)


def _where(destination: Destination) -> dict[str, Any]:
    return {
        "destination": destination.pk,
        "segment": destination.segment_id,
        "segmentName": destination.segment.name,
        "account": destination.vendor_account_id,
        "accountName": destination.vendor_account.name,
        "vendor": destination.vendor_account.vendor,
        "kind": destination.identifier,
        "released": destination.status == DestinationStatus.RELEASED,
    }


def _since(row: Row) -> dict[str, Any]:
    upload = Upload.objects.filter(pk=row.upload).first() if row.upload else None
    ends_on: date | None = EPOCH + timedelta(days=row.day) if row.day else None
    return {
        "upload": str(upload.pk) if upload else None,
        "uploadName": upload.file_name if upload else "",
        "since": upload.created_at.isoformat() if upload else None,
        "endsOn": ends_on.isoformat() if ends_on else None,
        "expired": bool(row.day) and row.day < day_of(timezone.now().date()),
    }


def crashed(lease: Lease, reference: str) -> None:
    """A fault of ours: the search fails and shows the reference."""
    text = f"Stopped because of a fault in AudSync (reference {reference})."
    lease.update(status=SearchStatus.FAILED, error_text=text, finished_at=timezone.now(), next_action_at=None)


@on_housekeeping
def forget_searches() -> None:
    """What was searched for is forgotten after a day, the search itself after thirty."""
    now = timezone.now()
    PersonSearch.objects.filter(created_at__lt=now - PERSON_KEPT, person__isnull=False).update(person=None)
    PersonSearch.objects.filter(created_at__lt=now - SEARCH_KEPT).delete()
