"""Pacing and single-flight rules by key, kept in the database: they hold across threads, workers and machines."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from .models import Quota

# Short waits are slept by the worker; longer ones are handed back to the scheduler.
LONGEST_SLEEP = 2.0
# Faster than this is no pacing at all, and need not be written down.
UNPACED_PER_SECOND = 1000.0
TRIES = 50
# Vendors count arrivals, which come a little early or late: paces that they may count by the second get some room.
SLOW_PER_SECOND = 10.0
ROOM = 1.05
LATE = timedelta(milliseconds=20)


class MustWait(Exception):
    """Not now: `seconds` until it is worth asking again, and `reason` in plain words."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = max(0.0, seconds)
        self.reason = reason


def take(key: str, *, per_second: float, burst: int = 1) -> None:
    """Take the next place of `key` (generic cell rate). Sleeps up to 2 s; raises `MustWait` for longer waits."""
    refuse_paused(key)
    if per_second >= UNPACED_PER_SECOND:
        return
    is_slow = per_second <= SLOW_PER_SECOND
    step = timedelta(seconds=(ROOM if is_slow else 1.0) / per_second)
    for _ in range(TRIES):
        row = _row(key)
        now = timezone.now()
        place = max(row.next_free_at, now)
        wait = (place - now - step * (burst - 1)).total_seconds()
        if wait > LONGEST_SLEEP:
            raise MustWait(wait, "Waiting for the vendor's request pace.")
        if _change(row, next_free_at=place + step):
            if wait > 0:
                time.sleep(wait)
            if is_slow:
                _make_up(key, max(now, place - step * (burst - 1)), step * burst)
            return
    raise MustWait(1.0, "Many requests want this vendor at once.")


def _make_up(key: str, due: datetime, distance: timedelta) -> None:
    """Whoever was kept by a busy machine goes later than planned: those behind keep their distance to that."""
    now = timezone.now()
    if now - due > LATE:
        behind = Quota.objects.filter(key=key, next_free_at__lt=now + distance)
        behind.update(next_free_at=now + distance, version=F("version") + 1)


def pause(key: str, seconds: float, reason: str) -> None:
    """Let nobody pass `key` for so many seconds; an earlier, longer pause stays."""
    until = timezone.now() + timedelta(seconds=seconds)
    _row(key)
    shorter = Q(paused_until__isnull=True) | Q(paused_until__lt=until)
    Quota.objects.filter(shorter, key=key).update(paused_until=until, pause_reason=reason[:200])


def refuse_paused(key: str) -> None:
    """Raise `MustWait` while `key` is paused."""
    row = Quota.objects.filter(key=key, paused_until__gt=timezone.now()).first()
    if row is not None and row.paused_until is not None:
        raise MustWait(_seconds(row.paused_until), row.pause_reason or "The vendor asked for a pause.")


def enter(key: str, holder: str, *, interval: float = 0.0, keep: timedelta | None = None) -> None:
    """Pass the gate `key` as `holder`, who may already be inside. Raises `MustWait` when it is closed.

    `interval` is the least time in seconds since the last send; with `keep`, everybody else stays out until `leave` is
    called or so much time has passed.
    """
    for _ in range(TRIES):
        row = _row(key)
        now = timezone.now()
        _refuse_if_closed(row, holder, now, interval, exclusive=keep is not None)
        fields: dict[str, object] = {"last_at": now}
        if keep is not None:
            fields |= {"holder": holder, "held_until": now + keep}
        if _change(row, **fields):
            return
    raise MustWait(1.0, "Many deliveries want this vendor at once.")


def _refuse_if_closed(row: Quota, holder: str, now: datetime, interval: float, *, exclusive: bool) -> None:
    if row.paused_until and row.paused_until > now:
        raise MustWait(_seconds(row.paused_until), row.pause_reason or "The vendor asked for a pause.")
    if exclusive and row.holder and row.holder != holder and row.held_until and row.held_until > now:
        raise MustWait(1.0, "Another delivery is at this vendor; it takes one at a time.")
    if interval and row.last_at:
        left = interval - (now - row.last_at).total_seconds()
        if left > 0:
            raise MustWait(left, "The vendor wants time between two uploads.")


def take_one_of(key: str, holder: str, *, places: int, keep: timedelta) -> None:
    """Enter one of the `places` of `key` as `holder`, until `leave` or for `keep`. Raises `MustWait` after 2 s."""
    deadline = time.monotonic() + LONGEST_SLEEP
    while True:
        for number in range(places):
            row, now = _row(f"{key}:{number}"), timezone.now()
            is_free = not row.holder or row.held_until is None or row.held_until <= now
            if is_free and _change(row, holder=holder, held_until=now + keep):
                return
        if time.monotonic() > deadline:
            raise MustWait(1.0, "As many calls are under way at this vendor as it may be asked at once.")
        time.sleep(0.05)


def stamp(key: str) -> None:
    """Count the interval of `key` from now: a send has just ended."""
    Quota.objects.filter(key=key).update(last_at=timezone.now())


def leave(*holders: str) -> None:
    """Leave every gate that one of `holders` is inside of."""
    Quota.objects.filter(holder__in=holders).update(holder="", held_until=None)


def _row(key: str) -> Quota:
    row, _ = Quota.objects.get_or_create(key=key)
    return row


def _change(row: Quota, **fields: object) -> bool:
    """One conditional UPDATE on the version that was read; False when somebody else was quicker."""
    found = Quota.objects.filter(pk=row.pk, version=row.version)
    return bool(found.update(version=row.version + 1, **fields))


def _seconds(until: datetime) -> float:
    return max(0.0, (until - timezone.now()).total_seconds())
