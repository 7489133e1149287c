"""A pull brings an audience that lives at a vendor to one of our segments."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from audsync_web.jobs.models import Job
from audsync_web.people.models import Company, User
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment

from .uploads import Mode, Upload


class PullStatus(models.TextChoices):
    """A pull in one word. Once it is completed its upload goes on as any other."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    NEEDS_ATTENTION = "needs attention", "Needs attention"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


PULL_ENDED = (PullStatus.COMPLETED, PullStatus.FAILED, PullStatus.CANCELLED)
_ENDED = Q(status__in=[status.value for status in PULL_ENDED])


class PullWay(models.TextChoices):
    """How the vendor is read: frozen first where it can be, else the list as it is at the moment of each page."""

    EXPORT = "export", "Frozen export"
    MATERIALISE = "materialise", "Frozen list"
    PAGES = "pages", "Page by page"


class PullQuerySet(models.QuerySet["SourcePull"]):
    """Pulls, always within one company."""

    def visible_to(self, company: Company) -> PullQuerySet:
        """The company's pulls."""
        return self.filter(company=company)


class SourcePull(Job):
    """A segmentation at a vendor on its way to become an upload: the job that reads it page by page.

    `offset` is the cursor: the rows that lie safe in `chunks` files. `memory` names the vendor's snapshot and the end
    of its life. `upload_id` is chosen beforehand, so that a repeated last step makes the same upload.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="source_pulls")
    vendor_account = models.ForeignKey(VendorAccount, on_delete=models.CASCADE, related_name="source_pulls")
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="source_pulls")
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    via = models.CharField(max_length=10, default="api")
    status = models.CharField(max_length=16, choices=PullStatus.choices, default=PullStatus.QUEUED)
    segmentation = models.CharField(max_length=40)
    identifier = models.CharField(max_length=20)
    """The field of the profiles that is read."""
    kind = models.CharField(max_length=20)
    """What the upload's column says: the same kind, or `provider_id` to pass the values byte for byte."""
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.REPLACE)
    hold = models.BooleanField(default=False)
    way = models.CharField(max_length=12, choices=PullWay.choices, default=PullWay.PAGES)
    memory = models.JSONField(default=dict)
    offset = models.BigIntegerField(default=0)
    chunks = models.PositiveIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0)
    expected = models.BigIntegerField(null=True, blank=True)
    restarts = models.PositiveSmallIntegerField(default=0)
    details = models.TextField(blank=True, default="")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    upload_key = models.UUIDField(default=uuid.uuid4)
    upload = models.ForeignKey(Upload, on_delete=models.SET_NULL, null=True, related_name="+")

    objects: ClassVar[Any] = PullQuerySet.as_manager()

    class Meta(Job.Meta):
        ordering = ["-created_at", "-id"]
        indexes = [
            *Job.Meta.indexes,
            models.Index(fields=["company", "-created_at", "-id"], name="pull_by_company"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=PullStatus.values), name="pull_status_known"),
            models.CheckConstraint(
                condition=(_ENDED & Q(finished_at__isnull=False)) | (~_ENDED & Q(finished_at__isnull=True)),
                name="pull_finished_when_ended",
            ),
        ]

    def __str__(self) -> str:
        return f"segmentation {self.segmentation}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in PULL_ENDED
