"""The scheduler's tasks."""

from __future__ import annotations

from celery import shared_task

from . import engine
from .leases import heart


@shared_task(name="jobs.dispatch", ignore_result=True)
def dispatch() -> None:
    """Wake whatever is due."""
    heart.start()
    engine.dispatch()


@shared_task(name="jobs.housekeeping", ignore_result=True)
def housekeeping() -> None:
    """Deadlines, retention, clean-up."""
    engine.housekeeping()
