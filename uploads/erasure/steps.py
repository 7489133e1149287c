"""The acts of an erasure, one by one: follow a removal, ask a vendor to erase, delete the files; and why one waits.

A vendor's own erasure is sent once. What was lost on the way is looked into, and where the person is still there
somebody decides; only looking is repeated by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.utils import timezone

from audsync_web.jobs.leases import Lease
from audsync_web.people.actors import Actor, system_actor
from audsync_web.people.models import Role
from audsync_web.vendors.asking import rejection_shown
from audsync_web.vendors.connectors.errors import ConnectorError, NotYet, Permanent, Transient, UnknownOutcome
from audsync_web.vendors.models import AccountStatus
from audsync_web.vendors.removals import ERASE_PROFILE, LOST, REMOVE_IDENTITY, STILL, Receipt, Removal, carry_out
from audsync_web.vendors.runtime import connector_for
from audsync_web.vendors.selectors import accounts_beside
from uploads.models import Delivery, DeliveryStatus, Erasure, ErasureStep, StepStatus, StepWhat, Upload, UploadStatus

from .asking import count_of, holders_of, values_for
from .forgetting import forget_person, is_under_way
from .persons import Person

LOOK_AGAIN_SECONDS = 1.0
# Behind something that somebody has to decide about nothing changes from one second to the next.
LOOK_SELDOM_SECONDS = 10.0
TRY_AGAIN_SECONDS = 30.0
GIVE_UP_AFTER = timedelta(hours=72)
TRIED_AGAIN = "It is tried again by itself."
MOST_NAMED = 3
STEPS_OPEN = (StepStatus.WAITING, StepStatus.DOING, StepStatus.ANSWERED)
NOT_THERE = "Was not there any more."
# A vendor may show for a while what it has erased already.
STILL_SHOWN = "The vendor says that it is done, and still shows the person. It is looked at again."
STILL_SHOWN_FOR = timedelta(minutes=5)


def bring_on(lease: Lease, step: ErasureStep, person: Person) -> float:
    """Do what can be done of a step; the seconds until it is to be looked at again, 0 when it has ended."""
    if step.what == StepWhat.REMOVAL:
        return _follow_removal(step)
    account = step.vendor_account
    if account is None or account.status == AccountStatus.DISCONNECTED:
        return settle(step, StepStatus.FAILED, "The vendor account is no longer connected.")
    if account.status == AccountStatus.PAUSED:
        _tell(step, "The vendor account is paused, so nothing is changed there. Resume it, and this goes on by itself.")
        return LOOK_SELDOM_SECONDS
    if account.status == AccountStatus.NEEDS_ATTENTION:
        # What such an account shows proves nothing: some vendors answer a wrong key with “nobody”.
        text = f"The vendor account needs attention: {account.error_text} Mend it, then do this again."
        return settle(step, StepStatus.FAILED, text)
    if step.what == StepWhat.PROFILE and step.status == StepStatus.WAITING and _is_still_removed_there(step):
        _tell(step, "Waits for the removals there: what is under way would make an erased profile anew.")
        return LOOK_SELDOM_SECONDS
    try:
        with rejection_shown(account), connector_for(account) as connector:
            if step.status in {StepStatus.DOING, StepStatus.ANSWERED}:
                return _look_after(step, count_of(connector, step.what, step.name, person))
            return _act(lease, step, connector, person)
    except NotYet as later:
        return max(LOOK_AGAIN_SECONDS, later.retry_after or 0.0)
    except Transient as error:
        return _later(step, error)
    except ConnectorError as error:
        return settle(step, StepStatus.FAILED, f"{error.text} {error.next_step}".strip())


def _is_still_removed_there(step: ErasureStep) -> bool:
    """Whether removals of this erasure are not over at the accounts that write to the same profiles."""
    if step.vendor_account is None:
        return False
    beside = accounts_beside(step.vendor_account).values("pk")
    return step.erasure.steps.filter(
        what=StepWhat.REMOVAL, status=StepStatus.WAITING, vendor_account__in=beside
    ).exists()


def settle(step: ErasureStep, status: StepStatus, text: str, count: int | None = None) -> float:
    """Write what became of a step."""
    ErasureStep.objects.filter(pk=step.pk).update(status=status, text=text, count=count, at=timezone.now())
    return 0.0


def _tell(step: ErasureStep, text: str, **fields: Any) -> None:
    """Say why a step waits; its time is when that began."""
    if step.text != text:
        ErasureStep.objects.filter(pk=step.pk).update(**{"text": text, "at": timezone.now(), **fields})


# --- removals from segments ------------------------------------------------------------------------------------------


def _follow_removal(step: ErasureStep) -> float:
    delivery = step.upload.deliveries.order_by("pk").last() if step.upload else None
    if delivery is None:
        return settle(step, StepStatus.FAILED, "The removal is no longer there.")
    if not delivery.has_ended:
        text, seconds = _why_it_waits(delivery, blockers([step]).get(step.pk))
        _tell(step, text)
        return seconds
    if delivery.status == DeliveryStatus.COMPLETED:
        text = "Removed." if delivery.removes else NOT_THERE
        return settle(step, StepStatus.DONE, text, delivery.removes)
    reason = delivery.error_text or delivery.details
    return settle(step, StepStatus.FAILED, f"{delivery.get_status_display()}. {reason}".strip())


def blockers(steps: Iterable[ErasureStep]) -> dict[int, Delivery]:
    """What each waiting removal waits behind: the first open delivery of its destination that came before it."""
    waiting = [step for step in steps if step.what == StepWhat.REMOVAL and step.status == StepStatus.WAITING]
    if not waiting:
        return {}
    rows = Delivery.objects.open().filter(destination_id__in=[step.destination_id for step in waiting])
    first: dict[int, Delivery] = {}
    for row in rows.select_related("upload", "destination__segment").order_by("-pk"):
        first[row.destination_id] = row
    found = {step.pk: first.get(step.destination_id or 0) for step in waiting}
    own = {step.pk: step.upload_id for step in waiting}
    return {pk: row for pk, row in found.items() if row is not None and row.upload_id != own[pk]}


def _why_it_waits(delivery: Delivery, before: Delivery | None) -> tuple[str, float]:
    if before is None:
        return _own_reason(delivery)
    name = f"“{before.upload}”"
    if before.status == DeliveryStatus.STAGED:
        return (
            f"Waits behind {name}, which is held until the segment is published. That has no end of its own: publish "
            "the segment, or cancel that upload.",
            LOOK_SELDOM_SECONDS,
        )
    if before.upload.status == UploadStatus.READY:
        return (
            f"Waits behind {name}, which was checked and waits for somebody to start it. That has no end of its own: "
            "start it, or cancel it.",
            LOOK_SELDOM_SECONDS,
        )
    if before.status == DeliveryStatus.NEEDS_ATTENTION:
        return (
            f"Waits behind {name}, which needs attention: {before.error_text} Mend that or cancel the upload; after 72 "
            "hours it fails by itself.",
            LOOK_SELDOM_SECONDS,
        )
    return f"Waits behind {name}, which is being delivered.", LOOK_AGAIN_SECONDS


def _own_reason(delivery: Delivery) -> tuple[str, float]:
    if delivery.status == DeliveryStatus.STAGED:
        return "Held until the segment is published. Publish it, or cancel this removal.", LOOK_SELDOM_SECONDS
    if delivery.status == DeliveryStatus.NEEDS_ATTENTION:
        return f"Needs attention: {delivery.error_text} {delivery.next_step}".strip(), LOOK_SELDOM_SECONDS
    return "", LOOK_AGAIN_SECONDS


# --- the vendors' own erasure ----------------------------------------------------------------------------------------


def _act(lease: Lease, step: ErasureStep, connector: Any, person: Person) -> float:
    """The calls that cannot be undone, each looked up before, sent once and looked up after, with its own receipt."""
    if step.what == StepWhat.PROFILE:
        return _erase_profile(lease, step, connector, person)
    holders = holders_of(connector, step.name, values_for(connector, step.what, step.name, person))
    if text := _more_than_shown(step, holders):
        return settle(step, StepStatus.FAILED, text)
    received = [
        _carried_out(
            lease,
            step,
            Removal(
                REMOVE_IDENTITY,
                step.name,
                value,
                count=lambda value=value: len(connector.x1ids_of(step.name, value)),  # type: ignore[misc]
                send=partial(connector.remove_identity, step.name, value),
            ),
        )
        for value, held_by in holders.items()
        if held_by
    ]
    return _concluded(step, received, nobody="Was not there.")


def _more_than_shown(step: ErasureStep, holders: Mapping[str, Collection[str]]) -> str:
    """Why nothing is removed where more people would be touched than whoever decided was shown; empty where not."""
    search = step.erasure.search
    rows = search.profiles if search else []
    shown = [row["count"] for row in rows if (row["account"], row["name"]) == (step.vendor_account_id, step.name)]
    found = len(set().union(*holders.values()))
    if not shown or shown[0] is None or found <= shown[0]:
        return ""
    return f"It is on {found} by now, and the search had shown {shown[0]}, so nothing was removed. Search again."


def _erase_profile(lease: Lease, step: ErasureStep, connector: Any, person: Person) -> float:
    values = values_for(connector, step.what, step.name, person)
    profile = next(filter(None, (connector.find_profile(step.name, value) for value in values)), None)
    if profile is None:
        return settle(step, StepStatus.DONE, "No such profile.", 0)
    custom_id = profile.identifiers.get("custom_id")
    if not custom_id:
        return settle(step, StepStatus.FAILED, f"The profile has no custom id; erase it in {connector.label} by hand.")
    removal = Removal(
        ERASE_PROFILE,
        "custom_id",
        custom_id,
        count=lambda: int(connector.find_profile("custom_id", custom_id) is not None),
        send=lambda: int(connector.erase_profile(custom_id)),
    )
    return _concluded(step, [_carried_out(lease, step, removal)], nobody="No such profile.")


def _carried_out(lease: Lease, step: ErasureStep, removal: Removal) -> Receipt:
    """One call, bracketed by the step's intent; the account's list of removals has its receipt."""
    if step.vendor_account is None:
        raise Permanent("The vendor account is no longer connected.")
    lease.check()
    ErasureStep.objects.filter(pk=step.pk).update(status=StepStatus.DOING, at=timezone.now())
    sent = []

    def send() -> int | None:
        sent.append(True)
        return removal.send()

    bracketed = Removal(removal.action, removal.name, removal.value, removal.count, send)
    try:
        return carry_out(actor=asker(step.erasure), account=step.vendor_account, removal=bracketed)
    except NotYet:
        ErasureStep.objects.filter(pk=step.pk).update(status=StepStatus.WAITING)
        raise
    except Transient as error:
        if sent:  # refused for now; what cannot be undone is not sent again by itself
            raise Permanent(f"{error.text} Nothing was done.", next_step="Do it again in a while.") from None
        ErasureStep.objects.filter(pk=step.pk).update(status=StepStatus.WAITING)
        raise


def asker(erasure: Erasure) -> Actor:
    """Whoever asked for the erasure, for the history and the audit trail."""
    actor = system_actor(erasure.company)
    if erasure.asked_by is None:
        return actor
    return Actor(erasure.company, Role.MANAGER, erasure.asked_by, "api" if erasure.via == "api" else "page")


def _concluded(step: ErasureStep, received: list[Receipt], *, nobody: str) -> float:
    lost = [receipt for receipt in received if receipt.outcome == LOST]
    if lost:
        text = "The answer was lost, and the person is still there. Try again if it is to be repeated."
        if lost[0].left is None:
            text = "The answer was lost, and the vendor cannot be asked who is left. Try again: it is looked up first."
        return settle(step, StepStatus.FAILED, text)
    if any(receipt.outcome == STILL for receipt in received):
        settle(step, StepStatus.ANSWERED, STILL_SHOWN, sum(receipt.changed or 0 for receipt in received))
        return LOOK_SELDOM_SECONDS
    told = [receipt.changed for receipt in received]
    if any(isinstance(receipt.error, UnknownOutcome) for receipt in received):
        return settle(step, StepStatus.DONE, "The answer was lost; a look shows that nobody is there any more.")
    if None in told:
        return settle(step, StepStatus.DONE, "The vendor did not say how many it changed.")
    count = sum(number or 0 for number in told)
    return settle(step, StepStatus.DONE, "Erased." if count else nobody, count)


def _look_after(step: ErasureStep, left: int) -> float:
    """What a look says: a worker died between the call and its answer, or the vendor had shown the person all the same.
    It is never simply done again."""
    if step.status == StepStatus.ANSWERED:
        return _settle_answered(step, left)
    if left:
        text = "The answer was lost, and the person is still there. Try again if it is to be repeated."
        return settle(step, StepStatus.FAILED, text)
    return settle(step, StepStatus.DONE, "The answer was lost; a look shows that nobody is there any more.")


def _settle_answered(step: ErasureStep, left: int) -> float:
    if not left:
        return settle(step, StepStatus.DONE, "Erased.", step.count)
    if step.at is not None and timezone.now() - step.at < STILL_SHOWN_FOR:
        return LOOK_SELDOM_SECONDS
    text = f"The vendor says that it is done, and minutes later {left} still hold it. Try again, or ask the vendor."
    return settle(step, StepStatus.FAILED, text, step.count)


def _later(step: ErasureStep, error: Transient) -> float:
    """The vendor could not be asked; nothing was changed there, so that it is tried again by itself."""
    # What it waited for before, a paused account or a removal, is none of these tries; another fault is one more.
    began = step.at if step.text.endswith(TRIED_AGAIN) else None
    if began is not None and timezone.now() - began > GIVE_UP_AFTER:
        return settle(step, StepStatus.FAILED, f"{error.text} It was tried for 72 hours.")
    _tell(step, f"{error.text} {TRIED_AGAIN}", at=began or timezone.now())
    return max(TRY_AGAIN_SECONDS, error.retry_after or 0.0)


# --- files -----------------------------------------------------------------------------------------------------------


def forget_files(lease: Lease, erasure: Erasure, person: Person) -> float:
    """Delete the files that hold the person; the seconds until one has to come back for some still in use."""
    step = erasure.steps.select_related("upload").get(what=StepWhat.FILES)
    if step.upload is not None and is_under_way(step.upload):
        return LOOK_SELDOM_SECONDS  # there is no need to look through every file before that has ended
    again = erasure.steps.filter(what=StepWhat.REMOVAL, status=StepStatus.FAILED).values_list("upload_id", flat=True)
    done = forget_person(erasure.company_id, person, keep_upload_ids=set(again))
    lease.update(files_deleted=erasure.files_deleted + done.files)
    erasure.files_deleted += done.files
    if done.pending:
        others = [upload for upload in done.uploads if upload.origin.get("erasure") != str(erasure.pk)]
        in_use = sorted(others, key=lambda upload: upload.created_at)
        _tell(step, _what_is_in_use(in_use), upload=next(iter(in_use), None))
        return LOOK_SELDOM_SECONDS if in_use else 5 * LOOK_AGAIN_SECONDS
    ErasureStep.objects.filter(pk=step.pk).update(upload=None)
    return settle(step, StepStatus.DONE, "Every file that held the person was deleted.", erasure.files_deleted)


def _what_is_in_use(found: Sequence[Upload]) -> str:
    if not found:
        return "Waits for files that are in use just now."
    names = ", ".join(f"“{upload}”" for upload in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return (
        f"Waits until {names}{more} has ended, since its files hold the person. What is held until a segment is "
        "published, or waits to be started, has no end of its own: publish, start or cancel it."
    )
