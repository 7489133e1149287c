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
from audsync_web.vendors.connectors.identifiers import KINDS, PLAIN
from audsync_web.vendors.connectors.telephone import phone_region
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, DestinationStatus
from uploads import files
from uploads.engine.finding import members_matching
from uploads.engine.snapshot import Row, SnapshotReader
from uploads.membership.erased import PHONE
from uploads.membership.snapshots import EPOCH, current_snapshot, day_of
from uploads.models import PersonSearch, SearchStatus, Snapshot, Upload

from .asking import ask_vendors
from .persons import Person, fault_of, person_of

SLICE_SECONDS = 8.0
PERSON_KEPT = timedelta(days=1)
SEARCH_KEPT = timedelta(days=30)


def search_begin(*, actor: Actor, value: str, kind: str = "", identity_name: str = "") -> PersonSearch:
    """Start to look for a person. Managers only; raises `ValidationError` with the fields at fault."""
    actor.require_manager()
    if faults := fault_of(value, kind):
        raise ValidationError(faults)
    person = Person(value.strip(), kind, identity_name.strip(), _regions(actor.company.pk))
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


def _regions(company_id: int) -> tuple[str, ...]:
    """The countries that the company's accounts take telephone numbers for which name none."""
    accounts = VendorAccount.objects.filter(company_id=company_id)
    return tuple(sorted({region for row in accounts if (region := phone_region(row.settings, PHONE))}))


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
    row = member_row(destination, person)
    may_be_there = bool(person.values_in(destination.identifier))
    if row is not None:
        search.findings.append(_where(destination) | _since(row))
    elif may_be_there and not destination.membership_known and destination.status != DestinationStatus.RELEASED:
        search.unknown.append(_where(destination))


def member_row(destination: Destination, person: Person) -> Row | None:
    """The person among the members that a destination's vendor has acknowledged, or perhaps has; None for nobody."""
    snapshot = current_snapshot(destination)
    if snapshot is None:
        return None
    row = _find(snapshot, person.values_in(destination.identifier))
    return row or _find(snapshot, spellings_in(snapshot, destination, person))


def spellings_in(snapshot: Snapshot, destination: Destination, person: Person) -> list[str]:
    """How a telephone number is written in a membership that was fed as it came; the file is read whole for it."""
    region = phone_region(destination.vendor_account.settings, destination.identifier)
    test = person.number_test() if destination.identifier == PHONE and not region else None
    found: list[str] = []
    for name in (snapshot.file, snapshot.uncertain_file):
        if test is not None and files.exists(name):
            with files.local_file(name) as path:
                found += members_matching(path, test)
    return found


def values_to_remove(destination: Destination, person: Person) -> list[str]:
    """What names the person in one destination's membership. Where that is not known, every value is sent there."""
    if destination.identifier != PHONE:
        rule = KINDS[destination.identifier].rule if destination.identifier in KINDS else PLAIN
        # Nobody is there under a value that the kind cannot have.
        return [value for value in person.values_in(destination.identifier) if rule.accepts(value)]
    snapshot = current_snapshot(destination)
    written = spellings_in(snapshot, destination, person) if snapshot is not None else []
    known = destination.membership_known or PHONE not in person.kinds
    usual = person.values_in(PHONE) if known else person.forms_at_vendor(PHONE)
    return sorted({*usual, *written})


def can_be_in(destination: Destination, person: Person) -> bool:
    """Whether anything could name the person at a destination; told by the kinds alone, without a file."""
    if destination.identifier == PHONE:
        return PHONE in person.kinds
    return bool(values_to_remove(destination, person))


def _find(snapshot: Snapshot, values: list[str]) -> Row | None:
    """The person among the acknowledged members, else among those of whom nobody knows whether they are there."""
    for name in (snapshot.file, snapshot.uncertain_file):
        if values and files.exists(name):
            with files.local_file(name) as path, SnapshotReader(path) as reader:
                found = next((row for value in values if (row := reader.find(value)) is not None), None)
            if found is not None:
                return found
    return None


def _where(destination: Destination) -> dict[str, Any]:
    return {
        "destination": destination.pk,
        "segment": destination.segment_id,
        "segmentName": destination.segment.name,
        "account": destination.vendor_account_id,
        "accountName": destination.vendor_account.name,
        "vendor": destination.vendor_account.vendor,
        "kind": destination.identifier,
        "released": (released := destination.status == DestinationStatus.RELEASED),
        # AudSync removes nobody there any more, and the vendor may still have them.
        "left": released and destination.is_left_there,
    }


def _since(row: Row) -> dict[str, Any]:
    upload = Upload.objects.filter(pk=row.upload).first() if row.upload else None
    ends_on: date | None = EPOCH + timedelta(days=row.day) if row.day else None
    return {
        "upload": str(upload.pk) if upload else None,
        "uploadName": upload.shown_name if upload else "",
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
