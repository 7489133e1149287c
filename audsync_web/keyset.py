"""Paging by key: a page begins where the last one ended, so the millionth row costs what the first one costs."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

M = TypeVar("M", bound=models.Model)
LARGEST = 2**63 - 1


class CursorInvalid(ValueError):
    """The cursor was not made by this list."""


@dataclass(frozen=True)
class Slice(Generic[M]):
    """One page: its rows in the list's order, and the cursors of the neighbours; None where there is none."""

    rows: list[M]
    older: str | None
    newer: str | None


def keyset_slice(
    queryset: models.QuerySet[M], *, order: Sequence[str] = ("-pk",), limit: int, cursor: str | None = None
) -> Slice[M]:
    """The page of `queryset` at `cursor` (the first one without), sorted by `order`.

    `order` names columns or annotations that are never null, each with `-` for descending, the last one unique.
    Raises `CursorInvalid`.
    """
    backwards, values = _read(cursor, queryset, order) if cursor else (False, None)
    sorting = [_turned(name) for name in order] if backwards else list(order)
    rows_wanted = queryset.order_by(*sorting)
    if values is not None:
        rows_wanted = rows_wanted.filter(_beyond(sorting, values))
    found = list(rows_wanted[: limit + 1])
    more = len(found) > limit
    rows = found[:limit]
    if backwards:
        rows.reverse()
    # Where one came from there is always something; ahead only when one row too many was found.
    has_older, has_newer = (True, more) if backwards else (more, cursor is not None)
    return Slice(
        rows,
        _write(rows[-1], order, "older") if rows and has_older else None,
        _write(rows[0], order, "newer") if rows and has_newer else None,
    )


def _turned(name: str) -> str:
    return name.removeprefix("-") if name.startswith("-") else f"-{name}"


def _beyond(order: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows after `values`: greater in the first column, or equal there and greater in the second, and so on."""
    beyond, equal = Q(), Q()
    for name, value in zip(order, values, strict=True):
        column = name.removeprefix("-")
        step = Q(**{f"{column}__{'lt' if name.startswith('-') else 'gt'}": value})
        beyond |= equal & step
        equal &= Q(**{column: value})
    return beyond


def _write(row: models.Model, order: Sequence[str], way: str) -> str:
    values = [_plain(getattr(row, name.removeprefix("-"))) for name in order]
    raw = json.dumps([way, *values], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | str) else value.isoformat() if hasattr(value, "isoformat") else str(value)


def _read(cursor: str, queryset: models.QuerySet[Any], order: Sequence[str]) -> tuple[bool, list[Any]]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        way, *raw = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        values = [_typed(queryset, name.removeprefix("-"), value) for name, value in zip(order, raw, strict=True)]
    except (ValueError, TypeError, binascii.Error, ValidationError, RecursionError):
        raise CursorInvalid("The cursor is not one of this list.") from None
    if way not in ("older", "newer"):
        raise CursorInvalid("The cursor is not one of this list.")
    return way == "newer", values


def _typed(queryset: models.QuerySet[Any], name: str, raw: Any) -> Any:
    column = _column(queryset, name)
    value = column.to_python(raw) if isinstance(column, models.Field) else raw
    if value is None or (isinstance(value, int) and abs(value) > LARGEST):
        raise ValueError(name)
    return value


def _column(queryset: models.QuerySet[Any], name: str) -> Any:
    if name == "pk":
        return queryset.model._meta.pk
    annotation = queryset.query.annotations.get(name)
    return queryset.model._meta.get_field(name) if annotation is None else annotation.output_field
