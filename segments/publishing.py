"""The destination's job: create, publish, rename, release at the vendor. The only place here that calls a connector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audsync_web.jobs.leases import Lease
from audsync_web.jobs.models import cleared_error
from audsync_web.vendors.connectors.base import (
    LEAVE,
    CannotTell,
    Connector,
    Found,
    Intent,
    Nothing,
    RemoteSegment,
    SegmentState,
)
from audsync_web.vendors.connectors.errors import ConnectorError, Permanent, Transient, UnknownOutcome
from audsync_web.vendors.faults import attention_fields, due_in, error_fields, judge
from audsync_web.vendors.runtime import connector_for
from audsync_web.vendors.services import account_needs_attention

from .models import Destination, DestinationStatus, Wanted
from .services import segment_hold, segment_refresh

# A vendor may be slow to show what it has just done: look twice, so far apart, before concluding that nothing is there.
SECOND_LOOK = timedelta(seconds=5)


def advance(lease: Lease) -> None:
    """One slice: take the next step towards what is wanted."""
    destination = Destination.objects.select_related("segment__company", "vendor_account").get(pk=lease.pk)
    try:
        with connector_for(destination.vendor_account) as connector:
            if destination.intent:
                _reconcile(lease, destination, connector)
            else:
                _step(lease, destination, connector)
    except ConnectorError as error:
        if destination.status == DestinationStatus.RELEASED:
            _still_there(lease, destination, error)
        else:
            _apply_fault(lease, destination, error)
    _keep_going(destination)
    segment_refresh(destination.segment)


def _keep_going(destination: Destination) -> None:
    """What was wished while the slice ran (publish, remove) must not be lost with the slice's last word."""
    resting = Destination.objects.filter(pk=destination.pk, next_action_at__isnull=True, finished_at__isnull=True)
    resting.exclude(wanted=destination.wanted).update(next_action_at=timezone.now())


def _step(lease: Lease, destination: Destination, connector: Connector) -> None:
    if destination.wanted == Wanted.RELEASED:
        _release(lease, destination, connector)
    elif not destination.remote_id:
        _create(lease, destination, connector)
    elif destination.memory.get("rename"):
        with _repeatable():
            connector.rename_segment(destination.ref(), destination.segment.name)
        memory = {name: value for name, value in destination.memory.items() if name != "rename"}
        lease.update(memory=memory, next_action_at=timezone.now())
    elif destination.wanted == Wanted.PUBLISHED and not destination.is_published:
        _publish(lease, destination, connector)
    else:
        settled = DestinationStatus.PUBLISHED if destination.is_published else DestinationStatus.CREATED
        lease.update(status=settled, next_action_at=None, **cleared_error())


def _create(lease: Lease, destination: Destination, connector: Connector) -> None:
    if linked := destination.memory.get("link"):
        _store_created(lease, destination, connector.read_segment(linked), linked=True)
        return
    existing = connector.find_segment(destination.spec())
    if existing is not None:
        # Found by our name without an intent of ours: somebody else's, or from an earlier life. Shown and left alone.
        raise Permanent(
            f"The vendor already has a segment named {destination.segment.technical_name} (id {existing.remote_id}).",
            code="remote_exists",
            next_step="Rename or remove it at the vendor, or link it by its id as an existing remote segment.",
        )
    lease.update(intent=_intent("create"), status=DestinationStatus.CREATING)
    _store_created(lease, destination, connector.create_segment(destination.spec()))


def _store_created(lease: Lease, destination: Destination, remote: RemoteSegment, *, linked: bool = False) -> None:
    published = remote.state == SegmentState.PUBLISHED
    fields = _remote_fields(destination, remote)
    if destination.remote_id and destination.remote_id != remote.remote_id:
        fields["earlier_remote_ids"] = [*destination.earlier_remote_ids, destination.remote_id]
    now = timezone.now()
    try:
        with transaction.atomic():
            _refuse_held_beside(destination, remote.remote_id)
            lease.update(
                remote_id=remote.remote_id,
                remote_created_at=remote.created_at or now,
                published_at=now if published and linked else None,
                status=DestinationStatus.CREATED,
                intent=None,
                next_action_at=now,
                **(cleared_error() | fields),
            )
    except IntegrityError:
        raise Permanent(
            "Another segment of this company already uses that remote segment.",
            code="remote_taken",
            next_step="Give another remote id, or use the segment that is linked to it.",
        ) from None


def _refuse_held_beside(destination: Destination, remote_id: str) -> None:
    """Two accounts may lead to one place at a vendor, where a name that is created twice at once is one segment."""
    account = destination.vendor_account
    # Who creates the same segment there at the same moment waits for this one to be stored.
    segment_hold(destination.segment_id)
    beside = Destination.objects.current().filter(
        vendor_account__vendor=account.vendor, vendor_account__quota_scope=account.quota_scope, remote_id=remote_id
    )
    holder = beside.exclude(vendor_account=account).select_related("vendor_account").first()
    if holder is not None:
        raise Permanent(
            f"{account.name} and {holder.vendor_account.name} lead to the same place at the vendor, and that remote "
            f"segment is {holder.vendor_account.name}'s already.",
            code="remote_taken",
            next_step="Remove this destination: members that go to one of the two accounts are there for both.",
        )


def _remote_fields(destination: Destination, remote: RemoteSegment) -> dict[str, Any]:
    # Read again: a rename may have been asked for while the vendor was called.
    kept = Destination.objects.values_list("memory", flat=True).get(pk=destination.pk)
    memory = {name: value for name, value in kept.items() if name != "link"}
    return {
        "raw_state": remote.raw_state[:60],
        "public_name": remote.public_name[:255] or destination.public_name,
        "external_id": remote.external_id[:120] or destination.external_id,
        "reported_size": destination.reported_size if remote.size is None else remote.size,
        "memory": memory | dict(remote.memory),
    }


def _publish(lease: Lease, destination: Destination, connector: Connector) -> None:
    lease.update(intent=_intent("publish"), status=DestinationStatus.PUBLISHING)
    _store_published(lease, destination, connector.publish_segment(destination.ref()))


def _store_published(lease: Lease, destination: Destination, remote: RemoteSegment) -> None:
    now, fields = timezone.now(), _remote_fields(destination, remote)
    lease.update(
        published_at=now,
        status=DestinationStatus.PUBLISHED,
        intent=None,
        next_action_at=now if fields["memory"].get("rename") else None,
        **(cleared_error() | fields),
    )


def _release(lease: Lease, destination: Destination, connector: Connector) -> None:
    if destination.remote_id and destination.is_emptied_first:
        lease.update(next_action_at=timezone.now() + timedelta(seconds=2))
        return
    if destination.remote_id:
        with _repeatable():
            connector.release_segment(destination.ref(), destination.release_choice or LEAVE.key)
    lease.update(status=DestinationStatus.RELEASED, next_action_at=None, finished_at=timezone.now(), **cleared_error())


@contextmanager
def _repeatable() -> Iterator[None]:
    """Around a call that may be made again whatever became of it: its lost answer is a failure like any other, which is
    tried again ever more slowly."""
    try:
        yield
    except UnknownOutcome as lost:
        raise lost.as_transient() from None


def _intent(step: str, **detail: Any) -> dict[str, Any]:
    return {"step": step, "at": timezone.now().isoformat(), "detail": detail}


def read_intent(stored: dict[str, Any]) -> Intent:
    """A stored intent as connectors read it."""
    return Intent(stored["step"], datetime.fromisoformat(stored["at"]), stored.get("detail", {}))


def _reconcile(lease: Lease, destination: Destination, connector: Connector) -> None:
    """An intent without outcome: ask the vendor before anything is sent again."""
    intent = read_intent(destination.intent or {})
    if destination.wanted == Wanted.RELEASED and intent.step != "create":
        # Whether it went live is of no interest any more, and some vendors are asked by publishing once more.
        lease.update(intent=None, next_action_at=timezone.now())
        return
    with _repeatable():
        if intent.step == "create":
            found = connector.reconcile_segment(destination.spec(), intent)
        else:
            found = connector.reconcile_publish(destination.ref(), intent)
    if isinstance(found, Found):
        store = _store_created if intent.step == "create" else _store_published
        store(lease, destination, found.value)
    elif isinstance(found, Nothing):
        _nothing_there(lease, destination)
    elif destination.wanted == Wanted.RELEASED:
        _release_unseen(lease, found)
    else:
        _ask_a_person(lease, destination, found)


def _release_unseen(lease: Lease, unclear: CannotTell) -> None:
    """Let go of a destination of which the vendor cannot tell whether it was made: nothing was ever sent to it."""
    left_over = {
        "error_code": "left_over",
        "error_text": unclear.text,
        "next_step": "If it exists there, remove it by hand. Nobody was ever sent to it.",
    }
    now = timezone.now()
    fields = {"status": DestinationStatus.RELEASED, "intent": None, "next_action_at": None, "finished_at": now}
    lease.update(**fields, **(cleared_error() | left_over))


def _nothing_there(lease: Lease, destination: Destination) -> None:
    stored = destination.intent or {}
    seen = parse_datetime(stored.get("nothing_at", ""))
    now = timezone.now()
    if seen is None:
        lease.update(intent=stored | {"nothing_at": now.isoformat()}, next_action_at=now + SECOND_LOOK)
    elif now - seen < SECOND_LOOK:
        lease.update(next_action_at=seen + SECOND_LOOK)
    else:
        lost = Transient("The vendor breaks off each time before it answers, and has nothing of it.", code="lost")
        verdict, told = judge(lost, destination.attempts), error_fields(lost)
        told["vendor_text"] = destination.vendor_text
        lease.update(intent=None)
        destination.intent = None
        _try_again(lease, destination, verdict.move, verdict.seconds, told)


def _ask_a_person(lease: Lease, destination: Destination, unclear: CannotTell) -> None:
    lease.update(
        status=DestinationStatus.NEEDS_ATTENTION,
        error_code="outcome_unknown",
        error_text=unclear.text,
        next_step=unclear.next_step,
        next_action_at=None,
        **attention_fields(destination),
    )


def _apply_fault(lease: Lease, destination: Destination, error: ConnectorError) -> None:
    verdict = judge(error, destination.attempts)
    told = error_fields(error)
    if verdict.move == "later":
        lease.update(**due_in(verdict.seconds), error_text=error.text)
    elif verdict.move == "reconcile":
        lease.update(**due_in(1.0), **told)
    elif verdict.move == "account":
        account_needs_attention(destination.vendor_account, error)
        lease.update(**due_in(0.0), **told, **_settled(destination))
    elif verdict.move == "stop":
        lease.update(status=DestinationStatus.FAILED, next_action_at=None, **told, **_settled(destination))
    else:
        _try_again(lease, destination, verdict.move, verdict.seconds, told)


def _still_there(lease: Lease, destination: Destination, error: ConnectorError) -> None:
    """What was left at the vendor could not be deleted: it is tried again, or stays as it is and says why."""
    verdict = judge(error, destination.attempts)
    told = error_fields(error)
    if verdict.move == "stop":
        now = timezone.now()
        lease.update(release_choice=LEAVE.key, finished_at=now, next_action_at=None, **told)
        return
    if verdict.move == "account":
        account_needs_attention(destination.vendor_account, error)
    lease.update(attempts=destination.attempts + 1, **due_in(max(verdict.seconds, 2.0)), **told)


def _settled(destination: Destination) -> dict[str, Any]:
    """A refusal of the call itself means that nothing was done: its intent has its outcome. A refusal of the look that
    follows a lost answer says nothing about it, so that intent stays."""
    return {} if destination.intent else {"intent": None}


def _try_again(lease: Lease, destination: Destination, move: str, seconds: float, told: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"attempts": destination.attempts + 1, **due_in(seconds), **told, **_settled(destination)}
    if move == "attention":
        fields |= {"status": DestinationStatus.NEEDS_ATTENTION, **attention_fields(destination)}
    lease.update(**fields)


def crashed(lease: Lease, reference: str) -> None:
    """A fault of ours: the destination stops and shows the reference."""
    lease.update(
        status=DestinationStatus.FAILED,
        error_code="internal_error",
        error_text=f"Stopped because of a fault in AudSync (reference {reference}).",
        next_step="Publish again to retry; if it stays, give the reference to whoever runs AudSync.",
        next_action_at=None,
    )
    segment_refresh(Destination.objects.select_related("segment").get(pk=lease.pk).segment)
