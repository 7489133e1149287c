"""Pages of one segment: create, look, publish, rename, put away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.people.access import get_visible_or_404, page

from . import services
from .forms import NewSegment, RenameForm, add_faults
from .models import Segment
from .renewing import left_at_vendors
from .selectors import accounts_not_used, accounts_offered, destinations_shown, size_over_time
from .wording import destination_card, final_warning, publish_label, publish_meaning, segment_word


def segment_or_404(request: PageRequest, pk: int) -> Segment:
    """The company's segment with its company loaded."""
    return get_visible_or_404(Segment.objects.select_related("company"), request.company, pk=pk)


def segment_url(segment: Segment) -> str:
    """The segment's page."""
    return reverse("segment", args=[segment.pk])


def do_and_tell(request: PageRequest, segment: Segment, act: Callable[[], object], text: str) -> HttpResponseBase:
    """Do something to a segment, then lead to its page with `text`, or with the reason why it cannot be done now."""
    try:
        act()
    except services.SegmentConflict as error:
        return go_to(request, segment_url(segment), str(error), level=messages.ERROR)
    return go_to(request, segment_url(segment), text)


# --- create ----------------------------------------------------------------------------------------------------------


@page("GET", "POST", needs="manager")
def segment_new(request: PageRequest) -> HttpResponseBase:
    """Name, duration, destinations; creation at every destination begins at once."""
    accounts = list(accounts_offered(request.company))
    if request.method != "POST":
        return _new_page(request, NewSegment(accounts))
    forms = NewSegment(accounts, request.POST)
    if forms.is_valid():
        try:
            segment = services.segment_create(actor=request.actor, **forms.values())
        except ValidationError as error:
            add_faults(forms.segment, error)
        else:
            return go_to(request, segment_url(segment), f"{segment.name} is being created at its vendors.")
    return _new_page(request, forms, status=422)


def _new_page(request: PageRequest, forms: NewSegment, status: int = 200) -> HttpResponse:
    template = "segments/_new_form.html" if is_fragment(request) else "segments/new.html"
    return render(request, template, {"forms": forms}, status=status)


# --- look ------------------------------------------------------------------------------------------------------------


@page()
def segment_one(request: PageRequest, pk: int) -> HttpResponseBase:
    """One segment: each destination with its state, the size over time, its uploads."""
    segment = segment_or_404(request, pk)
    destinations = destinations_shown(request.company, segment.pk)
    columns, rows = size_over_time(destinations)
    context = {
        **live_context(segment, destinations),
        "left_there": list(left_at_vendors(segment)),
        "plot_columns": columns,
        "plot_rows": rows,
        "can_add": request.actor.manages and not segment.archived_at and accounts_not_used(segment).exists(),
    }
    return render(request, "segments/segment.html", context)


def live_context(segment: Segment, destinations: list[Any]) -> dict[str, Any]:
    """What the live part of the segment's page shows."""
    cards = [destination_card(row) for row in destinations]
    known = [row.members for row in destinations if row.members is not None]
    ends = [row.members_end for row in destinations if row.members_end is not None]
    return {
        "segment": segment,
        "word": segment_word(segment.status, cards),
        "cards": cards,
        "is_live": any(card.moves for card in cards),
        "size": max(known, default=None),
        "first_end": min(ends, default=None),
        "publish_label": publish_label(segment.status, destinations),
    }


@page(poll=True)
def segment_live(request: PageRequest, pk: int) -> HttpResponseBase:
    """The part of the page that changes while vendors work; one query where the segment has a destination."""
    destinations = destinations_shown(request.company, pk)
    segment = destinations[0].segment if destinations else segment_or_404(request, pk)
    return render(request, "segments/_live.html", live_context(segment, destinations))


# --- change ----------------------------------------------------------------------------------------------------------


@page("GET", "POST", needs="manager")
def segment_publish(request: PageRequest, pk: int) -> HttpResponseBase:
    """Say what publishing means at each vendor, then do it."""
    segment = segment_or_404(request, pk)
    if request.method == "POST":
        text = f"{segment.name} is being published."
        return do_and_tell(
            request, segment, lambda: services.segment_publish(actor=request.actor, segment=segment), text
        )
    waiting = [row for row in destinations_shown(request.company, pk) if not row.is_published]
    meanings = [publish_meaning(row.vendor_account) for row in waiting if row.wanted != "released"]
    context = {"segment": segment, "meanings": meanings, "final_warning": final_warning(meanings)}
    return render(request, "segments/publish.html", context)


@page("GET", "POST", needs="manager")
def segment_rename(request: PageRequest, pk: int) -> HttpResponseBase:
    """Another name, here and where vendors have display names."""
    segment = segment_or_404(request, pk)
    form = RenameForm(request.POST or None, initial={"name": segment.name})
    if request.method == "POST" and form.is_valid():
        try:
            services.segment_change(actor=request.actor, segment=segment, name=form.cleaned_data["name"])
        except ValidationError as error:
            add_faults(form, error)
        else:
            return go_to(request, segment_url(segment), f"The segment is called {segment.name} now.")
    stored = segment_or_404(request, pk)
    status = 422 if request.method == "POST" else 200
    return render(request, "segments/rename.html", {"segment": stored, "form": form}, status=status)


@page("POST", needs="manager")
def segment_archive(request: PageRequest, pk: int) -> HttpResponseBase:
    """Put the segment away; nothing happens at its vendors."""
    segment = services.segment_archive(actor=request.actor, segment=segment_or_404(request, pk))
    return go_to(request, segment_url(segment), f"{segment.name} is archived. Its vendors keep what they have.")


@page("POST", needs="manager")
def segment_restore(request: PageRequest, pk: int) -> HttpResponseBase:
    """Take it back into use."""
    segment = services.segment_restore(actor=request.actor, segment=segment_or_404(request, pk))
    return go_to(request, segment_url(segment), f"{segment.name} is back in use.")
