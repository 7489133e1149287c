"""Runs jobs in the test's own process, as workers and the scheduler would, without a broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.utils import timezone

from audsync_web.jobs import engine
from audsync_web.jobs.kinds import JobKind, all_kinds, tick_hooks

# Only a job that never comes to rest needs so long; how fast jobs are is no test's question.
WAIT_SECONDS = 60.0
PAUSE_SECONDS = 0.02


def run_until_quiet(*, kinds: tuple[str, ...] = (), wait: float = 0.0) -> int:
    """Run due jobs, over and over, until nothing is due; returns how many slices ran.

    `kinds` limits it to some job kinds (`uploads.inspection` …). `wait` seconds are also given to jobs that are due
    later (a poll, a pause), which are then run when their time comes; the time that jobs take does not count.
    """
    slices = 0
    deadline = time.monotonic() + wait + WAIT_SECONDS
    while (begun := time.monotonic()) < deadline:
        for hook in tick_hooks():
            hook()
        ran = sum(run_due(kind) for kind in all_kinds() if not kinds or kind.name in kinds)
        slices += ran
        if ran:
            continue
        if wait <= 0 or not _is_waiting(kinds):
            return slices
        time.sleep(PAUSE_SECONDS)
        wait -= time.monotonic() - begun
    raise AssertionError("jobs went on for too long; one of them is due again and again")


def run_until(met: Callable[[], bool], told: Callable[[], object], run: Callable[[], object] = run_until_quiet) -> None:
    """Run due jobs until `met`; where that never comes, `told` says how things stand."""
    deadline = time.monotonic() + WAIT_SECONDS
    run()
    while not met():
        assert time.monotonic() < deadline, told()
        time.sleep(PAUSE_SECONDS)
        run()


def run_due(kind: JobKind) -> int:
    """Give every due row of a kind one slice."""
    rows: Any = kind.model._default_manager
    due = rows.filter(kind.ready(), next_action_at__lte=timezone.now()).order_by("next_action_at")
    ran = 0
    for pk in list(due.values_list("pk", flat=True)):
        kind.task().run(str(pk))
        ran += 1
    return ran


def _is_waiting(kinds: tuple[str, ...]) -> bool:
    later = Q(next_action_at__isnull=False)
    for kind in all_kinds():
        rows: Any = kind.model._default_manager
        if kind.name == "vendors.account" or (kinds and kind.name not in kinds):
            continue
        if rows.filter(kind.ready(), later).exists():
            return True
    return False


def tick() -> None:
    """One tick of the scheduler."""
    engine.dispatch()
