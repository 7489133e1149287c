"""The base of every API view: a bearer token, one error shape, `Idempotency-Key` on every POST."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase
from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audsync_web.people.actors import Actor
from audsync_web.people.models import Company

from .idempotency import Idempotent, begin

BLOCK_BYTES = 64 * 1024


def unchunk(request: HttpRequest) -> None:
    """Give a chunked body the length that Django needs to see it. Raises `RequestDataTooBig`."""
    carrier: Any = request
    if "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    body = b""
    while block := carrier.environ["wsgi.input"].read(BLOCK_BYTES):
        body += block
        if len(body) > limit:
            raise RequestDataTooBig
    carrier.META["CONTENT_LENGTH"] = str(len(body))
    carrier._stream = io.BytesIO(body)


class _AnsweredBefore(Exception):
    """Carries the first answer out of `initial`."""

    def __init__(self, response: HttpResponseBase) -> None:
        super().__init__("answered before")
        self.response = response


class ApiView(APIView):
    """A view of the REST API.

    The body is read whole, up to 10 MiB, else 413. A view with `streams` reads it by itself and sees to
    `Idempotency-Key` by itself, too (`audsync_web.api.idempotency`). `keeps_answers` is False for login alone.
    """

    streams = False
    keeps_answers = True
    _held: Idempotent | None = None
    _body_sha256 = ""

    @property
    def actor(self) -> Actor:
        """Who acts, in which company, with which role."""
        if not isinstance(self.request.auth, Actor):
            raise exceptions.NotAuthenticated
        return self.request.auth

    @property
    def company(self) -> Company:
        """The company that the token is for: the only one whose rows may be seen."""
        return self.actor.company

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate and permit; then, on a POST with a key, answer again or take the key."""
        super().initial(request, *args, **kwargs)
        if self.streams or request.method in SAFE_METHODS:
            return
        # Read whole and once, and never more than DATA_UPLOAD_MAX_MEMORY_SIZE: the parser takes it from there.
        unchunk(request._request)
        body = request._request.body
        if request.method != "POST" or not self.keeps_answers:
            return
        self._body_sha256 = hashlib.sha256(body).hexdigest()
        held = begin(self.actor, request._request)
        if held.is_known:
            raise _AnsweredBefore(held.answer_again(self._body_sha256))
        self._held = held

    def handle_exception(self, exc: Exception) -> Any:
        """The answer to an exception; one that is a fault of ours frees the key and becomes a 500."""
        if isinstance(exc, _AnsweredBefore):
            return exc.response
        try:
            return super().handle_exception(exc)
        except Exception:
            if self._held is not None:
                self._held.abandon()
            raise

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep the answer once it is rendered."""
        final = super().finalize_response(request, response, *args, **kwargs)
        final.headers.setdefault("Cache-Control", "no-store")
        held, self._held = self._held, None
        if held is not None:
            if isinstance(final, Response):
                final.add_post_render_callback(lambda rendered: held.finish(self._body_sha256, rendered))
            else:
                held.finish(self._body_sha256, final)
        return final
