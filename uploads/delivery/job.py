"""The delivery's job: plan, send part by part, follow, confirm, fold. The only place here that calls a connector.

A slice works for some seconds and leaves with `next_action_at` set; long waits are never slept. Every send is
bracketed by an intent, and an intent found without outcome is looked into before anything is sent again.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Min, Q
from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.jobs.leases import CancelRequested, Lease
from audsync_web.vendors.connectors.errors import ConnectorError, QuotaExceeded
from audsync_web.vendors.faults import attention_fields, due_in, error_fields, judge
from audsync_web.vendors.runtime import connector_for
from audsync_web.vendors.selectors import accounts_beside
from audsync_web.vendors.services import account_needs_attention
from uploads.models import PART_ENDED, Delivery, DeliveryStatus, PartStatus
from uploads.services import delivery_request_cancel
from uploads.settling import upload_settle

from .finishing import end_delivery, finish
from .following import poll_due_parts
from .neighbours import forget_removed_neighbours
from .planning import plan
from .run import STOPPED, Run
from .sending import reconcile_open_part, resume_interrupted, send_next_parts
from .uncertain import end_parts

SLICE_SECONDS = 8.0
BEHIND_ANOTHER = "Waits for a delivery of another segment: at this vendor account they go one at a time."


def advance(lease: Lease) -> None:
    """One slice of a delivery."""
    delivery = _load(lease.pk)
    if delivery.has_ended:
        lease.update(next_action_at=None)
        return
    if not delivery.is_live and not _take_place(lease, delivery):
        return
    try:
        with connector_for(delivery.destination.vendor_account) as connector:
            _work(Run(lease, delivery, connector))
    except ConnectorError as error:
        _apply_fault(lease, _load(lease.pk), error)
    except CancelRequested:
        lease.update(next_action_at=timezone.now())
    upload_settle(delivery.upload)


def _load(pk: Any) -> Delivery:
    related = ("upload", "destination__segment__company", "destination__vendor_account", "base_snapshot")
    return Delivery.objects.select_related(*related).get(pk=pk)


def _take_place(lease: Lease, delivery: Delivery) -> bool:
    """Become the destination's live delivery when every earlier one has ended; else wait to be looked at again."""
    earlier = Delivery.objects.open().filter(destination_id=delivery.destination_id, pk__lt=delivery.pk)
    if delivery.status == DeliveryStatus.STAGED and not delivery.destination.is_published:
        lease.update(next_action_at=None)
        return False
    if earlier.exists() or not delivery.destination.holds_members:
        lease.update(**due_in(1.0))
        return False
    status = DeliveryStatus.SENDING if delivery.status == DeliveryStatus.STAGED else DeliveryStatus.PREPARING
    try:
        with transaction.atomic():
            is_free = _account_is_free(delivery)
            if is_free:
                began = {"started_at": delivery.started_at or timezone.now(), "details": ""}
                lease.update(is_live=True, status=status, **began)
    except IntegrityError:
        is_free = False
    if not is_free:
        lease.update(details=BEHIND_ANOTHER, **due_in(1.0))
        return False
    delivery.is_live, delivery.status, delivery.details = True, status, ""
    return True


def _account_is_free(delivery: Delivery) -> bool:
    """Whether nothing else of the account is under way, nor of another that writes to the same profiles, where
    deliveries run one at a time.

    What a delivery sends there depends on what the one before has left. The accounts' rows are held until this one is
    live, so that two cannot both find them free.
    """
    account = delivery.destination.vendor_account
    if not account.connector.capabilities.account_exclusive:
        return True
    beside = [row.pk for row in accounts_beside(account).select_for_update().order_by("pk")]
    others = Delivery.objects.filter(destination__vendor_account_id__in=beside, is_live=True)
    return not others.exclude(pk=delivery.pk).exists()


def _work(run: Run) -> None:
    delivery = run.delivery
    if delivery.cancel_requested_at and _cancel_unsent(run):
        return
    if delivery.planned_at is None:
        plan(run.lease, delivery, run.connector, run.report)
        run.delivery = _load(run.lease.pk)  # with the membership that it was compared with
        if not _goes_on_after_planning(run):
            return
    else:
        resume_interrupted(run)
        forget_removed_neighbours(run.lease, delivery)
    deadline = time.monotonic() + SLICE_SECONDS
    while time.monotonic() < deadline:
        if not _step(run):
            return
        run.reload()
        if run.delivery.cancel_requested_at and _cancel_unsent(run):
            return
    run.lease.update(next_action_at=timezone.now())


def _goes_on_after_planning(run: Run) -> bool:
    """Whether there is something to send, and now. False also when somebody has stopped it meanwhile."""
    delivery = run.delivery
    if not delivery.parts_total:
        finish(run)
        return False
    if not delivery.destination.is_published and not run.connector.capabilities.uploads_before_publish:
        run.lease.update(
            status=DeliveryStatus.STAGED,
            is_live=False,
            next_action_at=None,
            details="Checked and planned; held until the segment is published.",
        )
        run.reload()
        if run.delivery.cancel_requested_at:
            # Asked for while it was planned: nothing would wake it to see that.
            delivery_request_cancel(run.delivery)
        return False
    return not (delivery.cancel_requested_at and _cancel_unsent(run))


def _step(run: Run) -> bool:
    """Do the next useful thing. False when the slice is over: the delivery ended, or has to wait."""
    if reconcile_open_part(run):
        return run.goes_on or _follow_others(run)
    sent = send_next_parts(run)
    if not run.goes_on:
        return _follow_others(run)
    moved = poll_due_parts(run) or sent
    if moved:
        run.show_phase()
    if not run.parts().exclude(status__in=PART_ENDED).exists():
        finish(run)
        return False
    if not moved:
        run.wait()
    return moved


def _follow_others(run: Run) -> bool:
    """While nobody can tell what became of one part, those that the vendor has are followed all the same."""
    if run.not_before is not None:
        poll_due_parts(run)
        run.wait()
    return False


def _cancel_unsent(run: Run) -> bool:
    """Drop what is unsent. True when that was all and the delivery has ended."""
    if end_parts(run.delivery, PartStatus.CANCELLED, Q(status=PartStatus.PLANNED, intent__isnull=True)):
        run.lease.update(details="")  # what the next part waited for is of no interest any more
    if run.delivery.planned_at is None or not run.parts().exclude(status__in=PART_ENDED).exists():
        finish(run)
        return True
    return False


def _apply_fault(lease: Lease, delivery: Delivery, error: ConnectorError) -> None:
    """What an error means for the delivery: wait, try again, look, ask for attention, or stop."""
    verdict = judge(error, delivery.attempts)
    told = error_fields(error)
    if isinstance(error, QuotaExceeded):
        quotas.pause(error.gate, verdict.seconds, error.text)
        lease.update(**due_in(_until_next_look(delivery, verdict.seconds)), details=error.text)
    elif verdict.move == "later":
        lease.update(**due_in(verdict.seconds), details=error.text)
    elif verdict.move == "reconcile":
        details = "The answer was lost; checking with the vendor before anything is sent again."
        lease.update(**due_in(1.0), details=details, vendor_text=told["vendor_text"])
    elif verdict.move == "account":
        account_needs_attention(delivery.destination.vendor_account, error)
        lease.update(status=DeliveryStatus.NEEDS_ATTENTION, **due_in(0.0), **told, **attention_fields(delivery))
    elif verdict.move == "attention":
        fields = {"status": DeliveryStatus.NEEDS_ATTENTION, "attempts": delivery.attempts + 1}
        lease.update(**fields, **due_in(verdict.seconds), **told, **attention_fields(delivery))
    elif verdict.move == "retry":
        lease.update(attempts=delivery.attempts + 1, **due_in(verdict.seconds), **told)
    else:
        _stop(lease, delivery, told)


def _until_next_look(delivery: Delivery, seconds: float) -> float:
    """The paused gate holds the unsent rest back for so many seconds; what the vendor has is followed meanwhile."""
    poll = delivery.parts.filter(status=PartStatus.SUBMITTED).aggregate(at=Min("next_poll_at"))["at"]
    return seconds if poll is None else min(seconds, (poll - timezone.now()).total_seconds())


def _stop(lease: Lease, delivery: Delivery, told: dict[str, Any]) -> None:
    """A refusal that would be repeated: the unsent rest is dropped, what was acknowledged is kept."""
    end_parts(delivery, PartStatus.FAILED, Q(status__in=[PartStatus.PLANNED, PartStatus.SENDING]))
    lease.update(**told, memory={**delivery.memory, STOPPED: told})
    if delivery.parts.filter(status=PartStatus.SUBMITTED).exists():
        lease.update(next_action_at=timezone.now())
        return
    end_delivery(lease, _load(delivery.pk))


def give_up(lease: Lease) -> None:
    """End a delivery that nobody attended to: what the vendor may have is uncertain, the rest of the open parts has
    failed, what was acknowledged is folded in."""
    delivery = _load(lease.pk)
    end_parts(delivery, PartStatus.FAILED)
    end_delivery(lease, delivery)
    upload_settle(delivery.upload)


def crashed(lease: Lease, reference: str) -> None:
    """A fault of ours: the delivery stops and shows the reference. What the vendor acknowledged is kept, what it may
    have taken besides is remembered."""
    delivery = _load(lease.pk)
    if delivery.has_ended:
        return  # its end is written; what follows from that for its upload is put right by the next tick
    lease.update(
        # Stays where even its end cannot be written (a full disk): somebody sees it, and it is tried again in the end.
        status=DeliveryStatus.NEEDS_ATTENTION,
        next_action_at=None,
        **attention_fields(delivery),
        error_code="internal_error",
        error_text=f"Stopped because of a fault in AudSync (reference {reference}).",
        next_step="Retry the upload; if it stays, give the reference to whoever runs AudSync.",
        # Stays where everything was sent before the fault, and the delivery completes all the same.
        details=f"Accepted, not verified: AudSync stopped with a fault (reference {reference}) before it looked.",
    )
    delivery = _load(lease.pk)
    end_parts(delivery, PartStatus.FAILED)
    end_delivery(lease, delivery)
    upload_settle(delivery.upload)


def release_staged() -> None:
    """Tick: a staged delivery whose destination has been published goes on."""
    waiting = Delivery.objects.filter(
        status=DeliveryStatus.STAGED, next_action_at__isnull=True, destination__published_at__isnull=False
    )
    waiting.update(next_action_at=timezone.now())
