"""Answers kept for `Idempotency-Key`."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from audsync_web.crypto import SealedJSONField
from audsync_web.people.models import Company, User


class KeptAnswer(models.Model):
    """The first answer to one key of one person in one company, for one method and path.

    While `answered_at` is None the first request still runs. Key and body are stored as keyed hashes, the answer
    sealed: what was asked and said may name people in an audience.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    method = models.CharField(max_length=8)
    path_hash = models.CharField(max_length=64)
    key_hash = models.CharField(max_length=64)
    body_hash = models.CharField(max_length=64, blank=True, default="")
    runner = models.CharField(max_length=32, unique=True)
    running_until = models.DateTimeField()
    answer = SealedJSONField(null=True)
    answered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["company", "user", "method", "path_hash", "key_hash"], name="kept_answer_once"
            ),
            models.CheckConstraint(
                condition=models.Q(answered_at__isnull=True, answer__isnull=True)
                | models.Q(answered_at__isnull=False, answer__isnull=False),
                name="kept_answer_has_answer",
            ),
        ]

    def __str__(self) -> str:
        return f"kept answer {self.pk}"
