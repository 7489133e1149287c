"""Rows for tests of the upload pages: segments whose destinations exist, uploads in every state."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from audsync_web.people.models import Company
from audsync_web.vendors.connectors.registry import connector_class
from segments.models import Destination, DestinationStatus, Segment
from tests.factories import make_vendor_account
from tests.jobs_helper import run_until
from uploads.models import UPLOAD_ENDED, Delivery, DeliveryStatus, Upload, UploadStatus

# What each connector must be given before it can be made; nothing of it opens anything.
CREDENTIALS = {
    "anonymised": {"email": "ops@northwind.example", "password": "opens-nothing"},
    "mediarithmics": {"apiToken": "opens-nothing"},
    "synerise": {"apiKey": "opens-nothing"},
}
SETTINGS: dict[str, dict[str, Any]] = {"mediarithmics": {"datamartId": "1471", "organisationId": "612"}}


def make_segment(company: Company, name: str = "Lapsed buyers", **fields: Any) -> Segment:
    """A segment without destinations."""
    segment: Segment = Segment.objects.create(company=company, name=name, duration_days=90, **fields)
    return segment


def make_destination(segment: Segment, vendor: str = "anonymised", identifier: str = "provider_id") -> Destination:
    """A destination that exists at its vendor."""
    known = connector_class(vendor)
    settings = {one.name: one.default for one in known.fields if one.name not in CREDENTIALS[vendor]}
    settings |= {"identifier": identifier, **SETTINGS.get(vendor, {})}
    account = make_vendor_account(segment.company, vendor, settings=settings, credentials=CREDENTIALS[vendor])
    destination: Destination = Destination.objects.create(
        segment=segment,
        vendor_account=account,
        identifier=identifier,
        status=DestinationStatus.CREATED,
        remote_id=f"remote-{account.pk}",
    )
    return destination


def make_upload(segment: Segment, status: str = UploadStatus.COMPLETED, **fields: Any) -> Upload:
    """An upload as it looks when it has come to `status`."""
    ended = {"finished_at": timezone.now()} if status in UPLOAD_ENDED else {}
    values = {"file_name": "members.csv", "bytes": 120, "records": 10, "members": 8, "duplicates": 1, "rejected": 1}
    upload: Upload = Upload.objects.create(
        company=segment.company, segment=segment, status=status, kind="provider_id", **(values | ended | fields)
    )
    return upload


def make_delivery(upload: Upload, destination: Destination, status: str = "completed", **fields: Any) -> Delivery:
    """A delivery as it looks when it has come to `status`."""
    over = {"completed", "partial", "failed", "cancelled", "superseded"}
    ended = {"finished_at": timezone.now()} if status in over else {}
    delivery: Delivery = Delivery.objects.create(
        company=upload.company,
        upload=upload,
        destination=destination,
        mode=upload.mode,
        status=DeliveryStatus(status),
        **(ended | fields),
    )
    return delivery


def settled(upload: Upload) -> Upload:
    """Run due jobs until the upload has ended, well or not."""

    def has_ended() -> bool:
        upload.refresh_from_db()
        return upload.has_ended

    deliveries = upload.deliveries.values_list("status", "error_text", "details")
    run_until(has_ended, lambda: f"{upload.status}: {upload.details} {list(deliveries.all())}")
    return upload
