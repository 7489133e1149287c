"""Following what a vendor has: polling parts that are due, and stopping them when somebody cancels."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.vendors.connectors.base import RemoteStatus
from audsync_web.vendors.connectors.errors import AuthenticationFailed, Permanent, RemoteMissing
from audsync_web.vendors.faults import attention_fields, error_fields
from uploads.models import DeliveryStatus, Part, PartStatus

from .outcomes import store_state
from .run import Run, part_holder
from .sums import part_sums
from .writing import write_part

POLLS_A_STEP = 20
SLOW_POLL = timedelta(minutes=15)


def poll_due_parts(run: Run) -> bool:
    """Look at the parts whose turn it is. True when one of them has ended."""
    due = run.parts().filter(status=PartStatus.SUBMITTED, next_poll_at__lte=timezone.now()).order_by("next_poll_at")
    ended = False
    for part in list(due[:POLLS_A_STEP]):
        ended |= _poll(run, part)
    return ended


def _poll(run: Run, part: Part) -> bool:
    part.polls += 1
    write_part(run.lease, part, ["polls"])
    stoppable = run.connector.capabilities.cancels_parts and not part.memory.get("cancel_asked")
    asks_to_stop = run.delivery.cancel_requested_at is not None and stoppable
    look = run.connector.cancel_part if asks_to_stop else run.connector.poll_part
    try:
        state = look(run.context(), run.ref(part))
    except RemoteMissing as gone:
        _end_unseen(run, part, gone)
        return True
    except AuthenticationFailed:
        raise
    except Permanent as refusal:
        _note_refused(run, part, refusal)
        return False
    if asks_to_stop and state.status != RemoteStatus.QUEUED:
        # It has ended or begun. While it waits it is asked again: the call may have been lost or turned down.
        state = replace(state, memory={**state.memory, "cancel_asked": True})
    store_state(run, part, state)
    if part.status != PartStatus.SUBMITTED:
        quotas.leave(part_holder(part.pk))
        return True
    if not _note_overdue(run, part):
        run.show_phase()
    return False


def _end_unseen(run: Run, part: Part, gone: RemoteMissing) -> None:
    """Nothing is left to be followed: what came of the part will never be told."""
    part.status, part.ended_at, part.next_poll_at = PartStatus.UNCERTAIN, timezone.now(), None
    part.vendor_status, part.details = "not found", gone.text
    write_part(run.lease, part, ["status", "ended_at", "next_poll_at", "vendor_status", "details"])
    run.lease.update(**part_sums(run.delivery), vendor_status="not found", last_looked_at=timezone.now())
    quotas.leave(part_holder(part.pk))


def _note_refused(run: Run, part: Part, refusal: Permanent) -> None:
    """The vendor has the part and refuses to be asked about it: people are told, and the next look is far away."""
    part.next_poll_at = timezone.now() + SLOW_POLL
    write_part(run.lease, part, ["next_poll_at"])
    run.lease.update(status=DeliveryStatus.NEEDS_ATTENTION, **error_fields(refusal), **attention_fields(run.delivery))


def _note_overdue(run: Run, part: Part) -> bool:
    """After the vendor's deadline people are told; AudSync goes on looking, slowly. True when it is so late."""
    if part.sent_at is None:
        return False
    hours = run.connector.poll_deadline_hours
    if timezone.now() - part.sent_at < timedelta(hours=hours):
        return False
    part.next_poll_at = timezone.now() + SLOW_POLL
    write_part(run.lease, part, ["next_poll_at"])
    run.lease.update(
        status=DeliveryStatus.NEEDS_ATTENTION,
        error_code="overdue",
        error_text=f"The vendor has not finished after {hours:g} hours (job {part.job_id}).",
        next_step="Ask the vendor, giving the job's id. AudSync goes on looking every 15 minutes.",
        **attention_fields(run.delivery),
    )
    return True
