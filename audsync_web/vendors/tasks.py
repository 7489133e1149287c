"""Celery's entry to the health checks."""

from __future__ import annotations

from celery import shared_task

from audsync_web.jobs.engine import run_slice

from . import services


@shared_task(name="vendors.check_account", ignore_result=True)
def check_account(pk: str) -> None:
    """Check one account's health if it is due."""
    run_slice("vendors.account", pk, services.account_advance, services.account_crashed)
