"""The downloads of what was not taken, written down in the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.http import Http404, HttpResponseBase

from audsync_web.exports import csv_response, opaque_response
from audsync_web.http import PageRequest
from audsync_web.people.access import get_visible_or_404, page
from uploads.delivery.rejected import COLUMNS, Row, rejected_rows, rejections_audit
from uploads.delivery.reports import vendor_report_audit, vendor_report_blocks
from uploads.models import Delivery, Upload


@page()
def upload_rejections(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """All that was not taken, as CSV; `?code=` for one reason only."""
    upload = get_visible_or_404(Upload, request.company, pk=pk)
    if upload.report_gone_at is not None:
        raise Http404("The report of this upload is no longer kept.")
    rejections_audit(actor=request.actor, upload=upload)
    return csv_response(f"rejected-{upload.pk}.csv", COLUMNS, _only(rejected_rows(upload), request.GET.get("code", "")))


@page()
def delivery_vendor_report(request: PageRequest, pk: int) -> HttpResponseBase:
    """The vendor's own error file of one delivery, as it came."""
    delivery = get_visible_or_404(Delivery.objects.select_related("upload"), request.company, pk=pk)
    if not delivery.vendor_report:
        raise Http404("The vendor left no error file, or it is no longer kept.")
    vendor_report_audit(actor=request.actor, delivery=delivery)
    return opaque_response(f"vendor-errors-{delivery.pk}.txt", vendor_report_blocks(delivery))


def _only(rows: Iterator[Row], code: str) -> Iterator[Row]:
    return (row for row in rows if not code or row[2] == code)
