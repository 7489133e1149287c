"""Leases: how a worker takes a row, keeps it, and gives it back.

A lease is a random word in the row. Every write of a slice is conditional on it, so a worker that was thought dead
and comes back can change nothing any more.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import close_old_connections, connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from .kinds import JobKind, all_kinds
from .models import Quota, WorkerHeartbeat

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
BEAT_SECONDS = 5.0
WORKER_FRESH = timedelta(seconds=20)
# The scheduler's row among those of the workers, and how long it may be silent.
SCHEDULER = "scheduler"
SCHEDULER_FRESH = timedelta(seconds=15)


class LeaseLost(Exception):
    """The row was taken by somebody else, or ended: stop without touching it."""


class CancelRequested(Exception):
    """A person asked to stop while a long call was running."""


class Lease:
    """A held row. `update` writes fields on condition that it is still ours."""

    def __init__(self, kind: JobKind, pk: Any, owner: str) -> None:
        self.kind = kind
        self.pk = pk
        self.owner = owner
        self.lost = False

    def update(self, **fields: Any) -> None:
        """Write fields of the row. Raises `LeaseLost` when it is not ours any more."""
        changed = self.kind.model._default_manager.filter(pk=self.pk, lease_owner=self.owner).update(
            updated_at=timezone.now(), **fields
        )
        if not changed:
            self.lost = True
            raise LeaseLost(f"{self.kind.name} {self.pk}")

    def check(self) -> None:
        """Raise `LeaseLost` when the heartbeat found that the row is not ours any more."""
        if self.lost:
            raise LeaseLost(f"{self.kind.name} {self.pk}")


def claim(kind: JobKind, pk: Any) -> Lease | None:
    """Take a due row by one conditional UPDATE; None when it is not due, not ready, held, or its lane is full."""
    now = timezone.now()
    owner = f"{worker_name()}:{uuid.uuid4().hex[:16]}"
    rows: Any = kind.model._default_manager
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    wanted = rows.filter(kind.ready(), free, pk=pk, next_action_at__lte=now)
    found = wanted.values_list("lane", flat=True).first()
    if found is None or (found and _lane_is_full(kind, found, now)):
        return None
    taken = rows.filter(free, pk=pk, next_action_at__lte=now).update(lease_owner=owner, lease_until=now + LEASE)
    return Lease(kind, pk, owner) if taken else None


def seize(kind: JobKind, pk: Any) -> Lease | None:
    """Take a row that nobody holds, due or not, ready or not: for housekeeping that ends it. None when it is held."""
    now = timezone.now()
    owner = f"{worker_name()}:{uuid.uuid4().hex[:16]}"
    rows: Any = kind.model._default_manager
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    taken = rows.filter(free, pk=pk).update(lease_owner=owner, lease_until=now + LEASE)
    return Lease(kind, pk, owner) if taken else None


def _lane_is_full(kind: JobKind, lane: str, now: Any) -> bool:
    rows: Any = kind.model._default_manager
    return bool(rows.filter(lane=lane, lease_until__gte=now).count() >= kind.lane_limit)


def release(lease: Lease) -> None:
    """Give a row back; nothing happens when it is not ours any more."""
    lease.kind.model._default_manager.filter(pk=lease.pk, lease_owner=lease.owner).update(
        lease_owner="", lease_until=None
    )


def worker_name() -> str:
    """This process, as other machines know it."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}"


class Heart:
    """Renews every lease of this process and shows that the worker lives, from one background thread."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._more: list[Callable[[], object]] = []

    def hold(self, lease: Lease) -> None:
        """Keep `lease` alive until `drop`."""
        with self._lock:
            self._leases[lease.owner] = lease
        self.start()

    def drop(self, lease: Lease) -> None:
        """Stop renewing `lease`."""
        with self._lock:
            self._leases.pop(lease.owner, None)

    def also(self, act: Callable[[], object]) -> None:
        """Do this, too, with every beat."""
        self._more.append(act)

    def start(self) -> None:
        """Start beating in this process, once (a forked process needs its own thread)."""
        with self._lock:
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                close_old_connections()
                self.beat()
                for act in self._more:
                    act()
            except Exception as error:
                logger.warning("heartbeat failed: %s", type(error).__name__)
                connection.close()
            pause.wait(BEAT_SECONDS)

    def beat(self) -> None:
        """One beat: renew what is held, and write the sign of life."""
        now = timezone.now()
        WorkerHeartbeat.objects.update_or_create(worker=worker_name(), defaults={"seen_at": now})
        with self._lock:
            held = list(self._leases.values())
        for lease in held:
            renewed = lease.kind.model._default_manager.filter(pk=lease.pk, lease_owner=lease.owner).update(
                lease_until=now + LEASE
            )
            lease.lost = not renewed


heart = Heart()


def free_what_the_dead_hold() -> int:
    """Free rows, and places at vendors, held by processes of this machine that are gone, so that a restarted worker
    need not wait."""
    freed = 0
    host = socket.gethostname()[:40]
    for kind in all_kinds():
        rows: Any = kind.model._default_manager
        owners = rows.filter(lease_owner__startswith=f"{host}:").values_list("lease_owner", flat=True)
        dead = [owner for owner in owners if not _is_alive(owner)]
        freed += rows.filter(lease_owner__in=dead).update(lease_owner="", lease_until=None)
    holders = Quota.objects.filter(holder__startswith=f"{host}:").values_list("holder", flat=True)
    gone = [holder for holder in holders if not _is_alive(holder)]
    return freed + Quota.objects.filter(holder__in=gone).update(holder="", held_until=None)


def _is_alive(owner: str) -> bool:
    try:
        pid = int(owner.split(":")[1])
        os.kill(pid, 0)
    except (IndexError, ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return pid != os.getpid() or owner in heart._leases


def live_workers() -> QuerySet[WorkerHeartbeat]:
    """The worker processes that gave a sign of life in the last 20 seconds."""
    return WorkerHeartbeat.objects.filter(seen_at__gte=timezone.now() - WORKER_FRESH).exclude(worker=SCHEDULER)


def workers_alive() -> bool:
    """Whether there is such a process."""
    return live_workers().exists()
