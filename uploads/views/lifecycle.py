"""Pages of what follows an upload: who ends when and topping them up, and taking the upload back."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.people.access import get_visible_or_404, page
from audsync_web.people.actors import NotAllowed
from segments.models import Segment
from uploads.lifecycle.topup import ending_of_segment, top_up
from uploads.lifecycle.undo import undo_begin, undo_choices
from uploads.models import Upload
from uploads.services import UploadConflict


@page()
def segment_expiry(request: PageRequest, pk: int) -> HttpResponseBase:
    """Who ends soon in a segment: a page, or for htmx the part that other pages show."""
    segment = get_visible_or_404(Segment.objects.select_related("company"), request.company, pk=pk)
    context = {"segment": segment, "endings": ending_of_segment(segment), "crumbs": _segment_crumbs(segment)}
    template = "uploads/_expiry.html" if is_fragment(request) else "uploads/expiry.html"
    return render(request, template, context)


def _segment_crumbs(segment: Segment) -> list[dict[str, str]]:
    return [
        {"label": "Segments", "url": reverse("segments")},
        {"label": segment.name, "url": reverse("segment", args=[segment.pk])},
        {"label": "Ending soon"},
    ]


@page("POST")
def segment_top_up(request: PageRequest, pk: int) -> HttpResponseBase:
    """Send again who is about to end, and go to where that is seen."""
    segment = get_visible_or_404(Segment.objects.select_related("company"), request.company, pk=pk)
    try:
        made = top_up(actor=request.actor, segment=segment)
    except UploadConflict as conflict:
        return go_to(request, reverse("segment_expiry", args=[pk]), str(conflict), level=messages.WARNING)
    if len(made) == 1:
        return go_to(request, reverse("upload_one", args=[made[0].pk]), "Topping up.")
    url = f"{reverse('history')}?segment={segment.pk}"
    return go_to(request, url, f"Topping up at {len(made)} destinations, one upload each.")


@page("GET", "POST")
def upload_undo(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """What an undo would bring back; and beginning it, which makes an upload that waits for a look."""
    upload = get_visible_or_404(Upload.objects.select_related("segment__company"), request.company, pk=pk)
    choices = undo_choices(upload)
    fault = ""
    if request.method == "POST":
        try:
            made = undo_begin(actor=request.actor, upload=upload, hold=True)
        except (UploadConflict, NotAllowed) as conflict:
            fault = str(conflict)
        else:
            return go_to(request, reverse("upload_one", args=[made.pk]), "Comparing. Nothing is sent until you say go.")
    context = {
        "upload": upload,
        "choices": choices,
        "can_undo": upload.has_ended and any(row.before is not None for row in choices),
        "may_handle": request.actor.may_handle(upload.uploaded_by_id),
        "fault": fault,
        "crumbs": [
            {"label": "History", "url": reverse("history")},
            {"label": str(upload), "url": reverse("upload_one", args=[upload.pk])},
            {"label": "Undo"},
        ],
    }
    return render(request, "uploads/undo.html", context, status=409 if fault else 200)
