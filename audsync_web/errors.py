"""What people and programs see when something goes wrong: a page, or one `error` line on API paths."""

from __future__ import annotations

import logging
import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from audsync_web.http import is_fragment

logger = logging.getLogger(__name__)

API_PREFIX = "/api/"

BAD_REQUEST = "The request cannot be read."
NOT_FOUND = "Nothing is here."
BROKEN = "Something broke on our side. It is in the log under {reference}."


def is_api(request: HttpRequest) -> bool:
    """Whether a program is asking, and JSON is the answer."""
    return request.path.startswith(API_PREFIX)


def error_json(text: str, status: int) -> JsonResponse:
    """The one shape of an API error: exactly one key, `error`."""
    return JsonResponse({"error": text}, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """400. The exception's own text may hold what was sent, so it is not shown."""
    return error_json(BAD_REQUEST, 400) if is_api(request) else render(request, "400.html", status=400)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """404, for what does not exist and for what belongs to others alike."""
    return error_json(NOT_FOUND, 404) if is_api(request) else render(request, "404.html", status=404)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """403 of Django's own."""
    return not_allowed(request, exception or PermissionError("That is not allowed."))


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """403 within one's own company, saying who may."""
    text = str(exception) or "That is not allowed."
    if is_api(request):
        return error_json(text, 403)
    if is_fragment(request):
        return HttpResponse(text, status=403, content_type="text/plain; charset=utf-8")
    return render(request, "403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """403 for a form whose token is missing or old."""
    return render(request, "403_csrf.html", status=403)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """500 with a reference under which the log has the fault; nothing of the fault itself is shown."""
    reference = uuid.uuid4().hex[:12]
    logger.error("an error page was shown: reference %s, method %s", reference, request.method)
    if is_api(request):
        return error_json(BROKEN.format(reference=reference), 500)
    return HttpResponse(render_to_string("500.html", {"reference": reference}), status=500)


def too_many_tries(request: HttpRequest, seconds: int, wait: str) -> HttpResponseBase:
    """429 with the wait, in words on the page and in seconds for programs."""
    if is_api(request):
        answer: HttpResponseBase = error_json(f"Too many tries. Wait {wait}, then try again.", 429)
    else:
        answer = render(request, "429.html", {"wait": wait}, status=429)
    answer.headers["Retry-After"] = str(max(1, seconds))
    return answer
