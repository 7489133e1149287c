"""What people and programs see when something goes wrong: a page, a fragment, or one `error` line on API paths."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.http import escape_leading_slashes, url_has_allowed_host_and_scheme

from audsync_web.http import is_fragment
from audsync_web.templatetags.formats import format_bytes

logger = logging.getLogger(__name__)

API_PREFIX = "/api/"

BAD_REQUEST = "The request cannot be read."
NOT_FOUND = "Nothing is here."
BROKEN = "Something broke on our side. It is in the log under {reference}."
OVERVIEW = ("Go to the overview", "/")

Way = tuple[str, str]


@dataclass(frozen=True)
class Trouble:
    """An error in words. `said` is the one line of the API, where it is another; `ways` lead on from the page."""

    status: int
    heading: str
    text: str
    said: str = ""
    ways: tuple[Way, ...] = (OVERVIEW,)


def is_api(request: HttpRequest) -> bool:
    """Whether a program is asking, and JSON is the answer."""
    return request.path.startswith(API_PREFIX)


def error_json(text: str, status: int) -> JsonResponse:
    """The one shape of an API error: exactly one key, `error`."""
    return JsonResponse({"error": text}, status=status)


def _answer(request: HttpRequest, trouble: Trouble) -> HttpResponseBase:
    """The error as whoever asked can read it."""
    if is_api(request):
        return error_json(trouble.said or trouble.text, trouble.status)
    words: dict[str, Any] = {"code": trouble.status, "heading": trouble.heading, "text": trouble.text}
    if is_fragment(request):
        return HttpResponse(render_to_string("components/error_fragment.html", words), status=trouble.status)
    # Who stands in a company keeps its navigation and the switch to their other companies.
    shell = "base.html" if getattr(request, "actor", None) else "base_plain.html"
    # Whether a worker lives is not asked: the page is about something else, and the database may be what is ill.
    words |= {"ways": trouble.ways, "shell": shell, "workers_missing": False}
    return render(request, "error.html", words, status=trouble.status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """400, and 413 for a form that is too large. The exception's own text may hold what was sent: it is not shown."""
    if isinstance(exception, RequestDataTooBig):
        return too_large(request)
    text = "The address or the form had something in it that AudSync cannot read. Nothing was changed."
    return _answer(request, Trouble(400, "That request made no sense", text, BAD_REQUEST))


def too_large(request: HttpRequest) -> HttpResponseBase:
    """413 for a form that holds more than is read into memory."""
    limit = format_bytes(settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0)
    text = f"A form takes at most {limit} of text. Nothing was kept. A longer list of members goes up as a file."
    return _answer(request, Trouble(413, "That is too large", text, ways=_back(request)))


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """404, for what does not exist and for what belongs to others alike."""
    text = "The page does not exist, or it belongs to a company that you are not in."
    if len(getattr(request, "memberships", [])) > 1:
        text = "The page does not exist, or not in this company. Is it in another one of yours? Change company above."
    return _answer(request, Trouble(404, "Nothing is here", text, NOT_FOUND))


def method_refused(request: HttpRequest) -> HttpResponseBase:
    """405: an address that answers buttons was opened by itself, or the other way round."""
    text = "This address only answers a button on another page. Nothing was changed."
    ways = tuple(("Go to the page it belongs to", url) for url in _above(request.path))
    return _answer(request, Trouble(405, "This is no page to open", text, ways=(*ways, OVERVIEW)))


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """403 of Django's own."""
    return not_allowed(request, exception or PermissionError("That is not allowed."))


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """403 within one's own company, saying who may."""
    said = str(exception) or "That is not allowed."
    text = f"{said} An admin of the company can change your role."
    return _answer(request, Trouble(403, "This is not yours to do", text, said))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """403 for a form whose token is missing or old."""
    text = "Your login or this form had run out before it was sent, so nothing was changed. Load its page again first."
    return _answer(request, Trouble(403, "The form was too old", text, ways=_back(request)))


def server_error(request: HttpRequest) -> HttpResponseBase:
    """500 with a reference under which the log has the fault; nothing of the fault itself is shown."""
    reference = uuid.uuid4().hex[:12]
    logger.error("an error page was shown: reference %s, method %s", reference, request.method)
    broken = BROKEN.format(reference=reference)
    if is_api(request) or is_fragment(request):
        return _answer(request, Trouble(500, "This did not work", broken))
    return HttpResponse(render_to_string("500.html", {"reference": reference}), status=500)


def too_many_tries(request: HttpRequest, seconds: int, wait: str) -> HttpResponseBase:
    """429 with the wait, in words on the page and in seconds for programs."""
    text = f"Wait {wait}, then try again. This protects your account from being guessed."
    said = f"Too many tries. Wait {wait}, then try again."
    answer = _answer(request, Trouble(429, "Too many tries", text, said, (("Try again", request.get_full_path()),)))
    answer.headers["Retry-After"] = str(max(1, seconds))
    return answer


def _back(request: HttpRequest) -> tuple[Way, ...]:
    """The page that a form was sent from, where the browser tells it, else the one that its address belongs to."""
    sent_from = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(sent_from, {request.get_host()}, require_https=request.is_secure()):
        told = urlsplit(sent_from)
        page = escape_leading_slashes(f"{told.path}?{told.query}".rstrip("?"))
        return (("Load the page again", page), OVERVIEW)
    return (*(("Go to the page it belongs to", url) for url in _above(request.path)), OVERVIEW)


def _above(path: str) -> list[str]:
    """The page of the thing that an address does something to, if there is one."""
    above = path.rstrip("/").rpartition("/")[0]
    try:
        resolve(above)
    except Resolver404:
        return []
    return [above]
