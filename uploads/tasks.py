"""Celery's entries to inspection and delivery."""

from __future__ import annotations

from celery import shared_task

from audsync_web.jobs.engine import run_slice

from .delivery import job as delivery
from .erasure import job as erasing
from .erasure import searching
from .inspection import job as inspection
from .intake import sources


@shared_task(name="uploads.inspect", ignore_result=True)
def inspect(pk: str) -> None:
    """Inspect one upload if it is due."""
    run_slice("uploads.inspection", pk, inspection.advance, inspection.crashed)


@shared_task(name="uploads.deliver", ignore_result=True)
def deliver(pk: str) -> None:
    """Advance one delivery if it is due."""
    run_slice("uploads.delivery", pk, delivery.advance, delivery.crashed)


@shared_task(name="uploads.pull", ignore_result=True)
def pull(pk: str) -> None:
    """Advance one pull of a segmentation if it is due."""
    run_slice("uploads.source", pk, sources.advance, sources.crashed)


@shared_task(name="uploads.search_person", ignore_result=True)
def search(pk: str) -> None:
    """Advance one search for a person if it is due."""
    run_slice("uploads.search", pk, searching.advance, searching.crashed)


@shared_task(name="uploads.erase_person", ignore_result=True)
def erase(pk: str) -> None:
    """Advance one erasure if it is due."""
    run_slice("uploads.erasure", pk, erasing.advance, erasing.crashed)
