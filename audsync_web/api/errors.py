"""Every API error has one shape: a JSON object with exactly one key, `error`, a line of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import APIException, NotAuthenticated, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler as rest_handler

from audsync_web.errors import NOT_FOUND
from audsync_web.jobs.room import DISK_IS_FULL, is_no_room
from audsync_web.people.actors import NotAllowed

GENERAL_KEYS = {NON_FIELD_ERRORS, "non_field_errors", "detail"}


class ApiError(APIException):
    """An answer with this status and text."""

    def __init__(self, status_code: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status_code = status_code
        self.headers = dict(headers or {})


class Conflict(ApiError):
    """409: not in its present state."""

    def __init__(self, text: str) -> None:
        super().__init__(status.HTTP_409_CONFLICT, text)


def exception_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: the answer to an exception of a view; None lets an unknown one become a 500."""
    known = as_api_exception(exception)
    if known is None:
        return None
    response = rest_handler(known, context)
    if response is None:
        return None
    response.data = {"error": error_text(known)}
    for name, value in getattr(known, "headers", {}).items():
        response.headers[name] = value
    return response


def as_api_exception(exception: Exception) -> APIException | None:
    """What is known of an exception, as one that has a code; None for a fault of ours."""
    if isinstance(exception, APIException):
        return exception
    if isinstance(exception, NotAllowed):
        return ApiError(status.HTTP_403_FORBIDDEN, str(exception))
    if isinstance(exception, Http404):
        return ApiError(status.HTTP_404_NOT_FOUND, NOT_FOUND)
    if isinstance(exception, RequestDataTooBig):
        return ApiError(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "The request body is too large.")
    if isinstance(exception, DjangoValidationError):
        return ValidationError(exception.message_dict if hasattr(exception, "error_dict") else exception.messages)
    return ApiError(status.HTTP_507_INSUFFICIENT_STORAGE, DISK_IS_FULL) if is_no_room(exception) else None


def error_text(exception: APIException) -> str:
    """What the answer says."""
    if isinstance(exception, NotAuthenticated):
        return "A bearer token is needed. POST /api/public/v3/login gives one."
    return error_line(exception.detail)


def error_line(detail: Any) -> str:
    """All faults in one line, each after the name of its field: `name: is missing; size: must be a number.`"""
    return "; ".join(_lines(detail, "")) or "The request cannot be read."


def _lines(detail: Any, path: str) -> Iterator[str]:
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _lines(value, path if key in GENERAL_KEYS else _joined(path, str(key)))
    elif isinstance(detail, list | tuple):
        for index, value in enumerate(detail):
            # A list of texts are faults of one field; a list of objects are faults of its items.
            yield from _lines(value, f"{path}[{index}]" if isinstance(value, Mapping) else path)
    else:
        yield f"{path}: {detail}" if path else str(detail)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
