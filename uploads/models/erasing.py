"""Finding one person in every membership, and erasing them. Identifiers stand here sealed, or as keyed hashes, only."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from audsync_web.crypto import SealedJSONField
from audsync_web.jobs.models import Job
from audsync_web.people.models import Company, User
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination

from .uploads import Upload


class SearchStatus(models.TextChoices):
    """A search in one word."""

    RUNNING = "running", "Searching"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"


class ErasureStatus(models.TextChoices):
    """An erasure in one word."""

    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    NEEDS_ATTENTION = "needs attention", "Needs attention"


class CompanyQuerySet(models.QuerySet[Any]):
    """Rows of one company."""

    def visible_to(self, company: Company) -> CompanyQuerySet:
        """The company's rows."""
        return self.filter(company=company)


class PersonSearch(Job):
    """One look for a person in every acknowledged membership of a company.

    `person` is the sealed identifier and its kind, deleted a day after the search (or with the erasure's end).
    `findings` says where the person is and names no identifier.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="person_searches")
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    via = models.CharField(max_length=10, default="api")
    status = models.CharField(max_length=12, choices=SearchStatus.choices, default=SearchStatus.RUNNING)
    person = SealedJSONField(null=True)
    kinds = models.JSONField(default=list)
    searched = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    findings = models.JSONField(default=list)
    profiles = models.JSONField(default=list)
    """What vendors that hold profiles or identities said when they were asked."""
    unknown = models.JSONField(default=list)
    """Destinations whose membership nobody knows."""

    objects: ClassVar[Any] = CompanyQuerySet.as_manager()

    class Meta(Job.Meta):
        ordering = ["-created_at", "-id"]
        indexes = [*Job.Meta.indexes, models.Index(fields=["company", "-created_at", "-id"], name="search_by_company")]

    def __str__(self) -> str:
        return f"search {self.id}"


class Erasure(Job):
    """One person's removal from every vendor, followed step by step until the receipt is whole.

    As long as `lifted_at` is empty its hashes keep the person out of later uploads. `person` is sealed and deleted when
    the last step is done.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="erasures")
    search = models.ForeignKey(PersonSearch, on_delete=models.SET_NULL, null=True, related_name="erasures")
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    via = models.CharField(max_length=10, default="api")
    status = models.CharField(max_length=16, choices=ErasureStatus.choices, default=ErasureStatus.RUNNING)
    person = SealedJSONField(null=True)
    kinds = models.JSONField(default=list)
    files_deleted = models.PositiveIntegerField(default=0)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    objects: ClassVar[Any] = CompanyQuerySet.as_manager()

    class Meta(Job.Meta):
        ordering = ["-created_at", "-id"]
        indexes = [*Job.Meta.indexes, models.Index(fields=["company", "-created_at", "-id"], name="erasure_by_company")]
        constraints = [models.CheckConstraint(condition=Q(status__in=ErasureStatus.values), name="erasure_known")]

    def __str__(self) -> str:
        return f"erasure {str(self.id)[:8]}"


class ErasedHash(models.Model):
    """A keyed hash of an identifier that may not come back. `given`: the person was named by this kind itself; of a
    telephone number without its country: nobody knows which it is. `mark` finds the rows whose hash is to be compared;
    where it is missing every row's is.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="hashes")
    kind = models.CharField(max_length=20)
    digest = models.BinaryField(max_length=32)
    mark = models.BinaryField(max_length=8, default=b"")
    given = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["erasure", "kind", "digest"], name="erased_hash_once")]
        indexes = [models.Index(fields=["company", "kind"], name="erased_by_company")]

    def __str__(self) -> str:
        return f"{self.kind} of erasure {self.erasure_id}"


class StepWhat(models.TextChoices):
    """What a step does."""

    REMOVAL = "removal", "Removal from a segment"
    IDENTITY = "identity", "Removal of the identity"
    PROFILE = "profile", "Erasure of the profile"
    FILES = "files", "Deletion of files"


class StepStatus(models.TextChoices):
    """A step in one word. `doing` is an intent: found without outcome it is looked into and never simply repeated.
    `answered`: the vendor says that it is done, and showed the person all the same; it is looked at again. `left` is no
    step but says what this erasure does not do."""

    WAITING = "waiting", "Waiting"
    DOING = "doing", "Doing"
    ANSWERED = "answered", "Answered"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    LEFT = "left", "Left"


class ErasureStep(models.Model):
    """One act of an erasure and what became of it: a line of the receipt."""

    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="steps")
    what = models.CharField(max_length=10, choices=StepWhat.choices)
    status = models.CharField(max_length=8, choices=StepStatus.choices, default=StepStatus.WAITING)
    vendor_account = models.ForeignKey(VendorAccount, on_delete=models.SET_NULL, null=True, related_name="+")
    destination = models.ForeignKey(Destination, on_delete=models.SET_NULL, null=True, related_name="+")
    upload = models.ForeignKey(Upload, on_delete=models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=60, blank=True, default="")
    """How the vendor calls the kind of identifier, where it has names of its own."""
    count = models.BigIntegerField(null=True, blank=True)
    text = models.TextField(blank=True, default="")
    at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=Q(what__in=StepWhat.values), name="erasure_step_known"),
            models.CheckConstraint(condition=Q(status__in=StepStatus.values), name="erasure_step_status_known"),
        ]

    def __str__(self) -> str:
        return f"{self.what} of {self.erasure_id}"
