"""How a slice of work runs: claim, keep the lease alive, work, give back. And how due work is woken."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from .kinds import JobKind, all_kinds, housekeeping_hooks, kind_named, tick_hooks
from .leases import Lease, LeaseLost, claim, heart, release
from .room import is_no_room

logger = logging.getLogger(__name__)

WOKEN_PER_TICK = 200
# A wake-up that was not answered in this time is sent again; the message itself expires earlier.
WAKE_AGAIN = timedelta(seconds=10)
MESSAGE_LIFE_SECONDS = 60
# How soon a slice that found the disk full looks again.
FULL_FOR = timedelta(seconds=30)

Advance = Callable[[Lease], None]
Crashed = Callable[[Lease, str], None]


def run_slice(kind_name: str, pk: Any, advance: Advance, crashed: Crashed) -> bool:
    """Claim the row and let `advance` work one slice; False when there was nothing to claim.

    An exception that `advance` did not sort is a fault of ours: `crashed` stops the job with a reference that stands
    beside the trace in the log. It is never retried. A full disk is none: the slice is put off until there is room.
    """
    lease = claim(kind_named(kind_name), pk)
    if lease is None:
        return False
    with held(lease):
        _work(lease, advance, crashed)
    _wake_if_due(lease.kind, pk)
    return True


@contextmanager
def held(lease: Lease) -> Iterator[None]:
    """Keep a lease alive while something is done under it, and give it back, whatever happens."""
    heart.hold(lease)
    try:
        yield
    finally:
        heart.drop(lease)
        _unless_full(lambda: release(lease))


def _work(lease: Lease, advance: Advance, crashed: Crashed) -> None:
    try:
        advance(lease)
    except LeaseLost:
        logger.info("%s %s was taken over; stopping here", lease.kind.name, lease.pk)
    except Exception as error:
        if is_no_room(error):
            logger.error("%s %s waits: the disk is full", lease.kind.name, lease.pk)
            _unless_full(lambda: lease.update(next_action_at=timezone.now() + FULL_FOR))
        else:
            reference = uuid.uuid4().hex[:8]
            logger.exception("%s %s stopped, reference %s", lease.kind.name, lease.pk, reference)
            _crash(lease, reference, crashed)


def _unless_full(write: Callable[[], None]) -> None:
    """Write to the row. Where the database has no room either, the row is due as it was, once its lease has ended."""
    try:
        write()
    except LeaseLost:
        logger.info("a row was taken over while its slice was put off")
    except OperationalError as error:
        if not is_no_room(error):
            raise


def _crash(lease: Lease, reference: str, crashed: Crashed) -> None:
    stopping = f"stopping {lease.kind.name} {lease.pk}, reference {reference},"
    if not safely(stopping, lambda: crashed(lease, reference)):
        # Not even its end could be written. It must not come back every second: a person finds it by its reference.
        _unless_full(lambda: lease.update(next_action_at=None))


def _wake_if_due(kind: JobKind, pk: Any) -> None:
    rows: Any = kind.model._default_manager
    if rows.filter(pk=pk, next_action_at__lte=timezone.now()).exists():
        send_wake_up(kind, pk)


def wake(kind_name: str, pk: Any) -> None:
    """Send the wake-up of a row once the present transaction has been committed."""
    kind = kind_named(kind_name)
    transaction.on_commit(lambda: send_wake_up(kind, pk))


def send_wake_up(kind: JobKind, pk: Any) -> None:
    """Put a wake-up on the broker. A broker that is away costs time only: the tick wakes again."""
    try:
        kind.task().apply_async((str(pk),), expires=MESSAGE_LIFE_SECONDS, retry=False)
    except Exception as error:
        logger.warning("wake-up of %s not sent: %s", kind.name, type(error).__name__)


def dispatch() -> int:
    """One tick: run the tick hooks, then wake every row that is due, not held, and not woken just now. Count woken."""
    _run(tick_hooks())
    return sum(_wake_due(kind) for kind in all_kinds())


def _wake_due(kind: JobKind) -> int:
    now = timezone.now()
    rows: Any = kind.model._default_manager
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    stale = Q(woken_at__isnull=True) | Q(woken_at__lt=F("next_action_at")) | Q(woken_at__lt=now - WAKE_AGAIN)
    due = rows.filter(kind.ready(), free, stale, next_action_at__lte=now).order_by("next_action_at")
    found = list(due.values_list("pk", flat=True)[:WOKEN_PER_TICK])
    rows.filter(pk__in=found).update(woken_at=now)
    for pk in found:
        send_wake_up(kind, pk)
    return len(found)


def housekeeping() -> None:
    """Once a minute: deadlines, retention, clean-up. One hook's fault does not keep the others from running."""
    _run(housekeeping_hooks())


def _run(hooks: list[Callable[[], None]]) -> None:
    for hook in hooks:
        safely(f"{hook.__module__}.{hook.__qualname__}", hook)


def safely(what: str, work: Callable[[], None]) -> bool:
    """Do one of several things of which none may keep the others from being done; whether it was done.

    A fault goes to the log with its trace. A row that somebody else has taken over meanwhile is none.
    """
    try:
        work()
    except LeaseLost:
        logger.info("%s: the row was taken over", what)
    except Exception:
        logger.exception("%s failed", what)
    else:
        return True
    return False
