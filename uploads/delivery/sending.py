"""Sending parts: through the gates, bracketed by intents, and looked into when an answer was lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audsync_web.jobs import quotas
from audsync_web.jobs.engine import safely
from audsync_web.vendors.connectors.base import CannotTell, Found, Gate, Nothing, RemoteState
from audsync_web.vendors.connectors.errors import ConnectorError, NotYet, TooLarge, Transient, UnknownOutcome
from audsync_web.vendors.faults import attention_fields, due_in, error_fields, judge
from audsync_web.vendors.runtime import enter_gates
from audsync_web.vendors.services import account_set_limit
from segments.publishing import SECOND_LOOK, read_intent
from uploads.models import PART_ENDED, DeliveryStatus, Part, PartStatus

from .journal import PartJournal
from .outcomes import store_state
from .payload import PartMaker, Payload, drop_payload, make_payload
from .run import Run, part_holder, row_holder
from .splitting import split_part
from .sums import SentSums, sums_again
from .writing import change_part, write_part

# Parts that end with the answer to their send follow each other for so long before anything else is looked at.
ROW_SECONDS = 1.0
PARTS_IN_A_ROW = 200
# Where a vendor cannot tell what became of a part it is asked again so seldom.
UNCLEAR_LOOK = timedelta(minutes=15)
# In the intent of a part that was begun ahead of its turn: the part that goes before it.
AFTER = "after"


def resume_interrupted(run: Run) -> None:
    """A part whose worker died between two effects (one settled, the next not begun) is sent on from where it was.

    Nothing is lost or doubled by that: the connector finds what was settled in the part's memory. The sums of a row
    that was not finished are made up for.
    """
    _take_back_never_sent(run)
    run.parts().filter(status=PartStatus.SENDING, intent__isnull=True).update(status=PartStatus.PLANNED)
    if run.parts().filter(status__in=PART_ENDED).count() != run.delivery.parts_done:
        run.lease.update(**sums_again(run.delivery))
        run.reload()


def _take_back_never_sent(run: Run) -> None:
    """A part that was begun while the vendor worked on the one before, which has no outcome yet; see `NextPart`."""
    begun = list(run.parts().filter(intent__isnull=False))
    open_ones = {part.pk for part in begun}
    for part in begun:
        if part.intent and part.intent.get(AFTER) in open_ones:
            _take_back(run, part)


def send_next_parts(run: Run) -> bool:
    """Send the next planned part if the vendor's rules let it through now. True when one was sent.

    Where its answer is its end and no rule wants time between two parts, the following ones go out in a row.
    """
    if run.delivery.cancel_requested_at:
        return False
    gates = list(run.connector.gates(run.context()))
    in_a_row = all(gate.exclusive != "job" and not gate.interval and gate.most_waiting is None for gate in gates)
    planned = run.parts().filter(status=PartStatus.PLANNED).order_by("number")
    parts = deque(planned[: PARTS_IN_A_ROW if in_a_row else 1])
    if not parts:
        return False
    holder = row_holder(run.delivery.pk) if in_a_row else part_holder(parts[0].pk)
    try:
        _refuse_too_many_waiting(run, gates)
        enter_gates(gates, holder)
    except NotYet as wait:
        run.put_off(wait.retry_after or 1.0)
        run.lease.update(details=wait.text)
        return False
    with _inside(gates, parts[0], holder), _summed(run) if in_a_row else nullcontext():
        _send_row(run, parts)
    return True


def _send_row(run: Run, parts: deque[Part]) -> None:
    """Send the first part, and on while each one ends with its answer.

    The next is made, and its intent stored, while the vendor works on this one: it may answer faster than that takes.
    """
    until = time.monotonic() + ROW_SECONDS
    with PartMaker(run.delivery, run.destination, run.connector) as maker:
        # Made whole before the vendor hears of it: an upload address may live for minutes only.
        first = maker.make(parts[0])
        _begin(run, parts[0], first, maker.written_at)
        payload: Payload | None = first
        while payload is not None:
            part = parts.popleft()
            following = NextPart(run, maker, part, parts[0] if parts and time.monotonic() < until else None)
            payload = _send(run, part, payload, following)


@contextmanager
def _summed(run: Run) -> Iterator[None]:
    """Gather what ended parts add to the delivery's sums, and write it once, however the row ends. Should the worker
    die before, `resume_interrupted` makes up for it."""
    run.row = SentSums()
    try:
        yield
    finally:
        row, run.row = run.row, None
        if fields := row.fields():
            run.lease.update(**fields)


def _refuse_too_many_waiting(run: Run, gates: list[Gate]) -> None:
    for gate in gates:
        if gate.most_waiting is None:
            continue
        waiting = Part.objects.filter(quota_scope=run.connector.quota_scope, status=PartStatus.SUBMITTED).count()
        if waiting >= gate.most_waiting:
            raise NotYet(f"{waiting} jobs are waiting at the vendor, and it takes no more.", retry_after=30.0)


@contextmanager
def _inside(gates: list[Gate], part: Part, holder: str) -> Iterator[None]:
    """Stay inside the gates while the call runs; a gate for the whole vendor job is kept until the part has ended."""
    try:
        yield
    finally:
        for gate in gates:
            quotas.stamp(gate.key)
        if not (any(gate.exclusive == "job" for gate in gates) and _is_unsettled(part)):
            quotas.leave(holder)


def _is_unsettled(part: Part) -> bool:
    part.refresh_from_db(fields=["status", "intent"])
    return part.status == PartStatus.SUBMITTED or part.intent is not None


def _begin(run: Run, part: Part, payload: Payload, written_at: datetime, **stored: Any) -> None:
    """Store that a part is about to be sent; `stored` goes into its intent."""
    now = timezone.now()
    change_part(
        run.lease,
        part,
        status=PartStatus.SENDING,
        # Kept as the moment of the send, so that the same bytes can be made again while its outcome is not known.
        sent_at=written_at,
        quota_scope=run.connector.quota_scope,
        lines=payload.lines,
        wire_bytes=payload.bytes,
        md5=payload.md5,
        intent={"step": "send", "at": now.isoformat(), "detail": {}, **stored},
    )
    delivery = run.delivery
    if delivery.status != DeliveryStatus.SENDING or delivery.first_sent_at is None or delivery.details:
        fields = {"status": DeliveryStatus.SENDING, "first_sent_at": delivery.first_sent_at or now, "details": ""}
        run.lease.update(**fields)
        for name, value in fields.items():
            setattr(run.delivery, name, value)


class NextPart:
    """The part whose turn comes once `before` has ended: made and begun while the vendor works on that one.

    Its intent names `before`. As that one's outcome is stored first, a part that was begun and whose forerunner has not
    ended was never sent: nobody need ask the vendor for it.
    """

    def __init__(self, run: Run, maker: PartMaker, before: Part, part: Part | None) -> None:
        self._run = run
        self._maker = maker
        self._before = before
        self._part = part
        self._payload: Payload | None = None

    def prepare(self) -> None:
        """Make and begin it, where that can be done now. Otherwise that is left to its turn."""
        if self._part is None or self._payload is not None:
            return
        payload = self._maker.make_ahead(self._part)
        if payload is not None and safely(f"beginning part {self._part.pk}", partial(self._begin, payload)):
            self._payload = payload

    def take_turn(self) -> Payload | None:
        """Its bytes, now that it is sent; None when nothing follows."""
        if self._part is None:
            return None
        payload, self._payload = self._payload, None
        if payload is None:
            payload = self._maker.make(self._part)
            self._begin(payload)
        return payload

    def take_back(self) -> None:
        """It waits for another turn, where it was begun."""
        if self._part is not None and self._payload is not None:
            self._payload = None
            _take_back(self._run, self._part)

    def _begin(self, payload: Payload) -> None:
        if self._part is not None:
            _begin(self._run, self._part, payload, self._maker.written_at, **{AFTER: self._before.pk})


def _send(run: Run, part: Part, payload: Payload, following: NextPart) -> Payload | None:
    """Send a part whose intent is stored. The bytes of the one that follows, where its answer was its end."""
    try:
        if _has_ended_with_its_answer(run, part, payload, following.prepare):
            return following.take_turn()
    except Exception:
        following.take_back()
        raise
    following.take_back()
    return None


def _has_ended_with_its_answer(run: Run, part: Part, payload: Payload, meanwhile: Callable[[], None]) -> bool:
    journal = PartJournal(run.lease, run.delivery, part, meanwhile)
    try:
        state = run.connector.send_part(run.context(), payload, journal)
    except UnknownOutcome:
        raise
    except TooLarge as error:
        drop_payload(payload)
        _after_too_large(run, part, error)
        return False
    except ConnectorError:
        # Nothing was done at the vendor: the intent has its outcome, and the part waits for its turn again.
        _take_back(run, part)
        raise
    drop_payload(payload)
    accept_state(run, part, state, wire=payload)
    return part.status in PART_ENDED and run.goes_on


def _take_back(run: Run, part: Part) -> None:
    change_part(run.lease, part, status=PartStatus.PLANNED, intent=None)


def _after_too_large(run: Run, part: Part, error: TooLarge) -> None:
    _take_back(run, part)
    if run.delivery.memory.get("whole_list"):
        _learn_limit(run, error)
        raise error
    if not split_part(run, part):
        raise error


def _learn_limit(run: Run, error: TooLarge) -> None:
    """The vendor's limit is lower than the account's setting: later lists are refused here, before they are sent."""
    account = run.destination.vendor_account
    known = account.settings.get("maxUploadBytes")
    if error.refused_bytes and known and error.refused_bytes <= known:
        account_set_limit(account, "maxUploadBytes", error.refused_bytes - 1)


def accept_state(run: Run, part: Part, state: RemoteState, *, wire: Payload | None = None) -> None:
    """Store what the vendor answered to a send, once: the job's id is unique in its quota scope. See `store_state`."""
    try:
        store_state(run, part, state, wire=wire)
    except IntegrityError:
        _ask_a_person(
            run,
            part,
            CannotTell(
                "The vendor answered with a job that belongs to another delivery.",
                "Look at the vendor's own history, then retry the upload.",
            ),
        )


def reconcile_open_part(run: Run) -> bool:
    """Look into a part whose intent has no outcome, unless its next look is still to come. True when there is one."""
    part = run.parts().filter(intent__isnull=False).order_by("number").first()
    if part is None:
        return False
    stored = part.intent or {}
    wait = _seconds_to_look(stored)
    if wait > 0:
        run.goes_on = False
        run.put_off(wait)
        return True
    payload = make_payload(run.delivery, run.destination, part, run.connector)
    claimed = _claimed(run, part)
    found = run.connector.reconcile_part(run.context(), payload, read_intent(stored), claimed)
    run.lease.update(last_looked_at=timezone.now())
    if isinstance(found, Found):
        drop_payload(payload)
        accept_state(run, part, found.value, wire=payload)
        _leave_if_ended(run, part)
    elif isinstance(found, Nothing):
        _nothing_there(run, part, stored)
    else:
        _ask_a_person(run, part, found)
    return True


def _seconds_to_look(intent: dict[str, Any]) -> float:
    moment = parse_datetime(intent.get("look_at", ""))
    return (moment - timezone.now()).total_seconds() if moment else 0.0


def _claimed(run: Run, part: Part) -> frozenset[str]:
    """Vendor jobs of the same quota scope that other parts hold, young enough to be mistaken for this one."""
    since = timezone.now() - timedelta(days=31)
    rows = Part.objects.filter(quota_scope=run.connector.quota_scope, sent_at__gte=since).exclude(pk=part.pk)
    return frozenset(rows.exclude(job_id="").order_by("-sent_at").values_list("job_id", flat=True)[:10_000])


def _leave_if_ended(run: Run, part: Part) -> None:
    """The call is over; a gate for the whole vendor job is kept until the part has ended."""
    part.refresh_from_db(fields=["status"])
    whole_job = any(gate.exclusive == "job" for gate in run.connector.gates(run.context()))
    if part.status != PartStatus.SUBMITTED or not whole_job:
        quotas.leave(part_holder(part.pk), row_holder(run.delivery.pk))


def _nothing_there(run: Run, part: Part, stored: dict[str, Any]) -> None:
    """Only when two looks, far enough apart, have found nothing is the call made again."""
    now = timezone.now()
    seen = parse_datetime(stored.get("nothing_at", ""))
    if seen is None:
        part.intent = stored | {"nothing_at": now.isoformat()}
        write_part(run.lease, part, ["intent"])
        _look_again(run, part, SECOND_LOOK)
    elif now - seen < SECOND_LOOK:
        _look_again(run, part, seen + SECOND_LOOK - now)
    else:
        _take_back(run, part)
        quotas.leave(part_holder(part.pk), row_holder(run.delivery.pk))
        _space_out(run)


def _space_out(run: Run) -> None:
    """A part that a vendor loses again and again is not sent without end: its tries are spaced like any others."""
    lost = Transient("The vendor breaks off each time before it answers, and has nothing of the part.", code="lost")
    verdict, told = judge(lost, run.delivery.attempts), error_fields(lost)
    fields: dict[str, Any] = {"attempts": run.delivery.attempts + 1, **due_in(verdict.seconds)}
    if verdict.move == "attention":
        told["vendor_text"] = run.delivery.vendor_text
        fields |= {"status": DeliveryStatus.NEEDS_ATTENTION, **told, **attention_fields(run.delivery)}
    run.goes_on = False
    run.lease.update(**fields)


def _look_again(run: Run, part: Part, wait: timedelta) -> None:
    _look_later(run, part, wait)
    run.lease.update(details="Checking with the vendor before anything is sent again.")


def _look_later(run: Run, part: Part, wait: timedelta) -> None:
    """Leave the part until its next look; meanwhile the delivery's other parts are followed."""
    stored = Part.objects.values_list("intent", flat=True).get(pk=part.pk) or {}
    part.intent = stored | {"look_at": (timezone.now() + wait).isoformat()}
    write_part(run.lease, part, ["intent"])
    run.goes_on = False
    run.put_off(wait.total_seconds())


def _ask_a_person(run: Run, part: Part, unclear: CannotTell) -> None:
    _look_later(run, part, UNCLEAR_LOOK)
    run.lease.update(
        status=DeliveryStatus.NEEDS_ATTENTION,
        error_code="outcome_unknown",
        error_text=unclear.text,
        next_step=unclear.next_step,
        **attention_fields(run.delivery),
    )
