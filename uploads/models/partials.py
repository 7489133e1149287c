"""What has arrived of resumable uploads."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from audsync_web.people.models import Company, User
from segments.models import Segment

from .uploads import Upload


class PartialUpload(models.Model):
    """A resumable upload (tus) that has not arrived whole yet. Nobody else's; ends by itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    length = models.BigIntegerField()
    offset = models.BigIntegerField(default=0)
    metadata = models.JSONField(default=dict)
    locked_until = models.DateTimeField(null=True, blank=True)
    upload = models.ForeignKey(Upload, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.id)
