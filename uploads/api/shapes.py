"""How uploads and deliveries look on the API (design section 7.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework import serializers

from audsync_web.api.times import api_time
from uploads.models import DELIVERY_ENDED, Delivery, DeliveryStatus, Mode, Part, Upload, UploadStatus

API_STATUS = {
    UploadStatus.RECEIVING: "pending",
    UploadStatus.INSPECTING: "pending",
    UploadStatus.READY: "pending",
    UploadStatus.DELIVERING: "processing",
    UploadStatus.COMPLETED: "completed",
    UploadStatus.PARTIAL: "failed",
    UploadStatus.FAILED: "failed",
    UploadStatus.CANCELLED: "failed",
}
UPLOAD_STATUSES = [(word, word) for word in dict.fromkeys(API_STATUS.values())]
_STOPPED = {DeliveryStatus.NEEDS_ATTENTION, DeliveryStatus.FAILED, DeliveryStatus.PARTIAL}


class DeliverySerializer(serializers.Serializer[Any]):
    """What makes one destination's membership what the upload says. Sent = accepted + rejected + not yet known."""

    vendorAccountId = serializers.IntegerField()  # noqa: N815  # the API's own words
    vendor = serializers.CharField()
    status = serializers.ChoiceField(choices=DeliveryStatus.choices)
    vendorStatus = serializers.CharField(allow_null=True)  # noqa: N815
    adds = serializers.IntegerField()
    removes = serializers.IntegerField()
    held = serializers.IntegerField()
    merged = serializers.IntegerField(help_text="Members besides that equal another one in the form sent there.")
    unchanged = serializers.IntegerField()
    renewed = serializers.IntegerField()
    sent = serializers.IntegerField()
    wireLines = serializers.IntegerField()  # noqa: N815
    accepted = serializers.IntegerField(allow_null=True)
    rejected = serializers.IntegerField(allow_null=True)
    parts = serializers.IntegerField()
    partsDone = serializers.IntegerField()  # noqa: N815
    remoteJobIds = serializers.ListField(child=serializers.CharField())  # noqa: N815
    details = serializers.CharField(allow_null=True)
    nextActionAt = serializers.DateTimeField(allow_null=True)  # noqa: N815


class UploadRowSerializer(serializers.Serializer[Any]):
    """An upload in a list."""

    id = serializers.UUIDField()
    segmentId = serializers.IntegerField()  # noqa: N815
    status = serializers.ChoiceField(choices=UPLOAD_STATUSES)
    uploadedBytes = serializers.IntegerField()  # noqa: N815
    recordsCount = serializers.IntegerField(help_text="Rows of the file without its header.")  # noqa: N815
    fileMD5 = serializers.CharField(allow_null=True)  # noqa: N815
    mode = serializers.ChoiceField(choices=Mode.choices)
    uniqueCount = serializers.IntegerField(allow_null=True, help_text="Null until inspected.")  # noqa: N815
    duplicateCount = serializers.IntegerField(allow_null=True, help_text="Null until inspected.")  # noqa: N815
    rejectedCount = serializers.IntegerField()  # noqa: N815
    createdAt = serializers.DateTimeField()  # noqa: N815
    updatedAt = serializers.DateTimeField()  # noqa: N815


class NewUploadSerializer(UploadRowSerializer):
    """An upload that was just accepted."""

    deliveries = DeliverySerializer(many=True)


class UploadSerializer(NewUploadSerializer):
    """One upload."""

    details = serializers.CharField(allow_null=True, help_text="What went wrong where; null when nothing did.")


class ActiveMembershipSerializer(serializers.Serializer[Any]):
    """The membership in force."""

    segmentId = serializers.IntegerField()  # noqa: N815
    activeMembershipUploadId = serializers.UUIDField()  # noqa: N815
    createdAt = serializers.DateTimeField(help_text="When it came into force.")  # noqa: N815


def with_deliveries(rows: QuerySet[Upload]) -> QuerySet[Upload]:
    """Uploads with what their full shape needs, in a fixed number of queries."""
    with_job = Part.objects.exclude(job_id="").only("pk", "delivery_id", "job_id").order_by("number")
    deliveries = Delivery.objects.select_related("destination__vendor_account").order_by("pk")
    return rows.prefetch_related(Prefetch("deliveries", deliveries.prefetch_related(Prefetch("parts", with_job))))


def upload_row(upload: Upload) -> dict[str, Any]:
    """An upload as a list shows it."""
    return {
        "id": str(upload.pk),
        "segmentId": upload.segment_id,
        "status": API_STATUS[UploadStatus(upload.status)],
        "uploadedBytes": upload.bytes,
        "recordsCount": upload.records,
        "fileMD5": upload.md5 or None,
        "mode": upload.mode,
        "uniqueCount": upload.members,
        "duplicateCount": upload.duplicates,
        "rejectedCount": upload.rejected,
        "createdAt": api_time(upload.created_at),
        "updatedAt": api_time(upload.updated_at),
    }


def new_upload_shape(upload: Upload) -> dict[str, Any]:
    """An upload that was just accepted: the vendor's own fields, the counts, the deliveries."""
    return upload_row(upload) | {"deliveries": [delivery_shape(row) for row in _counting(upload.deliveries.all())]}


def upload_shape(upload: Upload) -> dict[str, Any]:
    """One upload, whose deliveries are loaded by `with_deliveries`."""
    return new_upload_shape(upload) | {"details": upload.details or None}


def _counting(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """The delivery that counts for each destination: the newest, as a retry stands for what it retries."""
    return list({row.destination_id: row for row in sorted(deliveries, key=lambda row: row.pk)}.values())


def delivery_shape(delivery: Delivery) -> dict[str, Any]:
    """A delivery, whose sent parts are loaded by `with_deliveries`."""
    account = delivery.destination.vendor_account
    return {
        "vendorAccountId": account.pk,
        "vendor": account.vendor,
        "status": delivery.status,
        "vendorStatus": delivery.vendor_status or None,
        "adds": delivery.adds,
        "removes": delivery.removes,
        "held": delivery.held,
        "merged": delivery.merged,
        "unchanged": delivery.unchanged,
        "renewed": delivery.renewed,
        "sent": delivery.sent,
        "wireLines": delivery.wire_lines,
        "accepted": delivery.accepted,
        "rejected": delivery.refused,
        "parts": delivery.parts_total,
        "partsDone": delivery.parts_done,
        "remoteJobIds": [part.job_id for part in delivery.parts.all() if part.job_id],
        "details": _details(delivery),
        "nextActionAt": None if delivery.status in DELIVERY_ENDED else api_time(delivery.next_action_at),
    }


def _details(delivery: Delivery) -> str | None:
    if delivery.status in _STOPPED and delivery.error_text:
        said = f"The vendor says: “{delivery.vendor_text}”." if delivery.vendor_text else ""
        return " ".join(filter(None, (delivery.error_text, said, delivery.next_step)))
    return delivery.details or delivery.error_text or None
