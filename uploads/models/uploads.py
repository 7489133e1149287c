"""An upload is one file of members; a delivery makes one destination's membership what the upload says."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from audsync_web.jobs.models import Job, cleared_error
from audsync_web.people.models import Company, User
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, Segment


class Mode(models.TextChoices):
    """What the file means for the membership."""

    REPLACE = "replace", "Replace"
    ADD = "add", "Add"
    REMOVE = "remove", "Remove"


class UploadStatus(models.TextChoices):
    """`receiving → inspecting → ready → delivering → completed | partial | failed | cancelled` (design section 4.6)."""

    RECEIVING = "receiving", "Receiving"
    INSPECTING = "inspecting", "Inspecting"
    READY = "ready", "Ready"
    DELIVERING = "delivering", "Delivering"
    COMPLETED = "completed", "Completed"
    PARTIAL = "partial", "Partial"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


UPLOAD_ENDED = (UploadStatus.COMPLETED, UploadStatus.PARTIAL, UploadStatus.FAILED, UploadStatus.CANCELLED)
_ENDED_UPLOAD = Q(status__in=[status.value for status in UPLOAD_ENDED])


class UploadQuerySet(models.QuerySet["Upload"]):
    """Uploads, always within one company."""

    def visible_to(self, company: Company) -> UploadQuerySet:
        """The company's uploads."""
        return self.filter(company=company)


class Upload(Job):
    """One file of members for one segment. As a job it is inspected; then its deliveries are jobs of their own.

    Counts balance: file rows (`records`) = members + duplicates + rejected; blank lines are no rows. `hold` keeps it at
    `ready` until a person has seen the preflight and said go. `origin` says where the file came from when it was not
    sent by a person (a Synerise segmentation, a top-up, an undo).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="uploads")
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="uploads")
    uploaded_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="uploads")
    via = models.CharField(max_length=10, default="api")
    origin = models.JSONField(default=dict)
    file_name = models.CharField(max_length=255, blank=True, default="")
    status = models.CharField(max_length=12, choices=UploadStatus.choices, default=UploadStatus.INSPECTING)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.REPLACE)
    kind = models.CharField(max_length=20, blank=True, default="")
    check_options = models.JSONField(default=dict)
    original = models.CharField(max_length=200, blank=True, default="")
    original_gone_at = models.DateTimeField(null=True, blank=True)
    report = models.CharField(max_length=200, blank=True, default="")
    report_gone_at = models.DateTimeField(null=True, blank=True)
    members_file = models.CharField(max_length=200, blank=True, default="")
    checked = models.BooleanField(default=False)
    hold = models.BooleanField(default=False)
    max_removed_share = models.FloatField(null=True, blank=True)
    bytes = models.BigIntegerField(default=0)
    md5 = models.CharField(max_length=32, blank=True, default="")
    sha256 = models.CharField(max_length=64, blank=True, default="")
    records = models.BigIntegerField(default=0)
    blank_lines = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    rejected_by_reason = models.JSONField(default=dict)
    members = models.BigIntegerField(null=True, blank=True)
    duplicates = models.BigIntegerField(null=True, blank=True)
    preview = models.JSONField(default=dict)
    progress = models.JSONField(default=dict)
    details = models.TextField(blank=True, default="")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    """When its deliveries were queued: at once over REST, at "go" on the page."""

    objects: ClassVar[Any] = UploadQuerySet.as_manager()

    class Meta(Job.Meta):
        ordering = ["-created_at", "-id"]
        indexes = [
            *Job.Meta.indexes,
            # Behind the order stand the history's other filters: a row that does not fit them is never fetched.
            models.Index(
                fields=["company", "-created_at", "-id", "status", "segment", "uploaded_by"],
                name="upload_by_company",
            ),
            models.Index(
                fields=["company", "status", "-created_at", "-id", "segment", "uploaded_by"], name="upload_by_status"
            ),
            models.Index(
                fields=["segment", "-created_at", "-id", "company", "status", "uploaded_by"], name="upload_by_segment"
            ),
            models.Index(
                fields=["company", "uploaded_by", "-created_at", "-id", "status", "segment"], name="upload_by_person"
            ),
            models.Index(fields=["company", "file_name", "id"], name="upload_by_name"),
            models.Index(fields=["company", "created_at"], condition=~_ENDED_UPLOAD, name="upload_live"),
            models.Index(fields=["created_at"], condition=~Q(original=""), name="upload_with_original"),
            models.Index(fields=["created_at"], condition=Q(report_gone_at__isnull=True), name="upload_with_report"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=UploadStatus.values), name="upload_status_known"),
            models.CheckConstraint(condition=Q(mode__in=Mode.values), name="upload_mode_known"),
            models.CheckConstraint(
                condition=Q(members__isnull=True, duplicates__isnull=True)
                | Q(records=F("members") + F("duplicates") + F("rejected")),
                name="upload_counts_balance",
            ),
            models.CheckConstraint(
                condition=(_ENDED_UPLOAD & Q(finished_at__isnull=False))
                | (~_ENDED_UPLOAD & Q(finished_at__isnull=True)),
                name="upload_finished_when_ended",
            ),
        ]

    def __str__(self) -> str:
        return self.shown_name

    @property
    def shown_name(self) -> str:
        """The file's name; programs often give none, then something to tell it from others by."""
        return self.file_name or f"Upload {str(self.id)[:8]}"

    @property
    def has_ended(self) -> bool:
        """Whether its word is a last one. What is held until publish may follow all the same."""
        return self.status in UPLOAD_ENDED


class DeliveryStatus(models.TextChoices):
    """A delivery in one word (design section 4.6)."""

    QUEUED = "queued", "Queued"
    PREPARING = "preparing", "Preparing"
    STAGED = "staged", "Staged until publish"
    SENDING = "sending", "Sending"
    SUBMITTED = "submitted", "Submitted"
    PROCESSING = "processing", "Processing"
    NEEDS_ATTENTION = "needs attention", "Needs attention"
    COMPLETED = "completed", "Completed"
    PARTIAL = "partial", "Partial"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    SUPERSEDED = "superseded", "Superseded"


DELIVERY_ENDED = (
    DeliveryStatus.COMPLETED,
    DeliveryStatus.PARTIAL,
    DeliveryStatus.FAILED,
    DeliveryStatus.CANCELLED,
    DeliveryStatus.SUPERSEDED,
)
_ENDED_DELIVERY = Q(status__in=[status.value for status in DELIVERY_ENDED])
_NEEDS_ATTENTION = Q(status=DeliveryStatus.NEEDS_ATTENTION.value)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Deliveries, always within one company."""

    def visible_to(self, company: Company) -> DeliveryQuerySet:
        """The company's deliveries."""
        return self.filter(company=company)

    def open(self) -> DeliveryQuerySet:
        """Those that have not ended."""
        return self.filter(~_ENDED_DELIVERY)

    def end_waiting(self, word: DeliveryStatus, **told: Any) -> int:
        """End those that only wait; what they waited for is not the reason. How many ended."""
        now = timezone.now()
        ended = {"status": word, "next_action_at": None, "finished_at": now, "updated_at": now, "details": "", **told}
        return self.open().filter(is_live=False).update(**cleared_error(), **ended)


class Delivery(Job):
    """Upload × destination. At most one of a destination is live; the others wait in the order of their ids.

    Balance: members = held + adds + renewed + unchanged (replace, add), or held + removes + unchanged (remove).
    Sent = adds + renewed + removes = accepted + refused + not yet known. `wire_lines` is what went over the wire.
    `uncertain` of what is not yet known will never be: the delivery ended without learning what became of these rows.
    `source_snapshot` is set when the members come from another destination's membership instead of the upload's file.
    `segment`, `vendor_account`, `uploaded_by` and `uploaded_at` repeat what stands at the upload and the destination,
    where they never change: a long history is found by them.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="deliveries")
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="deliveries")
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="deliveries")
    segment = models.ForeignKey(Segment, models.CASCADE, related_name="deliveries", db_index=False, editable=False)
    vendor_account = models.ForeignKey(
        VendorAccount, on_delete=models.PROTECT, related_name="deliveries", db_index=False, editable=False
    )
    uploaded_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+", editable=False)
    uploaded_at = models.DateTimeField(editable=False)
    source_snapshot = models.ForeignKey("Snapshot", on_delete=models.SET_NULL, null=True, related_name="+")
    retry_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="retries")
    status = models.CharField(max_length=16, choices=DeliveryStatus.choices, default=DeliveryStatus.QUEUED)
    is_live = models.BooleanField(default=False)
    mode = models.CharField(max_length=8, choices=Mode.choices)
    planned_at = models.DateTimeField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    base_snapshot = models.ForeignKey("Snapshot", on_delete=models.SET_NULL, null=True, related_name="+")
    changes_file = models.CharField(max_length=200, blank=True, default="")
    held_report = models.CharField(max_length=200, blank=True, default="")
    vendor_report = models.CharField(max_length=200, blank=True, default="")
    vendor_status = models.CharField(max_length=120, blank=True, default="")
    vendor_phase = models.CharField(max_length=16, blank=True, default="")
    counters = models.JSONField(default=dict)
    memory = models.JSONField(default=dict)
    suspect = models.TextField(blank=True, default="")
    members = models.BigIntegerField(default=0)
    adds = models.BigIntegerField(default=0)
    renewed = models.BigIntegerField(default=0)
    removes = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    merged = models.BigIntegerField(default=0)
    """Members of the file besides, that equal another one in the form that is sent there: those count once."""
    sent = models.BigIntegerField(default=0)
    wire_lines = models.BigIntegerField(default=0)
    wire_bytes = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(null=True, blank=True)
    refused = models.BigIntegerField(null=True, blank=True)
    uncertain = models.BigIntegerField(default=0)
    parts_total = models.PositiveIntegerField(default=0)
    parts_done = models.PositiveIntegerField(default=0)
    first_sent_at = models.DateTimeField(null=True, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    confirm_since = models.DateTimeField(null=True, blank=True)
    last_looked_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict)
    details = models.TextField(blank=True, default="")

    objects: ClassVar[Any] = DeliveryQuerySet.as_manager()

    class Meta(Job.Meta):
        ordering = ["-pk"]
        verbose_name_plural = "deliveries"
        indexes = [
            *Job.Meta.indexes,
            models.Index(fields=["company", "-id"], name="delivery_by_company"),
            models.Index(fields=["company", "status", "-id"], name="delivery_by_status"),
            models.Index(fields=["company", "-created_at", "-id", "accepted", "refused"], name="delivery_by_time"),
            models.Index(
                fields=["company", "status", "-created_at", "-id", "vendor_account", "segment", "uploaded_by"],
                name="delivery_by_status_time",
            ),
            models.Index(
                fields=["company", "vendor_account", "-created_at", "-id", "status", "segment", "uploaded_by"],
                name="delivery_by_account",
            ),
            models.Index(
                fields=["company", "segment", "-created_at", "-id", "status", "vendor_account", "uploaded_by"],
                name="delivery_by_segment",
            ),
            models.Index(
                fields=["company", "uploaded_by", "-created_at", "-id", "status", "vendor_account", "segment"],
                name="delivery_by_person",
            ),
            models.Index(
                fields=["company", "vendor_account", "-uploaded_at", "-upload", "segment", "uploaded_by"],
                condition=Q(retry_of__isnull=True),
                name="delivery_by_upload_time",
            ),
            models.Index(fields=["uploaded_at"], condition=~Q(changes_file=""), name="delivery_with_changes"),
            models.Index(fields=["company", "-updated_at"], condition=_NEEDS_ATTENTION, name="delivery_concern"),
            models.Index(fields=["destination", "-id"], name="delivery_by_destination"),
            models.Index(fields=["company", "created_at"], condition=~_ENDED_DELIVERY, name="delivery_open"),
            models.Index(fields=["vendor_account", "status"], name="delivery_account_status"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="delivery_status_known"),
            models.CheckConstraint(condition=Q(mode__in=Mode.values), name="delivery_mode_known"),
            models.UniqueConstraint(fields=["destination"], condition=Q(is_live=True), name="delivery_one_live"),
            models.CheckConstraint(condition=Q(is_live=False) | ~_ENDED_DELIVERY, name="delivery_ended_is_not_live"),
            models.CheckConstraint(
                condition=(_ENDED_DELIVERY & Q(finished_at__isnull=False))
                | (~_ENDED_DELIVERY & Q(finished_at__isnull=True)),
                name="delivery_finished_when_ended",
            ),
            models.CheckConstraint(
                condition=Q(planned_at__isnull=True)
                | (Q(mode="remove") & Q(members=F("held") + F("removes") + F("unchanged")))
                | (~Q(mode="remove") & Q(members=F("held") + F("adds") + F("renewed") + F("unchanged"))),
                name="delivery_members_balance",
            ),
            models.CheckConstraint(
                condition=Q(sent=F("adds") + F("renewed") + F("removes")), name="delivery_sent_balance"
            ),
            models.CheckConstraint(
                condition=Q(sent__gte=Coalesce("accepted", 0) + Coalesce("refused", 0) + F("uncertain")),
                name="delivery_answers_within_sent",
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"

    def save(self, *args: Any, **options: Any) -> None:
        """As every model; a new row takes over what it repeats of its upload and destination."""
        if self._state.adding:
            upload, destination = self.upload, self.destination
            self.segment_id, self.vendor_account_id = destination.segment_id, destination.vendor_account_id
            self.uploaded_by_id, self.uploaded_at = upload.uploaded_by_id, upload.created_at
        super().save(*args, **options)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in DELIVERY_ENDED

    @property
    def not_yet_known(self) -> int:
        """Sent rows that the vendor has neither accepted nor refused so far."""
        return self.sent - (self.accepted or 0) - (self.refused or 0)


class PartStatus(models.TextChoices):
    """A part in one word. `uncertain` is the end of one that the vendor may have taken and nobody follows any more."""

    PLANNED = "planned", "Planned"
    SENDING = "sending", "Sending"
    SUBMITTED = "submitted", "Submitted"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    UNCERTAIN = "uncertain", "Outcome not known"


PART_ENDED = (PartStatus.ACKNOWLEDGED, PartStatus.FAILED, PartStatus.CANCELLED, PartStatus.UNCERTAIN)


class Part(models.Model):
    """A slice of a delivery that goes in one vendor call or vendor job: rows `first_row`–`last_row` of the change file.

    `job_id` is unique in its quota scope, so that no two parts can ever claim the same vendor job.
    """

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=12, choices=PartStatus.choices, default=PartStatus.PLANNED)
    first_row = models.BigIntegerField(default=0)
    last_row = models.BigIntegerField(default=0)
    ops = models.JSONField(default=list)
    adds = models.BigIntegerField(default=0)
    removes = models.BigIntegerField(default=0)
    lines = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    wire_bytes = models.BigIntegerField(default=0)
    md5 = models.CharField(max_length=32, blank=True, default="")
    quota_scope = models.CharField(max_length=200, blank=True, default="")
    job_id = models.CharField(max_length=160, blank=True, default="")
    memory = models.JSONField(default=dict)
    intent = models.JSONField(null=True, blank=True)
    vendor_status = models.CharField(max_length=120, blank=True, default="")
    phase = models.CharField(max_length=16, blank=True, default="")
    sent_at = models.DateTimeField(null=True, blank=True)
    polls = models.PositiveIntegerField(default=0)
    next_poll_at = models.DateTimeField(null=True, blank=True)
    accepted = models.BigIntegerField(null=True, blank=True)
    refused = models.BigIntegerField(null=True, blank=True)
    counters = models.JSONField(default=dict)
    details = models.TextField(blank=True, default="")
    resends = models.PositiveSmallIntegerField(default=0)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="part_number_once"),
            models.UniqueConstraint(
                fields=["quota_scope", "job_id"], condition=~Q(job_id=""), name="part_job_once_in_scope"
            ),
            models.CheckConstraint(condition=Q(status__in=PartStatus.values), name="part_status_known"),
        ]
        indexes = [
            models.Index(fields=["delivery", "status", "number"], name="part_by_status"),
            models.Index(fields=["job_id"], name="part_by_job"),
            models.Index(fields=["quota_scope", "sent_at"], name="part_sent_in_scope"),
            models.Index(fields=["quota_scope"], condition=Q(status="submitted"), name="part_waiting_in_scope"),
        ]

    def __str__(self) -> str:
        return f"part {self.number} of delivery {self.delivery_id}"


class Snapshot(models.Model):
    """The last membership a vendor has acknowledged for a destination, as a sorted file. One is current.

    Beside it stand those of whom nobody knows whether the vendor has them, whatever the file says: `uncertain` of them
    in `uncertain_file`. They leave it when a later delivery has been acknowledged for them.
    """

    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="snapshots")
    delivery = models.ForeignKey(Delivery, on_delete=models.SET_NULL, null=True, related_name="+")
    file = models.CharField(max_length=200, blank=True, default="")
    """Empty for the membership of a segment that was just made: nobody."""
    members = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    """Refusals that the vendor only counted: they stay in the file, this is how many."""
    uncertain_file = models.CharField(max_length=200, blank=True, default="")
    uncertain = models.BigIntegerField(default=0)
    first_ends_on = models.DateField(null=True, blank=True)
    """The first day on which somebody's membership ends."""
    ends = models.JSONField(default=dict)
    """How many members end when: `{"days": {day: count}, "later": count, "never": count}`; see
    `membership.snapshots.ends_of`."""
    created_at = models.DateTimeField(default=timezone.now)
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["destination"], condition=Q(superseded_at__isnull=True), name="snapshot_one_current"
            ),
        ]
        indexes = [
            models.Index(fields=["destination", "-id"], name="snapshot_by_destination"),
            models.Index(fields=["destination", "superseded_at", "created_at", "members"], name="snapshot_by_end"),
        ]

    def __str__(self) -> str:
        return f"snapshot {self.pk} of destination {self.destination_id}"
