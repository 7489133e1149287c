"""What every job row has: when it is due, who holds it, what it was about to do, and why it stopped."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone


class Job(models.Model):
    """An abstract job: the domain row itself is the queue entry.

    A worker claims it by one conditional UPDATE that sets a lease, works a short slice, and leaves with
    `next_action_at` set; None means that nothing is to be done. `lane` groups jobs that share a vendor, so that one
    slow vendor cannot take every worker. `intent` is an effectful call that has begun and has no outcome yet.
    """

    next_action_at = models.DateTimeField(null=True, blank=True)
    woken_at = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=80, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    lane = models.CharField(max_length=160, blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    intent = models.JSONField(null=True, blank=True)
    error_code = models.CharField(max_length=60, blank=True, default="")
    error_text = models.TextField(blank=True, default="")
    next_step = models.TextField(blank=True, default="")
    vendor_text = models.TextField(blank=True, default="")
    attention_since = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True
        indexes = [
            models.Index(
                fields=["next_action_at"],
                condition=models.Q(next_action_at__isnull=False),
                name="%(class)s_due",
            ),
            models.Index(fields=["lane"], condition=~models.Q(lease_owner=""), name="%(class)s_leased"),
        ]

    @property
    def is_leased(self) -> bool:
        """Whether a worker holds it now."""
        return self.lease_until is not None and self.lease_until > timezone.now()

    @property
    def is_stalled(self) -> bool:
        """Whether a worker held it and has gone silent: it will be picked up again."""
        return self.lease_owner != "" and not self.is_leased


def cleared_error() -> dict[str, Any]:
    """The fields of a job that is well again."""
    return {
        "error_code": "",
        "error_text": "",
        "next_step": "",
        "vendor_text": "",
        "attention_since": None,
        "attempts": 0,
    }


class Quota(models.Model):
    """The state of one pacing key: the next free place, who is inside a single-flight gate, and a pause."""

    key = models.CharField(max_length=300, unique=True)
    version = models.PositiveIntegerField(default=0)
    next_free_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(null=True)
    holder = models.CharField(max_length=80, blank=True, default="")
    held_until = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(null=True)
    pause_reason = models.CharField(max_length=200, blank=True, default="")

    def __str__(self) -> str:
        return self.key


class WorkerHeartbeat(models.Model):
    """A sign of life of one worker process, and of the scheduler; the pages say when no worker's is fresh."""

    worker = models.CharField(max_length=120, unique=True)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.worker
