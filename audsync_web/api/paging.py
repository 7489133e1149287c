"""Lists of the API: `{"results": […], "next": url|null}`, by `limit` and an opaque `cursor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db import models
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.keyset import CursorInvalid, keyset_slice

from .errors import ApiError

M = TypeVar("M", bound=models.Model)

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

PAGE_PARAMETERS = [
    OpenApiParameter("limit", OpenApiTypes.INT, description=f"Rows a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} without."),
    OpenApiParameter("cursor", OpenApiTypes.STR, description="Where the page begins: taken from `next`, never made."),
]


def page_response(
    request: Request,
    queryset: models.QuerySet[M],
    represent: Callable[[M], dict[str, Any]],
    *,
    order: Sequence[str] = ("-pk",),
) -> Response:
    """One page of `queryset`, each row as `represent` shows it. 400 for a wrong `limit` or `cursor`."""
    limit = whole_number(request, "limit", default=DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT)
    try:
        page = keyset_slice(queryset, order=order, limit=limit, cursor=request.query_params.get("cursor"))
    except CursorInvalid as error:
        raise ApiError(status.HTTP_400_BAD_REQUEST, f"cursor: {error}") from None
    return Response({"results": [represent(row) for row in page.rows], "next": next_url(request, page.older)})


def next_url(request: Request, cursor: str | None) -> str | None:
    """This call's next page, its filter and limit kept; None where there is none."""
    if cursor is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def whole_number(request: Request, name: str, *, default: int, minimum: int, maximum: int) -> int:
    """A whole number of the query; 400 when it is none or out of range."""
    raw = request.query_params.get(name)
    if raw is None:
        return default
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 18 and minimum <= int(raw) <= maximum):
        raise ApiError(status.HTTP_400_BAD_REQUEST, f"{name}: must be a whole number from {minimum} to {maximum}")
    return int(raw)
