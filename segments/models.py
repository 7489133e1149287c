"""A segment is ours, one row; a destination is that segment at one vendor account, with a state of its own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from audsync_web.jobs.models import Job
from audsync_web.people.models import Company, User
from audsync_web.vendors.connectors.base import LEAVE, SegmentRef, SegmentSpec
from audsync_web.vendors.models import VendorAccount

LONGEST_DURATION_DAYS = 3650
# The release choice that is carried out by a delivery which removes every member.
EMPTY = "empty"


class SegmentStatus(models.TextChoices):
    """A segment in one word (design section 7.3)."""

    CREATED = "created", "Created"
    PUBLISHING = "publishing", "Publishing"
    PUBLISHED = "published", "Published"
    FAILED = "failed", "Failed"
    ARCHIVED = "archived", "Archived"


class SegmentQuerySet(models.QuerySet["Segment"]):
    """Segments, always within one company."""

    def visible_to(self, company: Company) -> SegmentQuerySet:
        """The company's segments, archived ones included."""
        return self.filter(company=company)


class Segment(models.Model):
    """An audience. `status` follows from its destinations and is kept beside them so that lists can filter on it."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=255)
    duration_days = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_DURATION_DAYS)]
    )
    type = models.CharField(max_length=20, default="core")
    status = models.CharField(max_length=12, choices=SegmentStatus.choices, default=SegmentStatus.CREATED)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    activated_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = SegmentQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["company", "-id"], name="segment_by_company"),
            models.Index(fields=["company", "status", "-id"], name="segment_by_status"),
            models.Index(fields=["company", "name"], name="segment_by_name"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=SegmentStatus.values), name="segment_status_known"),
            models.CheckConstraint(
                condition=models.Q(duration_days__gte=1, duration_days__lte=LONGEST_DURATION_DAYS),
                name="segment_duration_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def technical_name(self) -> str:
        """The segment's name at vendors, never cut (design section 7.4)."""
        return f"aud_{self.company.key}_{self.pk}"


class DestinationStatus(models.TextChoices):
    """A destination in one word. `released` is what stays of one that was removed."""

    CREATING = "creating", "Creating"
    CREATED = "created", "Created"
    PUBLISHING = "publishing", "Publishing"
    PUBLISHED = "published", "Published"
    NEEDS_ATTENTION = "needs attention", "Needs attention"
    FAILED = "failed", "Failed"
    ARCHIVED = "archived", "Archived"
    RELEASED = "released", "Removed"


class Wanted(models.TextChoices):
    """What a destination is meant to become; its job works until that is so."""

    CREATED = "created", "Created"
    PUBLISHED = "published", "Published"
    RELEASED = "released", "Removed"


class DestinationQuerySet(models.QuerySet["Destination"]):
    """Destinations."""

    def current(self) -> DestinationQuerySet:
        """Those that are still part of their segment."""
        return self.exclude(status=DestinationStatus.RELEASED).exclude(wanted=Wanted.RELEASED)


class Destination(Job):
    """A segment at one vendor account: the job that creates, publishes and releases it there.

    `memory` is what the connector wants given back with the remote segment. `membership_known` is False for a linked
    remote segment that may hold members which AudSync did not bring.
    """

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="destinations")
    vendor_account = models.ForeignKey(VendorAccount, on_delete=models.PROTECT, related_name="destinations")
    identifier = models.CharField(max_length=20)
    options = models.JSONField(default=dict)
    status = models.CharField(max_length=16, choices=DestinationStatus.choices, default=DestinationStatus.CREATING)
    wanted = models.CharField(max_length=10, choices=Wanted.choices, default=Wanted.CREATED)
    remote_id = models.CharField(max_length=120, blank=True, default="")
    earlier_remote_ids = models.JSONField(default=list)
    linked = models.BooleanField(default=False)
    membership_known = models.BooleanField(default=True)
    wants_membership = models.BooleanField(default=False)
    create_attempt = models.PositiveSmallIntegerField(default=1)
    raw_state = models.CharField(max_length=60, blank=True, default="")
    public_name = models.CharField(max_length=255, blank=True, default="")
    external_id = models.CharField(max_length=120, blank=True, default="")
    memory = models.JSONField(default=dict)
    remote_created_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    reported_size = models.BigIntegerField(null=True, blank=True)
    release_choice = models.CharField(max_length=20, blank=True, default="")

    objects: ClassVar[Any] = DestinationQuerySet.as_manager()

    class Meta(Job.Meta):
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=DestinationStatus.values), name="destination_status_known"
            ),
            models.UniqueConstraint(
                fields=["segment", "vendor_account"],
                condition=~models.Q(status="released"),
                name="destination_once_a_segment",
            ),
            models.UniqueConstraint(
                fields=["vendor_account", "remote_id"],
                condition=~models.Q(remote_id="") & ~models.Q(status="released"),
                name="destination_remote_id_once",
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=["created", "publishing", "published"]) | ~models.Q(remote_id=""),
                name="destination_created_has_remote_id",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment_id} at {self.vendor_account_id}"

    @property
    def holds_members(self) -> bool:
        """Whether deliveries may go there: it exists at the vendor and is not being removed."""
        return bool(self.remote_id) and (self.wanted != Wanted.RELEASED or self.is_emptied_first)

    @property
    def is_emptied_first(self) -> bool:
        """Whether its members are to be taken out at the vendor before it is removed."""
        return self.wanted == Wanted.RELEASED and self.release_choice == EMPTY and not self.memory.get("emptied")

    @property
    def is_left_there(self) -> bool:
        """Whether the segment was let go of, or is about to be, as it is: the vendor may still hold its members."""
        is_gone = self.status == DestinationStatus.RELEASED or self.wanted == Wanted.RELEASED
        return is_gone and self.release_choice in ("", LEAVE.key)

    @property
    def is_published(self) -> bool:
        """Whether the vendor has said so."""
        return self.published_at is not None

    def spec(self) -> SegmentSpec:
        """What the connector is asked to create."""
        return SegmentSpec(
            technical_name=self.segment.technical_name,
            name=self.segment.name,
            duration_days=self.segment.duration_days,
            type=self.segment.type,
            attempt=self.create_attempt,
            options=self.options,
        )

    def ref(self) -> SegmentRef:
        """How the connector names the remote segment again."""
        return SegmentRef(
            remote_id=self.remote_id,
            technical_name=self.segment.technical_name,
            name=self.segment.name,
            duration_days=self.segment.duration_days,
            published=self.is_published,
            created_at=self.remote_created_at,
            memory=self.memory,
            options=self.options,
        )
