"""Resumable uploads by the tus protocol 1.0 (core, creation, creation-with-upload, expiration, termination).

Works for programs with a bearer token and for the browser with its session and CSRF token. The answer to the last byte
carries `Upload-Id`, the id of the upload that the file became.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponseBase
from django.utils import timezone
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.authentication import BearerAuthentication
from audsync_web.api.errors import ApiError, Conflict
from audsync_web.api.idempotency import begin
from audsync_web.api.schema import ErrorSerializer
from audsync_web.people.access import get_visible_or_404
from audsync_web.people.actors import Actor
from audsync_web.people.middleware import place
from audsync_web.people.models import User
from uploads.engine.checking import CheckOptions
from uploads.engine.refusal import TOO_LARGE
from uploads.intake.bodies import RequestBody
from uploads.intake.partials import (
    OffsetConflict,
    TooManyBytes,
    partial_append,
    partial_create,
    partial_drop,
    partial_finish,
)
from uploads.models import PartialUpload
from uploads.services import UploadWish, options_to_store

from .options import read_check_options, read_mode, read_share
from .receive import answer_again, answer_once
from .uploads import StreamingApi

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination"
PIECE_TYPE = "application/offset+octet-stream"
# Small enough that a slow sender's bytes are kept soon after they came.
PIECE_READ = 256 * 1024
LONGEST_METADATA = 4096
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
DELIMITERS = {",", ";", "\t", "|"}


class SessionActorAuthentication(SessionAuthentication):
    """The browser's session, with CSRF token; `request.auth` becomes the `Actor` of the page's company."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """The person and actor; None without a session, 401 for somebody in no company."""
        found = super().authenticate(request)
        if found is None or not isinstance(found[0], User):
            return None
        carrier: Any = request._request
        place(carrier, found[0])
        if carrier.actor is None:
            raise NotAuthenticated
        return found[0], carrier.actor


# --- what the client says --------------------------------------------------------------------------------------------


def read_metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata`: names with base64 values, parted by commas. Raises `ValidationError`."""
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            raise ValidationError({"Upload-Metadata": "must hold base64 of UTF-8 texts"}) from None
        if "\0" in found[name]:
            # PostgreSQL stores none.
            raise ValidationError({"Upload-Metadata": f"must hold no null character; {name} has one"})
    if len(header) > LONGEST_METADATA:
        raise ValidationError({"Upload-Metadata": f"must have at most {LONGEST_METADATA} characters"})
    return found


def wish_of(metadata: dict[str, str]) -> UploadWish:
    """How the file is to be taken: mode, hold, header, kind, column, delimiter, encoding, hasHeader, filename.

    Raises `ValidationError`.
    """
    given = {name: value for name, value in metadata.items() if value}
    options = replace(read_check_options(given), **_table_options(given))
    return UploadWish(
        mode=read_mode(given),
        hold=_truth(given, "hold", False),
        file_name=_file_name(given.get("filename", "")),
        max_removed_share=read_share(given),
        check_options=options_to_store(options),
    )


def _table_options(given: dict[str, str]) -> dict[str, Any]:
    """Column, delimiter and header of a file with several columns."""
    found: dict[str, Any] = {"has_header": _truth(given, "hasHeader", CheckOptions.has_header)}
    if raw := given.get("column"):
        if not (raw.isascii() and raw.isdigit() and int(raw) < 10_000):
            raise ValidationError({"column": "must be the number of a column, counted from 0"})
        found["column"] = int(raw)
    if raw := given.get("delimiter"):
        if raw not in DELIMITERS:
            raise ValidationError({"delimiter": "must be a comma, a semicolon, a tab or a bar"})
        found["delimiter"] = raw
    return found


def _truth(given: dict[str, str], name: str, default: bool) -> bool:
    raw = given.get(name)
    if raw is None:
        return default
    if raw.lower() not in _TRUTH:
        raise ValidationError({name: "must be true or false"})
    return _TRUTH[raw.lower()]


def _file_name(given: str) -> str:
    """The name of the file alone, as people know it."""
    return "".join(char for char in given.replace("\\", "/").rpartition("/")[2] if char.isprintable())[:255]


def _number(request: Request, name: str) -> int:
    raw = request.headers.get(name, "")
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 18):
        raise ApiError(status.HTTP_400_BAD_REQUEST, f"{name} must be a whole number.")
    return int(raw)


# --- the calls -------------------------------------------------------------------------------------------------------

TUS_PARAMETERS = [OpenApiParameter("Tus-Resumable", OpenApiTypes.STR, OpenApiParameter.HEADER, required=True)]
CONFLICT = OpenApiResponse(ErrorSerializer, "The offset is another one, or another request is sending.")
WRONG_VERSION = OpenApiResponse(ErrorSerializer, f"The protocol version is not {VERSION}.")


class TusApi(StreamingApi):
    """What the calls share: two ways to authenticate, the protocol's version on every answer."""

    authentication_classes = (BearerAuthentication, SessionActorAuthentication)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As every streaming view, and 412 for another version of the protocol."""
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
            raise ApiError(
                status.HTTP_412_PRECONDITION_FAILED, f"Tus-Resumable must be {VERSION}.", {"Tus-Version": VERSION}
            )

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Every answer names the version."""
        final = super().finalize_response(request, response, *args, **kwargs)
        final.headers["Tus-Resumable"] = VERSION
        return final

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """What this server can do."""
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(settings.MAX_UPLOAD_BYTES),
        }
        return Response(status=status.HTTP_204_NO_CONTENT, headers=headers)

    def append(self, partial: PartialUpload, offset: int, body: RequestBody) -> dict[str, str]:
        """Append the body, and hand the file over when it is whole; returns the headers that tell how it stands."""
        if body.length is not None and offset + body.length > partial.length:
            raise TooManyBytes
        if not body.is_empty:
            partial_append(partial, offset, iter(lambda: body.read(PIECE_READ), b""))
        elif partial.offset != offset:
            raise OffsetConflict(f"This upload stands at byte {partial.offset}, not {offset}.")
        if partial.offset == partial.length and partial.upload_id is None:
            upload = partial_finish(actor=self.actor, partial=partial, wish=wish_of(partial.metadata))
            partial.upload_id = upload.pk
        return standing(partial)


def standing(partial: PartialUpload) -> dict[str, str]:
    """How far an upload is, until when it is kept, and what it became."""
    headers = {"Upload-Offset": str(partial.offset), "Upload-Expires": http_date(partial.expires_at.timestamp())}
    if partial.upload_id is not None:
        headers["Upload-Id"] = str(partial.upload_id)
    return headers


class TusCreateView(TusApi):
    """Creation."""

    @extend_schema(
        operation_id="tus_create",
        parameters=[
            *TUS_PARAMETERS,
            OpenApiParameter("Upload-Length", OpenApiTypes.INT, OpenApiParameter.HEADER, required=True),
            OpenApiParameter("Upload-Metadata", OpenApiTypes.STR, OpenApiParameter.HEADER),
        ],
        request={PIECE_TYPE: OpenApiTypes.BINARY},
        responses={201: OpenApiResponse(description="Made; Location says where."), 412: WRONG_VERSION},
    )
    def post(self, request: Request, segment_id: int) -> HttpResponseBase:
        """Begin a resumable upload of `Upload-Length` bytes; a body is its first piece."""
        segment, body = self.segment(segment_id), self.stream()
        if "Upload-Defer-Length" in request.headers:
            raise ApiError(status.HTTP_400_BAD_REQUEST, "Upload-Length must be known from the start.")
        if "Upload-Concat" in request.headers:
            # Left unheard, each part of the file would be taken for a whole list of members.
            raise ApiError(status.HTTP_400_BAD_REQUEST, "Uploads are not put together here; send the file as one.")
        length = _number(request, "Upload-Length")
        if length > settings.MAX_UPLOAD_BYTES:
            raise ApiError(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
        if not length:
            raise ApiError(status.HTTP_400_BAD_REQUEST, "The file is empty.")
        if not body.is_empty:
            _require_piece(request)
        metadata = read_metadata(request.headers.get("Upload-Metadata", ""))
        wish_of(metadata)
        held = begin(self.actor, request._request)
        body.alive = held.keep_alive
        if held.is_known:
            return answer_again(held, body)

        def create() -> Response:
            partial = partial_create(actor=self.actor, segment=segment, length=length, metadata=metadata)
            headers = standing(partial) if body.is_empty else self.append(partial, 0, body)
            headers["Location"] = request.build_absolute_uri(f"{request.path}/{partial.pk}")
            return Response(status=status.HTTP_201_CREATED, headers=headers)

        return answer_once(held, body, create)


def _require_piece(request: Request) -> None:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != PIECE_TYPE:
        raise ApiError(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, f"The body must be {PIECE_TYPE}.")


class TusUploadView(TusApi):
    """One resumable upload. Nobody else's."""

    def partial(self, segment_id: int, tus_id: uuid.UUID) -> PartialUpload:
        """The actor's own, else 404; 410 when its time is over."""
        actor: Actor = self.actor
        rows = PartialUpload.objects.filter(user=actor.user)
        partial = get_visible_or_404(rows, self.company, pk=tus_id, segment_id=self.segment(segment_id).pk)
        if partial.expires_at <= timezone.now():
            raise ApiError(status.HTTP_410_GONE, "This upload was not finished in time. Send it again.")
        return partial

    @extend_schema(exclude=True)
    def post(self, request: Request, segment_id: int, tus_id: uuid.UUID) -> HttpResponseBase:
        """The protocol's way through proxies that know no PATCH: `X-HTTP-Method-Override`."""
        calls = {"PATCH": self.patch, "HEAD": self.head, "DELETE": self.delete}
        call = calls.get(request.headers.get("X-HTTP-Method-Override", "").upper())
        if call is None:
            raise Http404
        return call(request, segment_id, tus_id)

    @extend_schema(
        operation_id="tus_offset",
        parameters=TUS_PARAMETERS,
        responses={200: OpenApiResponse(description="Upload-Offset says how far it is."), 412: WRONG_VERSION},
    )
    def head(self, request: Request, segment_id: int, tus_id: uuid.UUID) -> Response:
        """How far the upload is."""
        partial = self.partial(segment_id, tus_id)
        encoded = [f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in partial.metadata.items()]
        headers = standing(partial) | {"Upload-Length": str(partial.length)}
        if encoded:
            headers["Upload-Metadata"] = ",".join(encoded)
        return Response(status=status.HTTP_200_OK, headers=headers)

    @extend_schema(
        operation_id="tus_append",
        parameters=[
            *TUS_PARAMETERS,
            OpenApiParameter("Upload-Offset", OpenApiTypes.INT, OpenApiParameter.HEADER, required=True),
        ],
        request={PIECE_TYPE: OpenApiTypes.BINARY},
        responses={
            204: OpenApiResponse(description="Appended; Upload-Id names the upload once the last byte is there."),
            409: CONFLICT,
            412: WRONG_VERSION,
        },
    )
    def patch(self, request: Request, segment_id: int, tus_id: uuid.UUID) -> Response:
        """Append a piece at `Upload-Offset`."""
        partial = self.partial(segment_id, tus_id)
        _require_piece(request)
        headers = self.append(partial, _number(request, "Upload-Offset"), self.stream())
        return Response(status=status.HTTP_204_NO_CONTENT, headers=headers)

    @extend_schema(
        operation_id="tus_terminate",
        parameters=TUS_PARAMETERS,
        responses={204: None, 409: CONFLICT, 412: WRONG_VERSION},
    )
    def delete(self, request: Request, segment_id: int, tus_id: uuid.UUID) -> Response:
        """Give the upload up, and forget what had arrived of it."""
        partial = self.partial(segment_id, tus_id)
        if partial.upload_id is not None:
            raise Conflict("This file has arrived whole; cancel its upload instead.")
        partial_drop(partial)
        return Response(status=status.HTTP_204_NO_CONTENT)
