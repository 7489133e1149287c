"""What an error of a connector means for the job that met it: one place decides for every kind of job."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from django.utils import timezone

from audsync_web.jobs.models import Job

from .connectors.errors import (
    AuthenticationFailed,
    ConnectorError,
    NotYet,
    QuotaExceeded,
    Transient,
    UnknownOutcome,
)
from .models import VendorAccount

FIRST_BACKOFF = 2.0
LONGEST_BACKOFF = 120.0
# After so many failed tries in a row people are told; AudSync goes on trying, slowly.
TRIES_BEFORE_ATTENTION = 6
SLOW_RETRY = 300.0
ACCOUNT_IN_TROUBLE = "account_needs_attention"
ACCOUNT_NEXT_STEP = "Open the vendor account."

Move = Literal["later", "retry", "attention", "reconcile", "account", "stop"]


@dataclass(frozen=True)
class Verdict:
    """What to do: `later` (our own pacing), `retry`, `attention` (retry slowly and tell people), `reconcile`,
    `account` (the vendor account needs attention), `stop`. `seconds` until the next look."""

    move: Move
    seconds: float = 0.0


def judge(error: ConnectorError, attempts: int) -> Verdict:
    """Sort an error for a job that failed `attempts` times in a row before."""
    if isinstance(error, NotYet | QuotaExceeded):
        return Verdict("later", error.retry_after or 1.0)
    if isinstance(error, Transient):
        return _retry(error, attempts)
    if isinstance(error, UnknownOutcome):
        return Verdict("reconcile")
    if isinstance(error, AuthenticationFailed):
        return Verdict("account")
    return Verdict("stop")


def _retry(error: Transient, attempts: int) -> Verdict:
    asked = error.retry_after or 0.0
    if attempts + 1 >= TRIES_BEFORE_ATTENTION:
        return Verdict("attention", max(asked, SLOW_RETRY))
    backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**attempts)
    # Full jitter on top of the vendor's wish, so that many jobs do not come back in the same second.
    return Verdict("retry", asked + random.uniform(0.5, 1.0) * backoff if asked else random.uniform(0.5, 1.0) * backoff)  # noqa: S311


def error_fields(error: ConnectorError) -> dict[str, Any]:
    """The columns of a job row that tell people about an error."""
    return {
        "error_code": error.code,
        "error_text": error.text,
        "next_step": error.next_step,
        "vendor_text": error.vendor_text + (f" (reference {error.reference})" if error.reference else ""),
    }


def attention_fields(job: Job) -> dict[str, Any]:
    """The moment from which a job has needed attention; it stays when it was set already."""
    return {"attention_since": job.attention_since or timezone.now()}


def due_in(seconds: float) -> dict[str, Any]:
    """`next_action_at` so many seconds from now."""
    return {"next_action_at": timezone.now() + timedelta(seconds=max(0.0, seconds))}


def account_trouble(account: VendorAccount) -> tuple[str, str]:
    """Why jobs wait for a vendor account that needs attention, and what to do about it."""
    return f"{account.name}: {account.error_text or 'It needs attention.'}", account.next_step or ACCOUNT_NEXT_STEP
