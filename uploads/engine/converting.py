"""Identifiers in the form a destination wants: as they are, hashed, or telephone numbers in E.164."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

from audsync_web.vendors.connectors.telephone import e164

Conversion = Literal["as_is", "sha256", "md5", "e164"]


def converted(text: bytes, conversion: Conversion, region: str = "") -> bytes:
    """The lines of a text (normalised values, each ended by a line feed), hashed in lower-case hexadecimal or brought
    to E.164 if asked. Telephone numbers must have passed `e164` before."""
    if conversion == "as_is" or not text:
        return text
    if conversion == "e164":
        numbers = (e164(value.decode(), region) for value in text[:-1].split(b"\n"))
        return "\n".join([number or "" for number in numbers] + [""]).encode()
    digest = _DIGESTS[conversion]
    return "\n".join([digest(value) for value in text[:-1].split(b"\n")] + [""]).encode()


def _sha256(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def _md5(value: bytes) -> str:
    return hashlib.md5(value, usedforsecurity=False).hexdigest()


_DIGESTS: dict[str, Callable[[bytes], str]] = {"sha256": _sha256, "md5": _md5}
