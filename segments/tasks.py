"""Celery's entry to the destination's job."""

from __future__ import annotations

from celery import shared_task

from audsync_web.jobs.engine import run_slice

from . import publishing


@shared_task(name="segments.publish", ignore_result=True)
def publish(pk: str) -> None:
    """Advance one destination if it is due."""
    run_slice("segments.destination", pk, publishing.advance, publishing.crashed)
