"""What every answer of a page goes through on its way out."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed

from audsync_web import errors


class RefusedMethodMiddleware:
    """An empty 405, as Django's own views give it too, becomes a page with a way on. The API words its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed) or errors.is_api(request):
            return response
        page = errors.method_refused(request)
        page.headers["Allow"] = response.headers["Allow"]
        return page
