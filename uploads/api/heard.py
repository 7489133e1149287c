"""Chunked uploads whose end nobody vouches for, and what becomes of them when their sender vanishes.

A WSGI server gives a chunked body that was cut off just as it gives a whole one: it ends. A cut list that replaced a
membership would take people out of it. With a length or an MD5 the cut shows; without either the file is taken only
once its sender, still there, has been given the whole answer. Work on it begins then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from rest_framework.response import Response

from audsync_web.api.idempotency import forget
from audsync_web.jobs.engine import send_wake_up
from audsync_web.jobs.kinds import kind_named
from audsync_web.people import audit
from audsync_web.people.actors import Actor
from uploads import files
from uploads.models import Delivery, DeliveryStatus, Upload, UploadStatus

# Long enough for the server to notice that nobody is there, short enough that nobody waits.
LISTEN_SECONDS = 0.1
# Should this process die while it answers, the upload begins by itself after so long.
BEGIN_ANYWAY = timedelta(seconds=5)
VANISHED = "The connection broke before the end of the file was certain. Nothing was sent; upload it again."


def hold_back(upload_id: Any) -> None:
    """Let the inspection of a new upload wait for its sender to be heard of. Called in the accepting transaction."""
    Upload.objects.filter(pk=upload_id).update(next_action_at=timezone.now() + BEGIN_ANYWAY)


def answer_and_listen(answer: Response, actor: Actor, request: HttpRequest) -> HttpResponseBase:
    """The rendered answer, given in two pieces; the upload begins after the second, or ends when nobody takes it."""
    streamed = StreamingHttpResponse(_pieces(answer, actor, request), status=answer.status_code)
    for name, value in answer.headers.items():
        streamed.headers[name] = value
    streamed.headers["Content-Length"] = str(len(answer.content))
    return streamed


def _pieces(answer: Response, actor: Actor, request: HttpRequest) -> Iterator[bytes]:
    content, upload_id = answer.content, answer.data["id"]
    try:
        yield content[:1]
        time.sleep(LISTEN_SECONDS)
        yield content[1:]
    except GeneratorExit:
        _withdraw(actor, upload_id)
        forget(actor, request)
        raise
    if Upload.objects.filter(pk=upload_id, finished_at__isnull=True).update(next_action_at=timezone.now()):
        send_wake_up(kind_named("uploads.inspection"), upload_id)


def _withdraw(actor: Actor, upload_id: Any) -> None:
    now, upload = timezone.now(), Upload.objects.get(pk=upload_id)
    rows = Upload.objects.filter(pk=upload_id, finished_at__isnull=True, lease_owner="")
    ended = {"status": UploadStatus.CANCELLED, "details": VANISHED, "finished_at": now, "next_action_at": None}
    # What may be half a list is not kept, so that no retry can send it.
    if not rows.update(**ended, original="", original_gone_at=now, report="", report_gone_at=now):
        return
    Delivery.objects.open().filter(upload=upload_id, is_live=False).update(
        status=DeliveryStatus.CANCELLED, error_text=VANISHED, finished_at=now, next_action_at=None, updated_at=now
    )
    files.delete(upload.original)
    files.delete(upload.report)
    audit.record(actor, "upload.withdraw", upload, name=str(upload))
