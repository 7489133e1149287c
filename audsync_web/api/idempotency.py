"""`Idempotency-Key`: the same key and body within 24 hours gets the first answer again, and nothing is done twice.

A view calls `begin` before it does anything. For most views `audsync_web.api.views.ApiView` does it all. A view that
reads its body as a stream works so:

    held = begin(actor, request)          # 409 while the first request still runs
    if held.is_known:                     # answered before: read the body to its end, hashing it, then
        return held.answer_again(sha256)  # the first answer, or 422 when the body is another one
    …                                     # the work, with held.keep_alive() now and then when it takes minutes
    return held.finish(sha256, response)  # keeps the answer; held.abandon() in case of an exception

Without the header every one of these calls does nothing.
"""

from __future__ import annotations

import base64
import time
import uuid
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework import status

from audsync_web.jobs.kinds import on_housekeeping
from audsync_web.people.actors import Actor

from .errors import ApiError, Conflict
from .models import KeptAnswer

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
KEPT_FOR = timedelta(hours=24)
# A request that has shown no life for so long has died with its process.
SILENT_FOR = timedelta(minutes=10)
ALIVE_EVERY = 30.0
NOT_KEPT = frozenset({401, 413, 429})
KEPT_HEADERS = ("Content-Type", "Location", "Link", "Tus-Resumable", "Upload-Offset", "Upload-Expires", "Upload-Id")


class Idempotent:
    """One request's hold on its key."""

    def __init__(self, row: KeptAnswer | None, *, runner: str = "") -> None:
        self._row = row
        self._runner = runner
        self._seen = time.monotonic()

    @property
    def is_known(self) -> bool:
        """Whether the key has been answered before."""
        return self._row is not None and self._row.answered_at is not None

    def answer_again(self, body_sha256: str) -> HttpResponse:
        """The first answer; 422 when this body (its SHA-256 in hex) is not the first one's."""
        row = self._row
        if row is None or row.answer is None:
            raise TypeError("nothing is known of this key")
        if not constant_time_compare(row.body_hash, _body_hash(body_sha256)):
            raise ApiError(
                status.HTTP_422_UNPROCESSABLE_ENTITY,
                f"This {HEADER} was used with another body. Take a new key for a new request.",
            )
        kept: dict[str, Any] = row.answer
        response = HttpResponse(base64.b64decode(kept["body"]), status=kept["status"])
        del response.headers["Content-Type"]
        for name, value in kept["headers"].items():
            response.headers[name] = value
        return response

    def keep_alive(self) -> None:
        """Show that the request still runs; writes at most every half minute, so call it as often as you like."""
        if self._runner and time.monotonic() - self._seen >= ALIVE_EVERY:
            self._seen = time.monotonic()
            self._mine().update(running_until=timezone.now() + SILENT_FOR)

    def finish(self, body_sha256: str, response: HttpResponse) -> HttpResponse:
        """Keep the answer, unless it is one that may be otherwise next time (401, 413, 429, 5xx). Returns it."""
        if not self._runner:
            return response
        if response.status_code in NOT_KEPT or response.status_code >= 500:
            self.abandon()
            return response
        kept = {
            "status": response.status_code,
            "headers": {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
            "body": base64.b64encode(response.content).decode("ascii"),
        }
        self._mine().update(body_hash=_body_hash(body_sha256), answer=kept, answered_at=timezone.now())
        self._runner = ""
        return response

    def abandon(self) -> None:
        """Forget the key: the request came to nothing, and the next one may try again."""
        if self._runner:
            self._mine().delete()
            self._runner = ""

    def _mine(self) -> Any:
        # Conditional on the runner: one that was thought dead and comes back must not touch its successor's row.
        return KeptAnswer.objects.filter(runner=self._runner)


def begin(actor: Actor, request: HttpRequest) -> Idempotent:
    """Take the request's key. 400 for an unusable one, 409 while the first request with it still runs."""
    key = request.headers.get(HEADER)
    if key is None:
        return Idempotent(None)
    if not key.strip() or len(key) > LONGEST_KEY:
        raise ApiError(status.HTTP_400_BAD_REQUEST, f"{HEADER} must have 1 to {LONGEST_KEY} characters.")
    scope = _scope(actor, request, key)
    _forget_old(Q(**scope))
    return _take(scope)


def forget(actor: Actor, request: HttpRequest) -> None:
    """Forget what was kept for the request's key: what its answer promised has been taken back."""
    key = request.headers.get(HEADER)
    if key is not None:
        KeptAnswer.objects.filter(**_scope(actor, request, key)).delete()


def _scope(actor: Actor, request: HttpRequest, key: str) -> dict[str, Any]:
    return {
        "company": actor.company,
        "user": actor.user,
        "method": request.method or "",
        "path_hash": _hash("path", request.path),
        "key_hash": _hash("key", key),
    }


def _take(scope: dict[str, Any]) -> Idempotent:
    runner = uuid.uuid4().hex
    mine = {"runner": runner, "running_until": timezone.now() + SILENT_FOR}
    try:
        with transaction.atomic():
            return Idempotent(KeptAnswer.objects.create(**scope, **mine), runner=runner)
    except IntegrityError:
        row = KeptAnswer.objects.filter(**scope).first()
    if row is not None and row.answered_at is not None:
        return Idempotent(row)
    raise Conflict(f"The first request with this {HEADER} is still running. Ask again in a moment.")


def _forget_old(which: Q) -> None:
    now = timezone.now()
    ended = Q(answered_at__isnull=False, created_at__lt=now - KEPT_FOR)
    dead = Q(answered_at__isnull=True, running_until__lt=now)
    KeptAnswer.objects.filter(which & (ended | dead)).delete()


def _hash(salt: str, text: str) -> str:
    return salted_hmac(f"audsync.idempotency.{salt}", text, algorithm="sha256").hexdigest()


def _body_hash(body_sha256: str) -> str:
    return _hash("body", body_sha256.lower())


@on_housekeeping
def forget_old_answers() -> None:
    """Delete answers older than a day and holds of requests that died."""
    _forget_old(Q())
