"""Pages of one upload: receive it, look at what it would do, start it, follow it, stop it, try it again."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django_htmx.http import HttpResponseClientRefresh, trigger_client_event

from audsync_web.context import url_or_none
from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.people.access import get_visible_or_404, page
from segments.models import Segment
from uploads import services
from uploads.engine.refusal import FileRefused
from uploads.files import StorageFull
from uploads.inspection.preflight import load_of_upload, preflight
from uploads.intake import spooled
from uploads.models import Delivery, Upload, UploadStatus
from uploads.rules import destinations_of
from uploads.services import UploadConflict

from .board import Board, board_of
from .forms import GoForm, UploadForm
from .matrix import matrix_of
from .preview import Preview, preview_of
from .selectors import upload_with_deliveries, uploads_of_segment
from .shown import facts_of, formats_for_browser, happened, reasons_of, segments_for_browser

SEGMENT_UPLOADS = 10


@csrf_exempt
def upload_new(request: HttpRequest) -> HttpResponseBase:
    """The upload page. The form's file is spooled to a private folder; its token is checked once that is arranged."""
    if request.method == "POST":
        request.upload_handlers = [spooled.PrivateFileHandler(request)]
    return _upload_new(request)


@csrf_protect
@page("GET", "POST")
def _upload_new(request: PageRequest) -> HttpResponseBase:
    if request.method != "POST":
        return _upload_form(request, UploadForm(company=request.company, initial=_asked_for(request)))
    form = UploadForm(request.POST, request.FILES, company=request.company)
    if _was_too_large(request):
        form.errors.pop("file", None)
        form.add_error("file", spooled.too_large().message)
    if not form.is_valid():
        return _upload_form(request, form, 422)
    try:
        upload = spooled.take(actor=request.actor, segment=form.cleaned_data["segment"], form=form)
    except FileRefused as refusal:
        form.add_error("file" if form.uploaded() else "ids", refusal.message)
        return _upload_form(request, form, 413 if refusal.code == "too_large" else 422)
    except (StorageFull, UploadConflict) as error:
        form.add_error(None, str(error))
        return _upload_form(request, form, 422)
    return redirect("upload_one", upload.pk)


def _was_too_large(request: HttpRequest) -> bool:
    return any(getattr(handler, "too_large", False) for handler in request.upload_handlers)


def _asked_for(request: PageRequest) -> dict[str, str]:
    """What the URL chooses beforehand."""
    return {name: request.GET[name] for name in ("segment", "mode") if request.GET.get(name)}


def _upload_form(request: PageRequest, form: UploadForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "file_input": form["file"].as_widget(attrs={"class": "form-control"}),
        "segments_url": url_or_none("segments"),
        "formats": formats_for_browser(),
        "segments": segments_for_browser(request.company, form),
        "max_bytes": settings.MAX_UPLOAD_BYTES,
    }
    return render(request, "uploads/new.html", context, status=status)


@page()
def upload_one(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """One upload: its live board, and before it is started the preflight."""
    return _upload_page(request, _board(request, pk))


def _upload_page(request: PageRequest, board: Board, form: GoForm | None = None, status: int = 200) -> HttpResponse:
    upload = board.upload
    preview = preview_of(upload, request.company) if upload.status == UploadStatus.READY else None
    context = {
        **_board_context(request, board),
        "crumbs": [{"label": "History", "url": reverse("history")}, {"label": "Upload"}],
        "facts": facts_of(upload),
        "reasons": reasons_of(upload),
        "preview": preview,
        "go_form": form or GoForm(wanted=_word_to_type(upload, preview)),
    }
    return render(request, "uploads/one.html", context, status=status)


@page(poll=True)
def upload_board(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The live part of the page. Where the upload has entered another phase, the whole page is loaded again."""
    board = _board(request, pk)
    if request.GET.get("phase", board.phase) != board.phase and is_fragment(request):
        return HttpResponseClientRefresh()
    return render(request, "uploads/_board.html", _board_context(request, board) | {"out_of_band": True})


def _board(request: PageRequest, pk: uuid.UUID) -> Board:
    found = upload_with_deliveries(request.company, pk)
    if not found:
        raise Http404
    return board_of(found)


def _board_context(request: PageRequest, board: Board) -> dict[str, Any]:
    return {
        "board": board,
        "upload": board.upload,
        "events": happened(board),
        "may_handle": request.actor.may_handle(board.upload.uploaded_by_id),
        # The board's own query has told: the page's banner need not ask again.
        "workers_missing": not board.worker_lives,
    }


def _word_to_type(upload: Upload, preview: Preview | None) -> str | None:
    return upload.segment.name if preview is not None and preview.asks_again else None


@page()
def upload_preflight(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The checks of a held upload at every destination. Asks the vendors, so it is loaded apart from the page."""
    upload = get_visible_or_404(Upload.objects.select_related("segment__company"), request.company, pk=pk)
    if upload.status != UploadStatus.READY:
        return go_to(request, reverse("upload_one", args=[upload.pk]))
    rows = preflight(destinations_of(upload), load_of_upload(upload))
    crumbs = [{"label": str(upload), "url": reverse("upload_one", args=[upload.pk])}, {"label": "Checks"}]
    template = "uploads/_matrix.html" if is_fragment(request) else "uploads/preflight.html"
    return render(request, template, {"upload": upload, "crumbs": crumbs, **matrix_of(rows)})


@page("POST")
def upload_go(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Start the deliveries. Where too many would leave, the segment's name has to be typed."""
    upload = get_visible_or_404(Upload.objects.select_related("segment__company"), request.company, pk=pk)
    preview = preview_of(upload, request.company)
    if upload.status == UploadStatus.READY and preview.is_stale:
        again = "Memberships have changed since. It is compared again; look at it once more."
        return _act(request, upload, again, lambda: services.upload_recount(actor=request.actor, upload=upload))
    form = GoForm(request.POST, wanted=_word_to_type(upload, preview))
    if not form.is_valid():
        return _upload_page(request, _board(request, pk), form, 422)
    limit = None if preview.asks_again else preview.caution
    return _act(
        request,
        upload,
        "Started.",
        lambda: services.upload_go(actor=request.actor, upload=upload, max_removed_share=limit),
    )


@page("POST")
def upload_cancel(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Stop what is unsent."""
    upload = get_visible_or_404(Upload, request.company, pk=pk)
    stopping = "Stopping. What a vendor already has is followed to its end."
    return _act(request, upload, stopping, lambda: services.upload_cancel(actor=request.actor, upload=upload))


@page("POST")
def upload_retry(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Send again what failed, only where it failed."""
    upload = get_visible_or_404(Upload, request.company, pk=pk)
    return _act(request, upload, "Trying again.", lambda: services.upload_retry(actor=request.actor, upload=upload))


@page("POST")
def delivery_retry(request: PageRequest, pk: int) -> HttpResponseBase:
    """Let a delivery that needs attention try again now."""
    delivery = get_visible_or_404(Delivery.objects.select_related("upload"), request.company, pk=pk)
    return _act(
        request,
        delivery.upload,
        "Trying again now.",
        lambda: services.delivery_retry(actor=request.actor, delivery=delivery),
    )


def _act(request: PageRequest, upload: Upload, done: str, act: Any) -> HttpResponseBase:
    """Do something to an upload and go back to its page, saying what became of it."""
    try:
        act()
    except UploadConflict as conflict:
        messages.warning(request, str(conflict))
    else:
        messages.success(request, done)
    return redirect(reverse("upload_one", args=[upload.pk]))


@page(poll=True)
def segment_uploads(request: PageRequest, pk: int) -> HttpResponseBase:
    """The newest uploads of a segment, as a part of the segment's page. While some are under way it asks again, and the
    rest of the page with it, up to the look that finds none."""
    segment = get_visible_or_404(Segment, request.company, pk=pk)
    uploads = list(uploads_of_segment(segment, SEGMENT_UPLOADS))
    moving = any(not upload.has_ended and upload.status != UploadStatus.READY for upload in uploads)
    response = render(request, "uploads/_of_segment.html", {"segment": segment, "uploads": uploads, "moving": moving})
    return trigger_client_event(response, "uploads-moved") if "again" in request.GET else response
