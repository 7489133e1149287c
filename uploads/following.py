"""Following what a vendor has: polling parts that are due, and stopping them when somebody cancels."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.vendors.connectors.base import RemoteState, RemoteStatus
from audsync_web.vendors.connectors.errors import AuthenticationFailed, Permanent, RemoteMissing
from audsync_web.vendors.faults import attention_fields, error_fields

from .models import DeliveryStatus, Part, PartStatus
from .outcomes import store_state
from .run import Run, part_holder

POLLS_A_STEP = 20
SLOW_POLL = timedelta(minutes=15)


def poll_due_parts(run: Run) -> bool:
    """Look at the parts whose turn it is. True when one of them has ended."""
    due = run.parts().filter(status=PartStatus.SUBMITTED, next_poll_at__lte=timezone.now()).order_by("next_poll_at")
    ended = False
    for part in list(due[:POLLS_A_STEP]):
        run.lease.check()
        ended |= _poll(run, part)
    return ended


def _poll(run: Run, part: Part) -> bool:
    part.polls += 1
    part.save(update_fields=["polls"])
    asks_to_stop = run.delivery.cancel_requested_at and run.connector.capabilities.cancels_parts
    if asks_to_stop and not part.memory.get("cancel_asked"):
        part.memory = {**part.memory, "cancel_asked": True}
        part.save(update_fields=["memory"])
        look = run.connector.cancel_part
    else:
        look = run.connector.poll_part
    try:
        state = look(run.context(), run.ref(part))
    except RemoteMissing as gone:
        # Nothing is left to be followed: what came of the part will never be told.
        state = RemoteState(RemoteStatus.FAILED, raw="not found", details=gone.text, next_step=gone.next_step)
    except AuthenticationFailed:
        raise
    except Permanent as refusal:
        _note_refused(run, part, refusal)
        return False
    store_state(run, part, state)
    if part.status != PartStatus.SUBMITTED:
        quotas.leave(part_holder(part.pk))
        return True
    if not _note_overdue(run, part):
        run.show_phase()
    return False


def _note_refused(run: Run, part: Part, refusal: Permanent) -> None:
    """The vendor has the part and refuses to be asked about it: people are told, and the next look is far away."""
    part.next_poll_at = timezone.now() + SLOW_POLL
    part.save(update_fields=["next_poll_at"])
    run.lease.update(status=DeliveryStatus.NEEDS_ATTENTION, **error_fields(refusal), **attention_fields(run.delivery))


def _note_overdue(run: Run, part: Part) -> bool:
    """After the vendor's deadline people are told; AudSync goes on looking, slowly. True when it is so late."""
    if part.sent_at is None:
        return False
    hours = run.connector.poll_deadline_hours
    if timezone.now() - part.sent_at < timedelta(hours=hours):
        return False
    part.next_poll_at = timezone.now() + SLOW_POLL
    part.save(update_fields=["next_poll_at"])
    run.lease.update(
        status=DeliveryStatus.NEEDS_ATTENTION,
        error_code="overdue",
        error_text=f"The vendor has not finished after {hours:g} hours (job {part.job_id}).",
        next_step="Ask the vendor, giving the job's id. AudSync goes on looking every 15 minutes.",
        **attention_fields(run.delivery),
    )
    return True
