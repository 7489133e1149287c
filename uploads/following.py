"""Following what a vendor has: polling parts that are due, and stopping them when somebody cancels."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.vendors.faults import attention_fields

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
        state = run.connector.cancel_part(run.context(), run.ref(part))
    else:
        state = run.connector.poll_part(run.context(), run.ref(part))
    store_state(run, part, state)
    if part.status != PartStatus.SUBMITTED:
        quotas.leave(part_holder(part.pk))
        return True
    _note_overdue(run, part)
    run.show_phase()
    return False


def _note_overdue(run: Run, part: Part) -> None:
    """After the vendor's deadline people are told; AudSync goes on looking, slowly."""
    if part.sent_at is None:
        return
    hours = run.connector.poll_deadline_hours
    if timezone.now() - part.sent_at < timedelta(hours=hours):
        return
    part.next_poll_at = timezone.now() + SLOW_POLL
    part.save(update_fields=["next_poll_at"])
    run.lease.update(
        status=DeliveryStatus.NEEDS_ATTENTION,
        error_code="overdue",
        error_text=f"The vendor has not finished after {hours:g} hours (job {part.job_id}).",
        next_step="Ask the vendor, giving the job's id. AudSync goes on looking every 15 minutes.",
        **attention_fields(run.delivery),
    )
