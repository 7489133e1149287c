"""The download of rejected rows, written down in the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.http import HttpResponseBase

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest
from audsync_web.people.access import get_visible_or_404, page

from .models import Upload
from .rejected import COLUMNS, Row, rejected_rows, rejections_audit


@page()
def upload_rejections(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """All that was not taken, as CSV; `?code=` for one reason only."""
    upload = get_visible_or_404(Upload, request.company, pk=pk)
    rejections_audit(actor=request.actor, upload=upload)
    return csv_response(f"rejected-{upload.pk}.csv", COLUMNS, _only(rejected_rows(upload), request.GET.get("code", "")))


def _only(rows: Iterator[Row], code: str) -> Iterator[Row]:
    return (row for row in rows if not code or row[2] == code)
