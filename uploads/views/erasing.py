"""Pages to find one person and to erase them. The identifier goes in form bodies only and comes back nowhere."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.jobs.leases import workers_alive
from audsync_web.people.access import get_visible_or_404, page
from audsync_web.vendors.connectors.identifiers import KINDS, labels_of
from uploads.erasure.job import EraseWish, erase_begin, erase_lift, erase_retry
from uploads.erasure.receipts import erasure_shape, steps_of, vendor_jobs
from uploads.erasure.searching import search_begin
from uploads.erasure.steps import blockers
from uploads.models import (
    Delivery,
    DeliveryStatus,
    Erasure,
    ErasureStatus,
    PersonSearch,
    SearchStatus,
    StepStatus,
    UploadStatus,
)
from uploads.services import UploadConflict

from .erasing_forms import EraseForm, FindForm
from .lists import erasures_listed, erasures_wanted

EXPORT_HEADER = ("erasure", "asked at", "asked by", "status", "kinds", "ended at", "files deleted", "lifted at")


@sensitive_post_parameters("value")
@page("GET", "POST", needs="manager")
def erase(request: PageRequest) -> HttpResponseBase:
    """Paste an identifier; and every erasure so far."""
    if is_fragment(request) and request.method != "POST":
        return render(request, "erase/_erasure_rows.html", _erasures(request))
    form = FindForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            search = search_begin(actor=request.actor, **form.cleaned_data)
        except ValidationError as faults:
            for name, lines in faults.message_dict.items():
                form.add_error(name if name in form.fields else None, [f"This {line}." for line in lines])
        else:
            return go_to(request, reverse("person_search", args=[search.pk]))
    return render(request, "erase/find.html", {"form": form, **_erasures(request)}, status=422 if form.errors else 200)


def _erasures(request: PageRequest) -> dict[str, Any]:
    found = erasures_listed(request)
    return {"erasures": [(row, labels_of(row.kinds)) for row in found.rows], **found.context}


def _kinds_searched(search: PersonSearch) -> str:
    """What the identifier was taken for, in words: an e-mail address is told at sight."""
    if "email" in search.kinds:
        return labels_of(["email"])
    return labels_of(search.kinds) if len(search.kinds) <= 3 else "Any kind of identifier that it fits"


@page(needs="manager")
def erasures_export(request: PageRequest) -> HttpResponseBase:
    """The erasures that fit, as CSV."""
    rows = erasures_wanted(request)
    lines = (
        (row.pk, row.created_at, row.asked_by or "", row.status, labels_of(row.kinds), row.finished_at,
         row.files_deleted, row.lifted_at)
        for row in rows.iterator(500)
    )  # fmt: skip
    return csv_response("erasures.csv", EXPORT_HEADER, lines)


@page(needs="manager")
def person_search(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Where the person was found, and the decision."""
    return _search_page(request, get_visible_or_404(PersonSearch, request.company, pk=pk))


def _finding_shown(row: dict[str, Any]) -> dict[str, Any]:
    days = {name: _day(row.get(name)) for name in ("since", "endsOn")}
    return row | days | {"label": labels_of([row["kind"]])}


def _day(told: str | None) -> date | None:
    return date.fromisoformat(told[:10]) if told else None


def _asked_for(row: dict[str, Any]) -> str:
    """A kind in our words; at Acoustic Exchange the company's own name of it."""
    name = str(row.get("name") or "")
    return KINDS[name].label if row["what"] == "profile" and name in KINDS else name


def _search_page(
    request: PageRequest, search: PersonSearch, form: EraseForm | None = None, template: str = "erase/search.html"
) -> HttpResponse:
    ready = search.status == SearchStatus.COMPLETED and search.person is not None
    context = {
        "search": search,
        "form": form or (EraseForm(search=search) if ready else None),
        "kinds": _kinds_searched(search),
        "findings": [_finding_shown(row) for row in search.findings],
        "profiles": [row | {"name": _asked_for(row)} for row in search.profiles],
        "erasure": search.erasures.first() if search.person is None else None,
        "workers_missing": search.status == SearchStatus.RUNNING and not workers_alive(),
        "crumbs": [{"label": "Find and erase", "url": reverse("erase")}, {"label": "Search"}],
    }
    return render(request, template, context, status=422 if form else 200)


@page(needs="manager", poll=True)
def person_search_live(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The live part of a search."""
    search = get_visible_or_404(PersonSearch, request.company, pk=pk)
    return _search_page(request, search, template="erase/_search.html")


@sensitive_post_parameters("confirm")
@page("POST", needs="manager")
def person_erase(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Begin the erasure, once the identifier was typed again."""
    search = get_visible_or_404(PersonSearch, request.company, pk=pk)
    if search.person is None or search.status != SearchStatus.COMPLETED:
        return redirect("person_search", pk)
    form = EraseForm(request.POST, search=search)
    if not form.is_valid():
        return _search_page(request, search, form)
    given = form.cleaned_data
    wish = EraseWish(
        given["confirm"], given.get("destinations"), bool(given.get("identities")), bool(given.get("profiles"))
    )
    try:
        erasure = erase_begin(actor=request.actor, search=search, wish=wish)
    except ValidationError as faults:
        for name, lines in faults.message_dict.items():
            form.add_error(name if name in form.fields else None, [f"This {line}." for line in lines])
        return _search_page(request, search, form)
    except UploadConflict as conflict:
        return go_to(request, reverse("erase"), str(conflict), level=messages.WARNING)
    return go_to(request, reverse("erasure", args=[erasure.pk]))


@page(needs="manager")
def erasure(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """One erasure: live while it runs, then the receipt; with `?format=json` for programs."""
    if request.GET.get("format") == "json":
        found = get_visible_or_404(Erasure.objects.select_related("company", "asked_by"), request.company, pk=pk)
        shape = erasure_shape(found, steps_of(found))
        response = JsonResponse(shape, json_dumps_params={"indent": 2})
        response.headers["Content-Disposition"] = f'attachment; filename="erasure-{pk}.json"'
        return response
    return render(request, "erase/one.html", _erasure_context(request, pk))


@page(needs="manager", poll=True)
def erasure_live(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The live part of an erasure. What it waits for is said anew only when that has changed."""
    context = _erasure_context(request, pk)
    return render(request, "erase/_steps.html", context | {"oob": context["told"] != request.GET.get("told", "")})


def _erasure_context(request: PageRequest, pk: uuid.UUID) -> dict[str, Any]:
    rows = Erasure.objects.select_related("company", "asked_by", "lifted_by")
    found = get_visible_or_404(rows, request.company, pk=pk)
    running = found.status == ErasureStatus.RUNNING
    # The vendors' job ids come with the receipt: a live look costs three queries.
    steps = steps_of(found, with_jobs=not running)
    befores = [row for row in blockers(steps).values() if _needs_a_decision(row)] if running else []
    return {
        "erasure": found,
        "steps": [(step, [] if running else vendor_jobs(step)) for step in steps if step.status != StepStatus.LEFT],
        "left": [step for step in steps if step.status == StepStatus.LEFT],
        "befores": befores,
        "told": "-".join(str(row.pk) for row in befores),
        "kinds": labels_of(found.kinds),
        "crumbs": [{"label": "Find and erase", "url": reverse("erase")}, {"label": "Receipt"}],
    }


def _needs_a_decision(before: Delivery) -> bool:
    """Whether what a removal waits behind ends by somebody's decision alone."""
    held = before.status in {DeliveryStatus.STAGED, DeliveryStatus.NEEDS_ATTENTION}
    return held or before.upload.status == UploadStatus.READY


@page("POST", needs="manager")
def erasure_retry(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Do again what failed."""
    return _act_on(request, pk, erase_retry, "Trying again what failed.")


@page("POST", needs="admin")
def erasure_lift(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Let the person come back with later files."""
    return _act_on(request, pk, erase_lift, "Lifted. Later files may bring this person back.")


def _act_on(request: PageRequest, pk: uuid.UUID, act: Callable[..., object], done: str) -> HttpResponseBase:
    found = get_visible_or_404(Erasure, request.company, pk=pk)
    url = reverse("erasure", args=[pk])
    try:
        act(actor=request.actor, erasure=found)
    except UploadConflict as conflict:
        return go_to(request, url, str(conflict), level=messages.WARNING)
    return go_to(request, url, done)
