"""`POST /segment/{id}/membership/upload`: a raw CSV body, stored and checked while it arrives."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.errors import ApiError
from audsync_web.api.idempotency import Idempotent, begin
from audsync_web.people.actors import Actor
from segments.models import Segment

from . import files
from .api_heard import hold_back
from .api_options import MD5_HEADER, read_check_options, read_md5, read_mode, read_share
from .api_shapes import new_upload_shape, with_deliveries
from .bodies import BodyCut, NoLength, RequestBody
from .engine.checking import CheckOptions
from .engine.refusal import TOO_LARGE, FileRefused
from .models import Upload
from .receiving import receive, unpacked
from .rules import destinations_for_upload, require_taker
from .services import UploadWish, options_to_store, require_quota, require_uploadable, upload_accept, upload_folder

CSV_TYPE = "text/csv"
STATUS_INSUFFICIENT_STORAGE = 507


def refusal_error(refusal: FileRefused) -> ApiError:
    """The answer to a refused file: 413 when it is too large, else 400."""
    too_large = refusal.code == "too_large"
    return ApiError(
        status.HTTP_413_REQUEST_ENTITY_TOO_LARGE if too_large else status.HTTP_400_BAD_REQUEST, refusal.message
    )


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
        return _answer_again(held, body)
    return answer_once(held, body, lambda: _take(raw, actor, segment, body, wish, options))


def _wish(request: Request) -> tuple[UploadWish, CheckOptions]:
    given = request.query_params
    md5 = read_md5(request.headers.get(MD5_HEADER))
    options = read_check_options(given, max_bytes=settings.MAX_UPLOAD_BYTES, md5=md5)
    wish = UploadWish(
        mode=read_mode(given), max_removed_share=read_share(given), check_options=options_to_store(options)
    )
    return wish, options


def _answer_again(held: Idempotent, body: RequestBody) -> Any:
    """The first answer again. A body that is too long to be read to its end cannot be compared."""
    try:
        for _ in body.blocks():
            continue
    except BodyCut:
        raise cut_error() from None
    return held.answer_again(body.sha256)


def answer_once(held: Idempotent, body: RequestBody, work: Callable[[], Response]) -> Response:
    """Do the work and keep its answer under the key, a refusal too when the body was seen whole."""
    try:
        answer = work()
    except (FileRefused, files.StorageFull, BodyCut, ApiError) as error:
        return _answer_refused(held, body, error)
    except BaseException:
        held.abandon()
        raise
    return _kept(held, body, answer)


def _answer_refused(held: Idempotent, body: RequestBody, error: Exception) -> Response:
    read_whole = body.drain()
    refusal = _as_api_error(error)
    # An answer is kept only for a body that was seen whole: another one could not be told from it.
    if not read_whole:
        held.abandon()
        raise refusal
    return _kept(held, body, Response({"error": str(refusal.detail)}, status=refusal.status_code))


def _as_api_error(error: Exception) -> ApiError:
    if isinstance(error, FileRefused):
        return refusal_error(error)
    if isinstance(error, files.StorageFull):
        return ApiError(STATUS_INSUFFICIENT_STORAGE, error.text)
    return error if isinstance(error, ApiError) else cut_error()


def end_is_uncertain(raw: HttpRequest, body: RequestBody) -> bool:
    """Whether a body that was cut off could not be told from a whole one: neither length nor MD5 came along."""
    packed = _packing(raw) == "gzip"
    return body.length is None and MD5_HEADER not in raw.headers and not packed


def cut_error() -> ApiError:
    """The answer to a body that ended early; mostly nobody hears it."""
    return ApiError(status.HTTP_400_BAD_REQUEST, "The body ended before its announced length. Nothing was kept.")


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
    try:
        require_quota(actor.company, received.check.bytes)
        with transaction.atomic():
            upload_accept(actor=actor, segment=segment, upload_id=upload_id, received=received, wish=wish)
            if end_is_uncertain(raw, body):
                hold_back(upload_id)
    except BaseException:
        files.delete(received.original)
        files.delete(received.report)
        raise
    fresh = with_deliveries(Upload.objects.filter(pk=upload_id)).get()
    return Response(new_upload_shape(fresh), status=status.HTTP_201_CREATED)
