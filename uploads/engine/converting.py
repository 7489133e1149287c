"""Identifiers in the form a destination wants: as they are, or hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

Conversion = Literal["as_is", "sha256", "md5"]


def converted(text: bytes, conversion: Conversion) -> bytes:
    """The lines of a text (normalised values, each ended by a line feed), hashed in lower-case hexadecimal if asked."""
    if conversion == "as_is" or not text:
        return text
    digest = _DIGESTS[conversion]
    return "\n".join([digest(value) for value in text[:-1].split(b"\n")] + [""]).encode()


def converted_value(value: str, conversion: Conversion) -> str:
    """One normalised value, for previews."""
    return value if conversion == "as_is" else _DIGESTS[conversion](value.encode())


def _sha256(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def _md5(value: bytes) -> str:
    return hashlib.md5(value, usedforsecurity=False).hexdigest()


_DIGESTS: dict[str, Callable[[bytes], str]] = {"sha256": _sha256, "md5": _md5}
