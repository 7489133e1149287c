"""Tolerant reading of vendors' JSON: numbers may come as texts, be null, missing, or nothing that is any number."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

_DIGITS = re.compile(r"-?[0-9]{1,20}")
# An address is looked for where a word begins, and nowhere within it: a word without end would be read through from
# each of its letters.
_PERSONAL = re.compile(
    r'(?P<named>"(?:email_hash|user_account_id|user_agent_id)"\s*:\s*")[^"]*'
    r"|(?<![^\s\"'<>])[^\s\"'<>]+@[^\s\"'<>]+"
    r"|[0-9a-fA-F]{32,}"
)


def impersonal(said: str) -> str:
    """A vendor's words without what looks like a person's identifier: a refusal may quote a line of the file."""
    return _PERSONAL.sub(lambda found: f"{found['named'] or ''}…", said)


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
