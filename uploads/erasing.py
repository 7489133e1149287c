"""Erasing one person: a tracked removal for every destination, the vendors' own erasure, the files, the receipt.

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
from audsync_web.vendors.connectors.errors import ConnectorError, NotYet, UnknownOutcome
from audsync_web.vendors.models import AccountStatus, VendorAccount
from audsync_web.vendors.runtime import connector_for
from segments.models import Destination

from . import files
from .engine.ending import write_members
from .erased import forms_of, keyed_hash
from .forgetting import forget_person
from .models import Delivery, DeliveryStatus, Mode, Upload, UploadStatus
from .models_erasing import (
    ErasedHash,
    Erasure,
    ErasureStatus,
    ErasureStep,
    PersonSearch,
    SearchStatus,
    StepStatus,
    StepWhat,
)
from .persons import Person, person_of
from .services import UploadConflict, upload_folder

LOOK_AGAIN_SECONDS = 1.0
# Names under which Acoustic Exchange usually knows a kind; any other has to be given.
IDENTITY_NAMES = {"email": "email", "phone": "phone"}


# --- what vendors know of a person -----------------------------------------------------------------------------------


def ask_vendors(company_id: int, person: Person) -> list[dict[str, Any]]:
    """What vendors that hold profiles or identities answer about a person. No identifier is in the answer."""
    found = []
    for account in (
        VendorAccount.objects.filter(company_id=company_id).exclude(status=AccountStatus.DISCONNECTED).order_by("pk")
    ):
        capabilities = account.connector.capabilities
        if capabilities.identity:
            found += [_asked(account, StepWhat.IDENTITY, name, person) for name in identity_names(person)]
        elif capabilities.sources:
            found += [_asked(account, StepWhat.PROFILE, kind, person) for kind in _profile_kinds(account, person)]
    return found


def identity_names(person: Person) -> list[str]:
    """The names to ask an identity vendor for: the one that was given, else the usual ones of the person's kinds."""
    usual = [IDENTITY_NAMES[kind] for kind in person.kinds if kind in IDENTITY_NAMES]
    return [person.identity_name] if person.identity_name else usual


def _profile_kinds(account: VendorAccount, person: Person) -> list[str]:
    known = [kind for kind in person.kinds if kind in account.connector.identifier_rules]
    return ["email"] if "email" in known and not person.kind else known[:4]


def _asked(account: VendorAccount, what: StepWhat, name: str, person: Person) -> dict[str, Any]:
    answer = {"account": account.pk, "accountName": account.name, "vendor": account.vendor, "what": what, "name": name}
    try:
        with connector_for(account) as connector:
            count = _count(connector, what, name, person)
    except ConnectorError as error:
        return answer | {"count": None, "error": error.text}
    return answer | {"count": count, "error": ""}


def _count(connector: Any, what: str, name: str, person: Person) -> int:
    if what == StepWhat.IDENTITY:
        return len(connector.x1ids_of(name, _spelt(name, person)))
    return int(connector.find_profile(name, _spelt(name, person)) is not None)


def _spelt(name: str, person: Person) -> str:
    """The identifier as it is given to a vendor under a name or kind."""
    return forms_of(name, person.value).get(name, person.value.strip())


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
        _plan_steps(actor, erasure, person, search, wish, chosen)
        audit.record(actor, "person.erase", erasure, kinds=kinds, steps=erasure.steps.count())
        wake("uploads.erasure", erasure.pk)
    return erasure


def _chosen(search: PersonSearch, wish: EraseWish) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = search.findings
    return [row for row in rows if wish.destinations is None or row["destination"] in wish.destinations]


def _keep_out(erasure: Erasure, person: Person, kinds: Iterable[str], found_as: Iterable[str]) -> None:
    """Store keyed hashes of the identifier in every kind that it is, becomes, or was found as."""
    digests: dict[tuple[str, bytes], bool] = {}
    for kind in kinds:
        for form, value in forms_of(kind, person.value).items():
            digests.setdefault((form, keyed_hash(form, value)), form == kind)
    for kind in found_as:
        for value in person.values_in(kind):
            digests.setdefault((kind, keyed_hash(kind, value)), True)
    ErasedHash.objects.bulk_create(
        ErasedHash(company_id=erasure.company_id, erasure=erasure, kind=kind, digest=digest, given=given)
        for (kind, digest), given in digests.items()
    )


def _plan_steps(
    actor: Actor,
    erasure: Erasure,
    person: Person,
    search: PersonSearch,
    wish: EraseWish,
    chosen: list[dict[str, Any]],
) -> None:
    for destination in _to_clear(erasure, chosen, wish):
        values = person.values_in(destination.identifier)
        if values:
            _add_removal(actor, erasure, destination, values)
    for row in search.profiles:
        wanted = wish.identities if row["what"] == StepWhat.IDENTITY else wish.profiles
        if wanted and (row["count"] or row["error"]):
            ErasureStep.objects.create(
                erasure=erasure, what=row["what"], vendor_account_id=row["account"], name=row["name"]
            )
    ErasureStep.objects.create(erasure=erasure, what=StepWhat.FILES)


def _to_clear(erasure: Erasure, chosen: list[dict[str, Any]], wish: EraseWish) -> list[Destination]:
    """Where the person was found, and where something is under way that may bring them."""
    found = {row["destination"] for row in chosen if not row["released"]}
    if wish.destinations is None:
        busy = Delivery.objects.open().filter(company_id=erasure.company_id)
        found |= set(busy.values_list("destination_id", flat=True))
    rows = Destination.objects.current().filter(pk__in=found, segment__company_id=erasure.company_id)
    return list(rows.select_related("segment", "vendor_account").order_by("pk"))


def _add_removal(actor: Actor, erasure: Erasure, destination: Destination, values: list[str]) -> None:
    step = ErasureStep(
        erasure=erasure,
        what=StepWhat.REMOVAL,
        destination=destination,
        vendor_account=destination.vendor_account,
        upload=_removal(actor, erasure, destination, values),
        at=timezone.now(),
    )
    step.save()


def _removal(actor: Actor, erasure: Erasure, destination: Destination, values: list[str]) -> Upload:
    """An upload of this one person that removes them from one destination, and stands in the history like any other."""
    now = timezone.now()
    upload = Upload(
        company=actor.company,
        segment=destination.segment,
        uploaded_by=actor.user,
        via=actor.via,
        origin={"erasure": str(erasure.pk)},
        file_name="Removal of one person",
        status=UploadStatus.DELIVERING,
        mode=Mode.REMOVE,
        kind=destination.identifier,
        checked=True,
        records=len(values),
        members=len(values),
        duplicates=0,
        lane="inspection",
        accepted_at=now,
        started_at=now,
    )
    upload.members_file = f"{upload_folder(actor.company.pk, upload.pk)}/members"
    with files.new_file(upload.members_file) as out:
        write_members(values, out)
    upload.save(force_insert=True)
    made = Delivery.objects.create(
        company=actor.company,
        upload=upload,
        destination=destination,
        mode=Mode.REMOVE,
        lane=destination.vendor_account.lane,
        next_action_at=now,
    )
    wake("uploads.delivery", made.pk)
    return upload


# --- the job ---------------------------------------------------------------------------------------------------------


def advance(lease: Lease) -> None:
    """One slice of an erasure: bring every step on; the files go when all removals have ended."""
    erasure = Erasure.objects.get(pk=lease.pk)
    if erasure.person is None or erasure.status == ErasureStatus.COMPLETED:
        lease.update(next_action_at=None)
        return
    person = person_of(erasure.person)
    steps = list(erasure.steps.select_related("vendor_account", "upload"))
    acts = [step for step in steps if step.what != StepWhat.FILES]
    waits = [_bring_on(lease, step, person) for step in acts if step.status in {StepStatus.WAITING, StepStatus.DOING}]
    if any(waits):
        lease.update(next_action_at=timezone.now() + timedelta(seconds=max(waits)))
        return
    if _forget(lease, erasure, person, steps):
        _conclude(lease, erasure)


def _bring_on(lease: Lease, step: ErasureStep, person: Person) -> float:
    """Do what can be done of a step; the seconds until it is to be looked at again, 0 when it has ended."""
    if step.what == StepWhat.REMOVAL:
        return _follow_removal(step)
    if step.vendor_account is None or step.vendor_account.status == AccountStatus.DISCONNECTED:
        return _settle(step, StepStatus.FAILED, "The vendor account is no longer connected.")
    try:
        with connector_for(step.vendor_account) as connector:
            if step.status == StepStatus.DOING:
                # A worker died between the call and its answer.
                return _look_after_lost_answer(step, connector, person)
            return _act(lease, step, connector, person)
    except NotYet as later:
        return max(LOOK_AGAIN_SECONDS, later.retry_after or 0.0)
    except ConnectorError as error:
        return _settle(step, StepStatus.FAILED, f"{error.text} {error.next_step}".strip())


def _follow_removal(step: ErasureStep) -> float:
    delivery = step.upload.deliveries.order_by("pk").last() if step.upload else None
    if delivery is None:
        return _settle(step, StepStatus.FAILED, "The removal is no longer there.")
    if not delivery.has_ended:
        return LOOK_AGAIN_SECONDS
    if delivery.status == DeliveryStatus.COMPLETED:
        text = "Removed." if delivery.removes else "Was not there any more."
        return _settle(step, StepStatus.DONE, text, delivery.removes)
    reason = delivery.error_text or delivery.details
    return _settle(step, StepStatus.FAILED, f"{delivery.get_status_display()}. {reason}".strip())


def _act(lease: Lease, step: ErasureStep, connector: Any, person: Person) -> float:
    """The call that cannot be undone: its intent is stored before, its outcome after."""
    value = _spelt(step.name, person)
    if step.what == StepWhat.PROFILE:
        profile = connector.find_profile(step.name, value)
        if profile is None:
            return _settle(step, StepStatus.DONE, "No such profile.", 0)
        custom_id = profile.identifiers.get("custom_id")
        if not custom_id:
            return _settle(step, StepStatus.FAILED, "The profile has no custom id; erase it in Synerise by hand.")
    lease.check()
    ErasureStep.objects.filter(pk=step.pk).update(status=StepStatus.DOING, at=timezone.now())
    try:
        if step.what == StepWhat.PROFILE:
            count = int(connector.erase_profile(custom_id))
        else:
            count = connector.remove_identity(step.name, value)
    except UnknownOutcome:
        return _look_after_lost_answer(step, connector, person)
    except NotYet:
        ErasureStep.objects.filter(pk=step.pk).update(status=StepStatus.WAITING)
        raise
    text = "Erased." if count else "The vendor did not say how many it changed." if count is None else "Was not there."
    return _settle(step, StepStatus.DONE, text, count)


def _look_after_lost_answer(step: ErasureStep, connector: Any, person: Person) -> float:
    """The answer was lost: see whether the person is still there. It is never simply done again."""
    if _count(connector, step.what, step.name, person):
        text = "The answer was lost, and the person is still there. Try again if it is to be repeated."
        return _settle(step, StepStatus.FAILED, text)
    return _settle(step, StepStatus.DONE, "The answer was lost; a look shows that nobody is there any more.")


def _settle(step: ErasureStep, status: StepStatus, text: str, count: int | None = None) -> float:
    ErasureStep.objects.filter(pk=step.pk).update(status=status, text=text, count=count, at=timezone.now())
    return 0.0


def _forget(lease: Lease, erasure: Erasure, person: Person, steps: list[ErasureStep]) -> bool:
    """Delete the files; False when some are still in use and one has to come back."""
    again = erasure.steps.filter(what=StepWhat.REMOVAL, status=StepStatus.FAILED).values_list("upload_id", flat=True)
    done = forget_person(erasure.company_id, person, keep_upload_ids=set(again))
    lease.update(files_deleted=erasure.files_deleted + done.files)
    erasure.files_deleted += done.files
    if done.pending:
        lease.update(next_action_at=timezone.now() + timedelta(seconds=5 * LOOK_AGAIN_SECONDS))
        return False
    for step in steps:
        if step.what == StepWhat.FILES:
            _settle(step, StepStatus.DONE, "Every file that held the person was deleted.", erasure.files_deleted)
    return True


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
        person = person_of(row.person)
        for step in row.steps.filter(status=StepStatus.FAILED).select_related("destination__segment"):
            _again(actor, row, step, person)
        row.status, row.error_text, row.next_action_at = ErasureStatus.RUNNING, "", timezone.now()
        row.save(update_fields=["status", "error_text", "next_action_at"])
        audit.record(actor, "person.erase_retry", row)
        wake("uploads.erasure", row.pk)
    return row


def _again(actor: Actor, erasure: Erasure, step: ErasureStep, person: Person) -> None:
    fields: dict[str, Any] = {"status": StepStatus.WAITING, "text": "", "at": timezone.now()}
    if step.what == StepWhat.REMOVAL and step.destination is not None:
        fields["upload"] = _removal(actor, erasure, step.destination, person.values_in(step.destination.identifier))
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
