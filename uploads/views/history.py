"""The history of every upload and delivery: filtered, searched, sorted by time, paged by key, exported."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from audsync_web.days import within_days
from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, is_fragment
from audsync_web.keyset import CursorInvalid, Slice, keyset_slice
from audsync_web.people.access import page
from audsync_web.people.models import User
from audsync_web.templatetags.formats import format_count
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from uploads.models import Delivery, Part, Upload

from .forms import HistoryForm
from .selectors import held_back

ROWS_A_PAGE = 50
COUNTED_MOST = 1000
SINGULAR = {"uploads": "upload", "deliveries": "delivery"}
CHOICES_MOST = 500
# Fetched beside the rows, not joined: a join lets the database begin at the small table and sort the large one.
UPLOAD_BESIDE = ("segment", "uploaded_by")
DELIVERY_BESIDE = ("upload", "destination__segment", "destination__vendor_account")
# Fewer rows than this are looked at one by one rather than met on a walk through time.
FEW = 500
FEW_OF_STATUS = 50_000
SORTS = {
    "uploads": {"time": ("shown_at", "shown_pk"), "-time": ("-shown_at", "-shown_pk")},
    "deliveries": {"time": ("created_at", "pk"), "-time": ("-created_at", "-pk")},
}

UPLOAD_HEADER = (
    "upload", "received at", "ended at", "file", "segment", "mode", "status", "brought by", "via", "bytes", "md5",
    "sha256", "rows", "members", "duplicates", "rejected", "details",
)  # fmt: skip
DELIVERY_HEADER = (
    "delivery", "upload", "queued at", "ended at", "file", "segment", "vendor", "vendor account", "mode", "status",
    "vendor status", "members", "held", "merged", "adds", "renewed", "removes", "unchanged", "sent", "accepted",
    "refused", "parts", "details",
)  # fmt: skip


@page()
def uploads(request: PageRequest) -> HttpResponseBase:
    """Every upload of the company."""
    form = HistoryForm(request.GET, company=request.company, deliveries=False)
    rows = found_uploads(request, form.wanted()).prefetch_related(*UPLOAD_BESIDE, held_back())
    return _page(request, "uploads", rows, form)


@page()
def deliveries(request: PageRequest) -> HttpResponseBase:
    """Every delivery of the company."""
    form = HistoryForm(request.GET, company=request.company, deliveries=True)
    rows = found_deliveries(request, form.wanted())
    rows = rows.prefetch_related(*DELIVERY_BESIDE)
    return _page(request, "deliveries", rows, form)


def _page(
    request: PageRequest, what: Literal["uploads", "deliveries"], rows: QuerySet[Any], form: HistoryForm
) -> HttpResponseBase:
    try:
        found = keyset_slice(rows, order=_order(request, what), limit=ROWS_A_PAGE, cursor=request.GET.get("cursor"))
    except CursorInvalid:
        raise Http404 from None
    context = {
        "what": what,
        "rows": found.rows,
        "older_url": _url(request, cursor=found.older),
        "newer_url": _url(request, cursor=found.newer),
        "summary": _summary(what, rows, found),
        "filtered": bool(form.wanted()),
    }
    if is_fragment(request):
        return render(request, "uploads/_history_rows.html", context)
    return render(request, "uploads/history.html", context | _choices(request, what, form))


def _order(request: PageRequest, what: Literal["uploads", "deliveries"]) -> tuple[str, ...]:
    return SORTS[what].get(request.GET.get("sort", "-time"), SORTS[what]["-time"])


def _summary(what: Literal["uploads", "deliveries"], rows: QuerySet[Any], found: Slice[Any]) -> str:
    """How many there are; beyond a thousand only that there are more, which costs no count of millions."""
    whole = not found.older and not found.newer
    count = len(found.rows) if whole else rows.order_by()[: COUNTED_MOST + 1].count()
    if count > COUNTED_MOST:
        return f"{format_count(COUNTED_MOST)}+ {what}"
    return f"{format_count(count)} {SINGULAR[what] if count == 1 else what}"


def _url(request: PageRequest, *, cursor: str | None) -> str:
    if cursor is None:
        return ""
    query = request.GET.copy()
    query["cursor"] = cursor
    return f"{request.path}?{query.urlencode()}"


def _choices(request: PageRequest, what: str, form: HistoryForm) -> dict[str, Any]:
    """What the filter offers, the two tabs and the export, all keeping the filter of the URL."""
    company = request.company
    query = request.GET.copy()
    for name in ("cursor", "sort", "status"):
        query.pop(name, None)
    kept = f"?{query.urlencode()}" if query else ""
    export = reverse("history_export" if what == "uploads" else "history_deliveries_export")
    return {
        "form": form,
        "chosen": request.GET,
        "accounts": VendorAccount.objects.filter(company=company).order_by("name")[:CHOICES_MOST],
        "segments": Segment.objects.visible_to(company).order_by("name")[:CHOICES_MOST],
        "people": User.objects.filter(memberships__company=company).order_by("email")[:CHOICES_MOST],
        "tabs": [
            {"label": "Uploads", "url": reverse("history") + kept, "active": what == "uploads"},
            {"label": "Deliveries", "url": reverse("history_deliveries") + kept, "active": what == "deliveries"},
        ],
        "export_url": f"{export}?{request.GET.urlencode()}" if request.GET else export,
    }


# --- filters ----------------------------------------------------------------------------------------------------------


def found_uploads(request: PageRequest, wanted: dict[str, Any]) -> QuerySet[Upload]:
    """The company's uploads that fit, each with its place in time: `shown_at` and `shown_pk`."""
    rows: QuerySet[Upload] = Upload.objects.visible_to(request.company).filter(within_days(wanted, "created_at"))
    for name, column in (("status", "status"), ("segment", "segment"), ("person", "uploaded_by")):
        if name in wanted:
            rows = rows.filter(**{column: wanted[name]})
    if "q" in wanted:
        rows = rows.filter(_search_uploads(wanted["q"], request))
    at, pk = "created_at", "pk"
    if "account" in wanted:
        rows, at, pk = _sent_to(rows, request, wanted)
    return rows.annotate(shown_at=F(at), shown_pk=F(pk))


def _sent_to(rows: QuerySet[Upload], request: PageRequest, wanted: dict[str, Any]) -> tuple[QuerySet[Upload], str, str]:
    """Those with a delivery at the wanted account, and by which columns they are in order.

    Found by the deliveries of the account, however seldom it was used; where few uploads have the wanted status, by
    looking at each of them.
    """
    account = wanted["account"]
    if "status" in wanted:
        of_status = Upload.objects.visible_to(request.company).filter(status=wanted["status"]).order_by()
        if of_status[: FEW_OF_STATUS + 1].count() <= FEW_OF_STATUS:
            there = Delivery.objects.filter(upload_id=OuterRef("pk"), vendor_account=account)
            return rows.filter(Exists(there)), "created_at", "pk"
    # What the deliveries repeat of the upload is asked of them, too, so that it narrows whichever is read first.
    first = Q(sent__company=request.company, sent__vendor_account=account, sent__retry_of__isnull=True)
    first &= within_days(wanted, "sent__uploaded_at")
    for name, column in (("segment", "sent__segment"), ("person", "sent__uploaded_by")):
        if name in wanted:
            first &= Q(**{column: wanted[name]})
    return rows.annotate(sent=FilteredRelation("deliveries")).filter(first), "sent__uploaded_at", "sent__upload_id"


def found_deliveries(request: PageRequest, wanted: dict[str, Any]) -> QuerySet[Delivery]:
    """The company's deliveries that fit."""
    rows: QuerySet[Delivery] = Delivery.objects.visible_to(request.company).filter(within_days(wanted, "created_at"))
    columns = (("status", "status"), ("account", "vendor_account"), ("segment", "segment"), ("person", "uploaded_by"))
    for name, column in columns:
        if name in wanted:
            rows = rows.filter(**{column: wanted[name]})
    return _search_deliveries(rows, wanted["q"], request) if "q" in wanted else rows


def _search_uploads(text: str, request: PageRequest) -> Q:
    """An upload's id or a vendor's job id as a whole, else a part of the file's name."""
    text = text.strip()
    if (found := _found(text, request)) is not None:
        return Q(pk__in=found)
    return Q(file_name__icontains=text)


def _search_deliveries(rows: QuerySet[Delivery], text: str, request: PageRequest) -> QuerySet[Delivery]:
    text = text.strip()
    if jobs := list(_jobs(text, request).values_list("delivery_id", flat=True)):
        return rows.filter(pk__in=jobs)
    if (found := _found(text, request)) is not None:
        return rows.filter(upload__in=found)
    # A value for each row, not a join: a database would join all uploads of that name before it takes the first page.
    name = Upload.objects.filter(pk=OuterRef("upload_id")).order_by().values("file_name")
    return rows.alias(named=Subquery(name)).filter(named__icontains=text)


def _found(text: str, request: PageRequest) -> list[uuid.UUID] | None:
    """The uploads that are meant, by id, by a vendor's job or by name; None when their names are too many to list."""
    visible = Upload.objects.visible_to(request.company).order_by()
    if (pk := _as_uuid(text)) is not None and visible.filter(pk=pk).exists():
        return [pk]
    if jobs := list(_jobs(text, request).values_list("delivery__upload_id", flat=True)):
        return jobs
    named = list(visible.filter(file_name__icontains=text).values_list("pk", flat=True)[: FEW + 1])
    return named if len(named) <= FEW else None


def _jobs(text: str, request: PageRequest) -> QuerySet[Part]:
    return Part.objects.filter(job_id=text, delivery__company=request.company).order_by()[:100]


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


# --- exports ----------------------------------------------------------------------------------------------------------


@page()
def uploads_export(request: PageRequest) -> HttpResponseBase:
    """The filtered uploads as CSV, streamed."""
    form = HistoryForm(request.GET, company=request.company, deliveries=False)
    rows = found_uploads(request, form.wanted()).prefetch_related(*UPLOAD_BESIDE)
    rows = rows.order_by(*_order(request, "uploads"))
    return csv_response("uploads.csv", UPLOAD_HEADER, _upload_lines(rows))


@page()
def deliveries_export(request: PageRequest) -> HttpResponseBase:
    """The filtered deliveries as CSV, streamed."""
    form = HistoryForm(request.GET, company=request.company, deliveries=True)
    rows = found_deliveries(request, form.wanted()).order_by(*_order(request, "deliveries"))
    rows = rows.prefetch_related(*DELIVERY_BESIDE)
    return csv_response("deliveries.csv", DELIVERY_HEADER, _delivery_lines(rows))


def _upload_lines(rows: QuerySet[Upload]) -> Iterator[tuple[Any, ...]]:
    for row in rows.iterator(chunk_size=1000):
        who = row.uploaded_by.email if row.uploaded_by else ""
        yield (
            row.pk, _iso(row.created_at), _iso(row.finished_at), row.file_name, row.segment.name, row.mode, row.status,
            who, row.via, row.bytes, row.md5, row.sha256, row.records, row.members, row.duplicates, row.rejected,
            row.details,
        )  # fmt: skip


def _delivery_lines(rows: QuerySet[Delivery]) -> Iterator[tuple[Any, ...]]:
    for row in rows.iterator(chunk_size=1000):
        account = row.destination.vendor_account
        yield (
            row.pk, row.upload_id, _iso(row.created_at), _iso(row.finished_at), row.upload.file_name,
            row.destination.segment.name, account.vendor, account.name, row.mode, row.status, row.vendor_status,
            row.members, row.held, row.merged, row.adds, row.renewed, row.removes, row.unchanged, row.sent,
            row.accepted, row.refused, row.parts_total, row.error_text or row.details,
        )  # fmt: skip


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
