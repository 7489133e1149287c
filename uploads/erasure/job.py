"""Erasing one person: a tracked removal for every destination, the vendors' own erasure, the files, the receipt.

What is decided is stored at once, and the person is kept out from then on; what has to look into files is the job's.
Nothing that cannot be undone is repeated by itself: a call whose answer was lost is looked into, and where the person
is still there somebody decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.jobs.leases import Lease
from audsync_web.people import audit
from audsync_web.people.actors import Actor
from segments.models import Destination
from uploads import files
from uploads.engine.ending import write_members
from uploads.lifecycle.derived import begin_delivery, new_upload
from uploads.membership.erased import hashes_of
from uploads.models import (
    Delivery,
    ErasedHash,
    Erasure,
    ErasureStatus,
    ErasureStep,
    Mode,
    PersonSearch,
    SearchStatus,
    Snapshot,
    StepStatus,
    StepWhat,
    Upload,
    UploadStatus,
)
from uploads.services import UploadConflict, upload_folder

from .forgetting import delivery_holds
from .left import left_steps
from .persons import Person, person_of
from .searching import can_be_in, member_row, values_to_remove
from .steps import LOOK_SELDOM_SECONDS, NOT_THERE, STEPS_OPEN, asker, bring_on, forget_files, settle

LOOK_AGAIN_SECONDS = 1.0


# --- begin -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EraseWish:
    """What somebody decided: the identifier typed again, which destinations (None: all found), and the vendors' own
    erasure of identities and profiles."""

    confirm: str
    destinations: Collection[int] | None = None
    identities: bool = True
    profiles: bool = False


def erase_begin(*, actor: Actor, search: PersonSearch, wish: EraseWish) -> Erasure:
    """Remove a person who was found: everywhere, and for good. Managers only.

    Raises `UploadConflict` when the search has not ended or was forgotten, `ValidationError` for a wrong confirmation
    or when nobody can tell the identifier's kind.
    """
    actor.require_manager()
    if search.status != SearchStatus.COMPLETED:
        raise UploadConflict("The search has not ended yet.")
    if search.person is None:
        raise UploadConflict("What was searched for is no longer kept; search again.")
    person = person_of(search.person)
    if wish.confirm.strip() != person.value:
        raise ValidationError({"confirm": "is not the identifier that was searched for"})
    chosen = _chosen(search, wish)
    kinds = person.sure_kinds or sorted({row["kind"] for row in chosen})
    if not kinds:
        raise ValidationError({"kind": "cannot be told; search again and choose the kind of identifier"})
    with transaction.atomic():
        if not PersonSearch.objects.filter(pk=search.pk, person__isnull=False).update(person=None):
            raise UploadConflict("What was searched for is no longer kept; search again.")
        erasure = Erasure.objects.create(
            company=actor.company,
            search=search,
            asked_by=actor.user,
            via=actor.via,
            person=person.stored(),
            kinds=kinds,
            lane="person",
            next_action_at=timezone.now(),
        )
        _keep_out(erasure, person, kinds, {row["kind"] for row in chosen})
        _store_decision(erasure, person, search, wish, chosen)
        taken = erasure.steps.exclude(status=StepStatus.LEFT).count()
        audit.record(actor, "person.erase", erasure, kinds=kinds, steps=taken)
        wake("uploads.erasure", erasure.pk)
    return erasure


def _chosen(search: PersonSearch, wish: EraseWish) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = search.findings
    return [row for row in rows if wish.destinations is None or row["destination"] in wish.destinations]


def _keep_out(erasure: Erasure, person: Person, kinds: Iterable[str], found_as: Iterable[str]) -> None:
    """Store keyed hashes of the identifier in every kind that it is, becomes, or was found as."""
    known: dict[tuple[str, bytes], ErasedHash] = {}
    named = [(kind, person.value) for kind in kinds]
    named += [(kind, value) for kind in found_as if kind not in kinds for value in person.values_in(kind)]
    for kind, value in named:
        for row in hashes_of(kind, value, person.regions):
            row.company_id, row.erasure = erasure.company_id, erasure
            known.setdefault((row.kind, bytes(row.digest)), row)
    ErasedHash.objects.bulk_create(known.values())


def _store_decision(
    erasure: Erasure, person: Person, search: PersonSearch, wish: EraseWish, chosen: list[dict[str, Any]]
) -> None:
    """The steps that can be told without a file: where the person was found, and where one is being planned just now,
    perhaps without knowing of the erasure yet. The job makes their removals, and adds what else is needed."""
    found = {row["destination"] for row in chosen if not row["released"]}
    declined = {row["destination"] for row in search.findings} - {row["destination"] for row in chosen}
    for destination in _current(erasure, found | (_being_planned(erasure.company_id) - declined)):
        if destination.pk in found or can_be_in(destination, person):
            _add_step(erasure, destination)
    wanted: dict[str, bool] = {StepWhat.IDENTITY: wish.identities, StepWhat.PROFILE: wish.profiles}
    for row in search.profiles:
        if wanted[row["what"]] and (row["count"] or row["error"]):
            ErasureStep.objects.create(
                erasure=erasure, what=row["what"], vendor_account_id=row["account"], name=row["name"]
            )
    destinations = {row["destination"] for row in chosen}
    ErasureStep.objects.bulk_create(left_steps(erasure, search, chosen=destinations, vendors_asked=wanted))


def _current(erasure: Erasure, keys: Collection[int]) -> list[Destination]:
    rows = Destination.objects.current().filter(pk__in=keys, segment__company_id=erasure.company_id)
    return list(rows.select_related("segment", "vendor_account").order_by("pk"))


def _add_step(erasure: Erasure, destination: Destination) -> None:
    ErasureStep.objects.create(
        erasure=erasure,
        what=StepWhat.REMOVAL,
        destination=destination,
        vendor_account=destination.vendor_account,
        at=timezone.now(),
    )


def _removal(actor: Actor, erasure: Erasure, destination: Destination, values: list[str]) -> Upload:
    """An upload of this one person that removes them from one destination, and stands in the history like any other."""
    upload = new_upload(
        actor=actor,
        destination=destination,
        mode=Mode.REMOVE,
        name="Removal of one person",
        members=len(values),
        origin={"erasure": str(erasure.pk)},
    )
    upload.members_file = f"{upload_folder(actor.company.pk, upload.pk)}/members"
    with files.new_file(upload.members_file) as out:
        write_members(values, out)
    upload.save(force_insert=True)
    begin_delivery(upload, destination)
    return upload


# --- the job ---------------------------------------------------------------------------------------------------------


def _plan(erasure: Erasure, person: Person) -> None:
    """Add what the decision could not name: destinations that the person came to after the search, or may be brought to
    by something under way; and the files. The files' step comes last: where there is one, this has been done."""
    if erasure.steps.filter(what=StepWhat.FILES).exists():
        return
    removals = erasure.steps.filter(what=StepWhat.REMOVAL).exclude(status=StepStatus.LEFT)
    decided = set(removals.values_list("destination_id", flat=True))
    # What was found and is no step was declined.
    shown = {row["destination"] for row in erasure.search.findings} if erasure.search else set()
    later = _being_planned(erasure.company_id) | _brought_to(erasure.company_id, person) | _came_to(erasure, person)
    missing = [row for row in _current(erasure, later - shown - decided) if can_be_in(row, person)]
    with transaction.atomic():
        for destination in missing:
            _add_step(erasure, destination)
        ErasureStep.objects.create(erasure=erasure, what=StepWhat.FILES)


def _being_planned(company_id: int) -> set[int]:
    """Destinations of deliveries that are being planned now. Those that are planned later hold the person back."""
    rows = Delivery.objects.open().filter(planned_at=None, upload__status=UploadStatus.DELIVERING)
    return set(rows.filter(company_id=company_id).values_list("destination_id", flat=True))


def _brought_to(company_id: int, person: Person) -> set[int]:
    """Destinations of open deliveries whose changes hold the person."""
    rows = Delivery.objects.open().filter(company_id=company_id, planned_at__isnull=False)
    return {row.destination_id for row in rows.select_related("destination") if delivery_holds(row, person)}


def _came_to(erasure: Erasure, person: Person) -> set[int]:
    """Destinations where the person is by a membership that was acknowledged after the search had begun."""
    since = erasure.search.created_at if erasure.search else erasure.created_at
    rows = Snapshot.objects.filter(
        destination__segment__company_id=erasure.company_id, superseded_at__isnull=True, created_at__gte=since
    )
    destinations = [row.destination for row in rows.select_related("destination__vendor_account")]
    return {destination.pk for destination in destinations if member_row(destination, person) is not None}


def _make_removals(lease: Lease, erasure: Erasure, person: Person) -> None:
    """The uploads of the removals that have none yet. Where nothing can name the person there is nothing to remove."""
    rows = erasure.steps.filter(what=StepWhat.REMOVAL, status=StepStatus.WAITING, upload=None)
    for step in rows.select_related("destination__segment", "destination__vendor_account"):
        if (destination := step.destination) is None:
            continue
        values = values_to_remove(destination, person)
        lease.check()
        if not values:
            settle(step, StepStatus.DONE, NOT_THERE, 0)
            continue
        with transaction.atomic():
            upload = _removal(asker(erasure), erasure, destination, values)
            ErasureStep.objects.filter(pk=step.pk).update(upload=upload)


def advance(lease: Lease) -> None:
    """One slice of an erasure: bring every step on; the files go when all removals have ended."""
    erasure = Erasure.objects.select_related("company", "asked_by", "search").get(pk=lease.pk)
    if erasure.person is None or erasure.status == ErasureStatus.COMPLETED:
        lease.update(next_action_at=None)
        return
    person = person_of(erasure.person)
    _plan(erasure, person)
    _make_removals(lease, erasure, person)
    steps = list(erasure.steps.select_related("vendor_account", "upload", "erasure__company", "erasure__asked_by"))
    acts = [step for step in steps if step.what != StepWhat.FILES]
    waits = [bring_on(lease, step, person) for step in acts if step.status in STEPS_OPEN]
    seconds = min(filter(None, waits), default=0.0)
    if not seconds or (seconds >= LOOK_SELDOM_SECONDS and _files_untouched(steps)):
        # What is held up until somebody decides does not keep the files that nothing needs any more.
        later = forget_files(lease, erasure, person)
        seconds = seconds or later
    if seconds:
        lease.update(next_action_at=timezone.now() + timedelta(seconds=seconds))
        return
    _conclude(lease, erasure)


def _files_untouched(steps: list[ErasureStep]) -> bool:
    return any(step.what == StepWhat.FILES and step.status == StepStatus.WAITING and not step.text for step in steps)


def _conclude(lease: Lease, erasure: Erasure) -> None:
    failed = erasure.steps.filter(status=StepStatus.FAILED).exists()
    fields: dict[str, Any] = {"status": ErasureStatus.NEEDS_ATTENTION} if failed else {"person": None}
    if not failed:
        fields |= {"status": ErasureStatus.COMPLETED, "finished_at": timezone.now()}
    lease.update(next_action_at=None, **fields)


def crashed(lease: Lease, reference: str) -> None:
    """A fault of ours: the erasure stops where it is and shows the reference; it can be tried again."""
    text = f"Stopped because of a fault in AudSync (reference {reference})."
    lease.update(status=ErasureStatus.NEEDS_ATTENTION, error_text=text, next_action_at=None)


# --- again, and lifting ----------------------------------------------------------------------------------------------


def erase_retry(*, actor: Actor, erasure: Erasure) -> Erasure:
    """Try again what failed: somebody has looked and wants it repeated. Raises `UploadConflict` when nothing did."""
    actor.require_manager()
    with transaction.atomic():
        row: Erasure = Erasure.objects.select_for_update().get(pk=erasure.pk)
        if row.status != ErasureStatus.NEEDS_ATTENTION or row.person is None:
            raise UploadConflict("Nothing of this erasure has failed.")
        for step in row.steps.filter(status=StepStatus.FAILED):
            _again(step)
        row.status, row.error_text, row.next_action_at = ErasureStatus.RUNNING, "", timezone.now()
        row.save(update_fields=["status", "error_text", "next_action_at"])
        audit.record(actor, "person.erase_retry", row)
        wake("uploads.erasure", row.pk)
    return row


def _again(step: ErasureStep) -> None:
    fields: dict[str, Any] = {"status": StepStatus.WAITING, "text": "", "at": timezone.now()}
    if step.what == StepWhat.REMOVAL:
        fields["upload"] = None  # the job makes another
    ErasureStep.objects.filter(pk=step.pk).update(**fields)


def erase_lift(*, actor: Actor, erasure: Erasure) -> Erasure:
    """Let the person come back with later files. An admin's act; what was erased stays erased."""
    actor.require_admin()
    with transaction.atomic():
        row: Erasure = Erasure.objects.select_for_update().get(pk=erasure.pk)
        if row.lifted_at is not None:
            raise UploadConflict("This erasure was lifted before.")
        row.hashes.all().delete()
        row.lifted_at, row.lifted_by = timezone.now(), actor.user
        row.save(update_fields=["lifted_at", "lifted_by"])
        audit.record(actor, "person.erase_lift", row)
    return row
