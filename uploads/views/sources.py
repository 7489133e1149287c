"""Pages of audiences that live at a vendor: open one, look through it, bring it to a segment, follow that live."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.jobs.leases import workers_alive
from audsync_web.people.access import get_visible_or_404, page
from audsync_web.vendors.connectors.errors import ConnectorError
from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.connectors.source import SourceProfile
from audsync_web.vendors.masking import masked
from audsync_web.vendors.models import VendorAccount
from uploads.engine.refusal import FileRefused
from uploads.intake.sources import IDENTIFIERS, pull_begin, pull_cancel, source_page
from uploads.models import Mode, PullWay, SourcePull
from uploads.services import UploadConflict

from .lists import pulls_listed, pulls_wanted
from .source_forms import PullForm, SegmentationForm

PAGE = 50
EXPORT_HEADER = (
    "segmentation", "segment", "status", "read", "without the identifier", "asked by", "asked at", "ended at", "upload"
)  # fmt: skip


def _account(request: PageRequest, pk: int) -> VendorAccount:
    account = get_visible_or_404(VendorAccount, request.company, pk=pk)
    if not account.connector.capabilities.sources:
        raise Http404
    return account


def _crumbs(account: VendorAccount, *more: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"label": "Vendor accounts", "url": reverse("vendor_accounts")},
        {"label": account.name, "url": reverse("vendor_account", args=[account.pk])},
        *more,
    ]


@page(needs="manager")
def segmentations(request: PageRequest, pk: int) -> HttpResponseBase:
    """Open a segmentation by its UUID, and the pulls of this account so far."""
    account = _account(request, pk)
    form = SegmentationForm(request.GET if "uuid" in request.GET else None)
    if form.is_bound and form.is_valid():
        return redirect("segmentation", pk, form.cleaned_data["uuid"])
    found = pulls_listed(request, account)
    context = {"account": account, "pulls": found.rows, **found.context}
    if is_fragment(request):
        return render(request, "sources/_pull_rows.html", context)
    context |= {"form": form, "crumbs": _crumbs(account, {"label": "Segmentations"})}
    return render(request, "sources/segmentations.html", context, status=422 if form.errors else 200)


@page(needs="manager")
def source_pulls_export(request: PageRequest, pk: int) -> HttpResponseBase:
    """The account's pulls that fit, as CSV."""
    lines = (
        (pull.segmentation, pull.segment.name, pull.status, pull.rows, pull.missing, pull.asked_by or "",
         pull.created_at, pull.finished_at, pull.upload_id)
        for pull in pulls_wanted(request, _account(request, pk)).iterator(500)
    )  # fmt: skip
    return csv_response("segmentations.csv", EXPORT_HEADER, lines)


@page("GET", "POST", needs="manager")
def segmentation(request: PageRequest, pk: int, segmentation: uuid.UUID) -> HttpResponseBase:
    """Look through a segmentation, and bring it to a segment."""
    account = _account(request, pk)
    form = PullForm(request.POST or None, company=request.company, account=account)
    if request.method == "POST" and form.is_valid():
        try:
            pull = _begin(request, account, str(segmentation), form)
        except ValidationError as faults:
            form.add_error(None, faults.messages)
        except (UploadConflict, FileRefused, ConnectorError) as refusal:
            form.add_error(None, str(refusal))
        else:
            return go_to(request, reverse("source_pull", args=[pull.pk]))
    return _segmentation_page(request, account, str(segmentation), form)


def _begin(request: PageRequest, account: VendorAccount, segmentation: str, form: PullForm) -> SourcePull:
    return pull_begin(
        actor=request.actor,
        account=account,
        segmentation=segmentation,
        segment=form.cleaned_data["segment"],
        mode=Mode(form.cleaned_data["mode"]),
        identifier=form.cleaned_data["identifier"],
        way=PullWay(form.cleaned_data["way"]),
        hold=True,
    )


def _values(profile: SourceProfile, shown: bool) -> list[tuple[str, str]]:
    """A profile's identifiers beside their labels, masked unless they are to be shown; empty is one it lacks."""
    found = [(KINDS[kind].label, profile.identifiers.get(kind, "")) for kind in IDENTIFIERS]
    return [(label, value if shown or not value else masked(value)) for label, value in found]


def _page_at(offset: int, shown: bool) -> str:
    return f"?offset={offset}{'&shown=1' if shown else ''}"


def _segmentation_page(request: PageRequest, account: VendorAccount, segmentation: str, form: PullForm) -> HttpResponse:
    offset = request.GET.get("offset", "0")
    start = int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 10 else 0
    context: dict[str, Any] = {"account": account, "segmentation": segmentation, "form": form, "error": None}
    try:
        found = source_page(account, segmentation, limit=PAGE, offset=start)
    except ConnectorError as error:
        context["error"] = error
    else:
        last, shown = start + len(found.profiles), request.GET.get("shown") == "1"
        context |= {
            "labels": [KINDS[kind].label for kind in IDENTIFIERS],
            "profiles": [_values(profile, shown) for profile in found.profiles],
            "shown": shown,
            "reveal_url": _page_at(start, not shown),
            "matching": found.matching,
            "first": start + 1,
            "last": last,
            "older_url": "" if found.last else _page_at(last, shown),
            "newer_url": _page_at(max(0, start - PAGE), shown) if start else "",
        }
    url = reverse("segmentations", args=[account.pk])
    context["crumbs"] = _crumbs(account, {"label": "Segmentations", "url": url}, {"label": segmentation[:8]})
    return render(request, "sources/segmentation.html", context, status=422 if form.errors else 200)


@page(needs="manager")
def source_pull(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """One pull, live."""
    return render(request, "sources/pull.html", _pull_context(request, pk))


@page(needs="manager", poll=True)
def source_pull_live(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The live part of it."""
    return render(request, "sources/_pull.html", _pull_context(request, pk))


def _pull_context(request: PageRequest, pk: uuid.UUID) -> dict[str, Any]:
    rows = SourcePull.objects.select_related("segment", "vendor_account", "asked_by")
    pull = get_visible_or_404(rows, request.company, pk=pk)
    alive = pull.has_ended or workers_alive()
    url = reverse("segmentations", args=[pull.vendor_account_id])
    crumbs = _crumbs(pull.vendor_account, {"label": "Segmentations", "url": url}, {"label": pull.segmentation[:8]})
    return {"pull": pull, "crumbs": crumbs, "workers_missing": not alive}


@page("POST", needs="manager")
def source_pull_cancel(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Stop reading."""
    pull = get_visible_or_404(SourcePull, request.company, pk=pk)
    url = reverse("source_pull", args=[pull.pk])
    try:
        pull_cancel(actor=request.actor, pull=pull)
    except UploadConflict as conflict:
        return go_to(request, url, str(conflict), level=messages.WARNING)
    return go_to(request, url, "Stopping. What was read of it is deleted.")
