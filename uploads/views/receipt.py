"""The receipt of an upload: who, when, which file, what each vendor took, under which of its jobs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.http import HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest
from audsync_web.people.access import get_visible_or_404, page
from uploads.models import Delivery, Upload
from uploads.settling import newest_deliveries

HEADER = (
    "upload", "file", "segment", "mode", "brought by", "received at", "ended at", "bytes", "md5", "sha256",
    "rows", "members in file", "duplicates", "rejected", "vendor", "vendor account", "status", "vendor status",
    "members", "held", "merged", "adds", "renewed", "removes", "unchanged", "sent", "accepted", "refused",
    "not yet known", "wire lines", "first sent at", "last sent at", "finished at", "vendor job ids", "details",
)  # fmt: skip
JOBS_SHOWN = 500


@page()
def upload_receipt(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The receipt as a page to print, or with `?format=json` or `csv` for programs."""
    rows = Upload.objects.select_related("segment", "uploaded_by", "company")
    upload = get_visible_or_404(rows, request.company, pk=pk)
    deliveries = newest_deliveries(upload)
    jobs = _jobs(deliveries)
    kind = request.GET.get("format")
    if kind == "json":
        response = JsonResponse(receipt_json(upload, deliveries, jobs), json_dumps_params={"indent": 2})
        response.headers["Content-Disposition"] = f'attachment; filename="receipt-{upload.pk}.json"'
        return response
    if kind == "csv":
        return csv_response(f"receipt-{upload.pk}.csv", HEADER, _csv_rows(upload, deliveries, jobs))
    lines = [{"delivery": delivery, "jobs": jobs[delivery.pk]} for delivery in deliveries]
    return render(
        request,
        "uploads/receipt.html",
        {"upload": upload, "lines": lines, "shown": JOBS_SHOWN, "crumbs": _crumbs(upload)},
    )


def _crumbs(upload: Upload) -> list[dict[str, str]]:
    return [
        {"label": "History", "url": reverse("history")},
        {"label": upload.shown_name, "url": reverse("upload_one", args=[upload.pk])},
        {"label": "Receipt"},
    ]


def _jobs(deliveries: list[Delivery]) -> dict[int, list[str]]:
    """The vendor's job ids of each delivery, in order of parts."""
    found: dict[int, list[str]] = {delivery.pk: [] for delivery in deliveries}
    for delivery in deliveries:
        ids = delivery.parts.exclude(job_id="").order_by("number").values_list("job_id", flat=True)
        found[delivery.pk] = list(ids[:JOBS_SHOWN])
    return found


def receipt_json(upload: Upload, deliveries: list[Delivery], jobs: dict[int, list[str]]) -> dict[str, Any]:
    """The receipt for programs."""
    return {
        "upload": str(upload.pk),
        "company": upload.company.name,
        "segment": {"id": upload.segment_id, "name": upload.segment.name},
        "broughtBy": upload.uploaded_by.email if upload.uploaded_by else None,
        "via": upload.via,
        "mode": upload.mode,
        "status": upload.status,
        "receivedAt": _iso(upload.created_at),
        "endedAt": _iso(upload.finished_at),
        "file": {"name": upload.file_name, "bytes": upload.bytes, "md5": upload.md5, "sha256": upload.sha256},
        "counts": {
            "rows": upload.records,
            "members": upload.members,
            "duplicates": upload.duplicates,
            "rejected": upload.rejected,
        },
        "deliveries": [_delivery_json(delivery, jobs[delivery.pk]) for delivery in deliveries],
    }


def _delivery_json(delivery: Delivery, jobs: list[str]) -> dict[str, Any]:
    account = delivery.destination.vendor_account
    names = (
        "members", "held", "merged", "adds", "renewed", "removes", "unchanged", "sent", "accepted", "refused",
        "uncertain",
    )  # fmt: skip
    return {
        "vendor": account.vendor,
        "vendorAccount": account.name,
        "remoteSegmentId": delivery.destination.remote_id,
        "status": delivery.status,
        "vendorStatus": delivery.vendor_status or None,
        "counts": {name: getattr(delivery, name) for name in names} | {"notYetKnown": delivery.not_yet_known},
        "wireLines": delivery.wire_lines,
        "firstSentAt": _iso(delivery.first_sent_at),
        "lastSentAt": _iso(delivery.last_sent_at),
        "finishedAt": _iso(delivery.finished_at),
        "vendorJobIds": jobs,
        "details": delivery.error_text or delivery.details or None,
    }


def _csv_rows(upload: Upload, deliveries: list[Delivery], jobs: dict[int, list[str]]) -> Iterator[tuple[Any, ...]]:
    who = upload.uploaded_by.email if upload.uploaded_by else "AudSync"
    file = (
        upload.pk, upload.file_name, upload.segment.name, upload.mode, who, _iso(upload.created_at),
        _iso(upload.finished_at), upload.bytes, upload.md5, upload.sha256, upload.records, upload.members,
        upload.duplicates, upload.rejected,
    )  # fmt: skip
    for delivery in deliveries:
        yield file + _csv_delivery(delivery, jobs[delivery.pk])
    if not deliveries:
        yield file


def _csv_delivery(delivery: Delivery, jobs: list[str]) -> tuple[Any, ...]:
    account = delivery.destination.vendor_account
    return (
        account.vendor, account.name, delivery.status, delivery.vendor_status, delivery.members, delivery.held,
        delivery.merged, delivery.adds, delivery.renewed, delivery.removes, delivery.unchanged, delivery.sent,
        delivery.accepted, delivery.refused, delivery.not_yet_known, delivery.wire_lines, _iso(delivery.first_sent_at),
        _iso(delivery.last_sent_at), _iso(delivery.finished_at), " ".join(jobs),
        delivery.error_text or delivery.details,
    )  # fmt: skip


def _iso(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
