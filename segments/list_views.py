"""The list of segments and its export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, is_fragment, page_url
from audsync_web.keyset import CursorInvalid, keyset_slice
from audsync_web.people.access import page
from audsync_web.templatetags.formats import format_count
from audsync_web.vendors.connectors.registry import VENDOR_CHOICES

from .forms import SegmentFilterForm
from .models import Segment, SegmentStatus
from .selectors import DEFAULT_ORDER, EVERYTHING, ORDERS, accounts_offered, segments_of, with_destinations

ROWS_A_PAGE = 50
# Counting further would cost more than anybody wants to know.
MOST_COUNTED = 1000
EXPORT_HEADER = (
    "id",
    "name",
    "technical name",
    "status",
    "duration days",
    "members",
    "created",
    "published",
    "destinations",
)


def _wanted(request: PageRequest) -> dict[str, Any]:
    form = SegmentFilterForm(request.GET)
    form.is_valid()
    return form.cleaned_data


def _order(wanted: dict[str, Any]) -> tuple[str, ...]:
    return ORDERS[wanted.get("sort") or DEFAULT_ORDER]


def _summary(rows: QuerySet[Segment]) -> str:
    counted = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    if counted > MOST_COUNTED:
        return f"{format_count(MOST_COUNTED)}+ segments"
    return f"{format_count(counted)} segment{'' if counted == 1 else 's'}"


@page()
def segments(request: PageRequest) -> HttpResponseBase:
    """The company's segments, newest first unless sorted otherwise."""
    wanted = _wanted(request)
    rows = segments_of(request.company, wanted)
    try:
        found = keyset_slice(
            with_destinations(rows), order=_order(wanted), limit=ROWS_A_PAGE, cursor=request.GET.get("cursor")
        )
    except CursorInvalid:
        raise Http404 from None
    context = {
        "rows": found.rows,
        "filtered": any(wanted.get(name) for name in ("q", "status", "vendor", "account")),
        "summary": _summary(rows) if found.rows else "",
        "older_url": page_url(request, found.older),
        "newer_url": page_url(request, found.newer),
    }
    if is_fragment(request):
        return render(request, "segments/_rows.html", context)
    return render(request, "segments/segments.html", {**context, **_choices(request)})


def _choices(request: PageRequest) -> dict[str, Any]:
    query = request.GET.urlencode()
    export = reverse("segments_export")
    return {
        "statuses": SegmentStatus.choices,
        "everything": EVERYTHING,
        "vendors": VENDOR_CHOICES,
        "accounts": accounts_offered(request.company),
        "chosen": request.GET,
        "export_url": f"{export}?{query}" if query else export,
    }


@page()
def segments_export(request: PageRequest) -> HttpResponseBase:
    """The filtered segments as CSV, streamed."""
    wanted = _wanted(request)
    rows = with_destinations(segments_of(request.company, wanted).select_related("company"))
    return csv_response("segments.csv", EXPORT_HEADER, _export_rows(rows.order_by(*_order(wanted))))


def _export_rows(rows: QuerySet[Segment]) -> Iterator[tuple[Any, ...]]:
    for segment in rows.iterator(chunk_size=500):
        found: Any = segment
        yield (
            segment.pk,
            segment.name,
            segment.technical_name,
            segment.status,
            segment.duration_days,
            found.size,
            segment.created_at.isoformat(timespec="seconds"),
            segment.activated_at.isoformat(timespec="seconds") if segment.activated_at else "",
            "; ".join(f"{row.vendor_account.name}: {row.status}" for row in found.destinations.all()),
        )
