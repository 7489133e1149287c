"""The scheduler's tasks."""

from __future__ import annotations

from celery import shared_task

from . import engine
from .leases import heart
from .scheduler import note_tick


@shared_task(name="jobs.dispatch", ignore_result=True)
def dispatch(scheduled: bool = False) -> None:
    """Wake whatever is due. `scheduled`: the scheduler sent this, not a worker in its stead."""
    heart.start()
    if scheduled:
        note_tick()
    engine.dispatch()


@shared_task(name="jobs.housekeeping", ignore_result=True)
def housekeeping() -> None:
    """Deadlines, retention, clean-up."""
    engine.housekeeping()
