"""Tolerant reading of vendors' JSON: numbers may come as texts, be null, missing, or nothing that is any number."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from functools import cache
from typing import Any

from .identifiers import UUID_PATTERN

_DIGITS = re.compile(r"-?[0-9]{1,20}")
# An address is looked for where a word begins, and nowhere within it: a word without end would be read through from
# each of its letters.
_PERSONAL = rf"(?<![^\s\"'<>])[^\s\"'<>]+@[^\s\"'<>]+|[0-9a-fA-F]{{32,}}|{UUID_PATTERN}"


def impersonal(said: str, properties: Collection[str] = ()) -> str:
    """A vendor's words without what looks like a person's identifier: a refusal may quote a line of the file.

    `properties` are the names in the vendor's JSON whose value names a person, whatever that looks like.
    """
    return _personal(frozenset(properties)).sub(lambda found: f"{found['named'] or ''}…", said)


@cache
def _personal(properties: frozenset[str]) -> re.Pattern[str]:
    names = "|".join(re.escape(name) for name in sorted(properties)) or "(?!)"
    return re.compile(rf'(?P<named>"(?:{names})"\s*:\s*")[^"]*|{_PERSONAL}')


def whole(value: Any) -> int | None:
    """A whole number, also as a text of digits or with a zero fraction; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value.strip()) else None


def utc_moment(value: Any) -> datetime | None:
    """An RFC 3339 time in UTC, with any number of fraction digits; without a zone it counts as UTC. None for others."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
