"""Jobs that wait for somebody else's trouble say so, and go on by themselves once it is mended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from .models import cleared_error

AT_ONCE = 200
NEEDS_ATTENTION = "needs attention"


def flag(waiting: QuerySet[Any], code: str, why: Callable[[Any], tuple[str, str]]) -> list[Any]:
    """Let jobs that wait need attention, each with the reason and the next step that `why` gives; those it met."""
    flagged = []
    for job in waiting[:AT_ONCE]:
        text, next_step = why(job)
        told = {"error_code": code, "error_text": text, "next_step": next_step, "attention_since": timezone.now()}
        if waiting.filter(pk=job.pk).update(status=NEEDS_ATTENTION, **told):
            flagged.append(job)
    return flagged


def go_on(mended: QuerySet[Any], code: str, word: Callable[[Any], str]) -> list[Any]:
    """Let jobs that were flagged with `code` and whose trouble is mended go on with the status `word`; those it met."""
    flagged, well = mended.filter(status=NEEDS_ATTENTION, error_code=code), cleared_error()
    return [
        job
        for job in flagged[:AT_ONCE]
        if flagged.filter(pk=job.pk).update(status=word(job), next_action_at=timezone.now(), **well)
    ]
