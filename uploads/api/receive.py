"""`POST /segment/{id}/membership/upload`: a raw CSV body, stored and checked while it arrives."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.errors import ApiError, error_text
from audsync_web.api.idempotency import Idempotent, begin
from audsync_web.people.actors import Actor
from segments.models import Segment
from uploads import files
from uploads.engine.checking import CheckOptions
from uploads.engine.refusal import TOO_LARGE
from uploads.intake.bodies import NoLength, RequestBody
from uploads.models import Upload
from uploads.receiving import kept_if_accepted, receive, unpacked
from uploads.rules import destinations_for_upload, require_taker
from uploads.services import (
    UploadWish,
    options_to_store,
    require_quota,
    require_uploadable,
    upload_accept,
    upload_folder,
)

from .heard import hold_back
from .options import MD5_HEADER, read_check_options, read_md5, read_mode, read_share
from .refusals import as_refusal
from .shapes import new_upload_shape, with_deliveries

CSV_TYPE = "text/csv"


def require_csv(request: HttpRequest) -> None:
    """415 for a body that is not `text/csv` (parameters do not count), or is packed otherwise than by gzip."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != CSV_TYPE:
        raise ApiError(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, f"The body must be {CSV_TYPE}.")
    if _packing(request) not in {"", "identity", "gzip"}:
        raise ApiError(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, "Content-Encoding must be gzip or left out.")


def _packing(request: HttpRequest) -> str:
    return request.headers.get("Content-Encoding", "").strip().lower()


def require_body(body: RequestBody) -> None:
    """411 for a body of unknown end, 413 for one that says itself that it is too large."""
    try:
        body.require_length()
    except NoLength:
        raise ApiError(status.HTTP_411_LENGTH_REQUIRED, "Send Content-Length, or the body chunked.") from None
    if body.length is not None and body.length > settings.MAX_UPLOAD_BYTES:
        raise ApiError(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)


def file_blocks(request: HttpRequest, body: RequestBody) -> Iterator[bytes]:
    """The file's own bytes: the body, unpacked when it is gzip; the size limit holds on the wire and unpacked."""
    if _packing(request) != "gzip":
        return body.blocks()
    limit = settings.MAX_UPLOAD_BYTES
    return unpacked(body.blocks(), max_bytes=limit, max_wire_bytes=limit)


def receive_upload(request: Request, body: RequestBody, actor: Actor, segment: Segment) -> Any:
    """Take the body of an upload and answer it: 201, or the answer that its `Idempotency-Key` got before.

    The caller drains the body of a request that is refused by an exception.
    """
    raw = request._request
    require_csv(raw)
    require_body(body)
    wish, options = _wish(request)
    held = begin(actor, raw)
    body.alive = held.keep_alive
    if held.is_known:
        return answer_again(held, body)
    return answer_once(held, body, lambda: _take(raw, actor, segment, body, wish, options))


def _wish(request: Request) -> tuple[UploadWish, CheckOptions]:
    given = request.query_params
    md5 = read_md5(request.headers.get(MD5_HEADER))
    options = read_check_options(given, max_bytes=settings.MAX_UPLOAD_BYTES, md5=md5)
    wish = UploadWish(
        mode=read_mode(given), max_removed_share=read_share(given), check_options=options_to_store(options)
    )
    return wish, options


def answer_again(held: Idempotent, body: RequestBody) -> HttpResponse:
    """The first answer again, once the body was read to its end and compared. Raises `BodyCut`."""
    for _ in body.blocks():
        continue
    return held.answer_again(body.sha256)


def answer_once(held: Idempotent, body: RequestBody, work: Callable[[], Response]) -> Response:
    """Do the work and keep its answer under the key, a refusal too when the body was seen whole."""
    try:
        answer = work()
    except BaseException as error:
        refusal = as_refusal(error) if isinstance(error, Exception) else None
        # An answer is kept only for a body that was seen whole: another one could not be told from it.
        if refusal is None or not body.drain():
            held.abandon()
            raise
        answer = Response({"error": error_text(refusal)}, status=refusal.status_code)
    return _kept(held, body, answer)


def end_is_uncertain(raw: HttpRequest, body: RequestBody) -> bool:
    """Whether a body that was cut off could not be told from a whole one: neither length nor MD5 came along."""
    packed = _packing(raw) == "gzip"
    return body.length is None and MD5_HEADER not in raw.headers and not packed


def _kept(held: Idempotent, body: RequestBody, answer: Response) -> Response:
    """Let the rendered answer be kept under its key."""
    answer.add_post_render_callback(lambda rendered: held.finish(_hash(body), rendered))
    return answer


def _hash(body: RequestBody) -> str:
    return body.sha256 if body.is_hashed else ""


def _take(
    raw: HttpRequest, actor: Actor, segment: Segment, body: RequestBody, wish: UploadWish, options: CheckOptions
) -> Response:
    require_uploadable(segment)
    require_quota(actor.company, body.length or 0)
    files.require_room(body.length or 0)
    upload_id = uuid.uuid4()
    destinations = destinations_for_upload(segment)
    received = receive(
        file_blocks(raw, body),
        folder=upload_folder(actor.company.pk, upload_id),
        options=options,
        kind_is_taken=lambda kind: require_taker(destinations, kind),
    )
    with kept_if_accepted(received), transaction.atomic():
        upload_accept(actor=actor, segment=segment, upload_id=upload_id, received=received, wish=wish)
        if end_is_uncertain(raw, body):
            hold_back(upload_id)
    fresh = with_deliveries(Upload.objects.filter(pk=upload_id)).get()
    return Response(new_upload_shape(fresh), status=status.HTTP_201_CREATED)
