"""How a file is to be taken, as the API's callers say it: query parameters and headers of one upload."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from audsync_web.vendors.connectors.identifiers import KINDS
from uploads.engine.checking import CheckOptions
from uploads.models import Mode

MD5_HEADER = "X-Content-MD5"
LONGEST_ENCODING = 40
UPLOAD_PARAMETERS = [
    OpenApiParameter("mode", OpenApiTypes.STR, enum=Mode.values, description="What the file means; `replace` without."),
    OpenApiParameter("header", OpenApiTypes.STR, enum=["any"], description="Take any single column name."),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=list(KINDS), description="The identifier kind of the rows."),
    OpenApiParameter("encoding", OpenApiTypes.STR, description="The file's encoding when it is not UTF-8."),
    OpenApiParameter(
        "maxRemovedShare", OpenApiTypes.FLOAT, description="Fail instead of removing more than this share (0 to 1)."
    ),
]
UPLOAD_HEADERS = [
    OpenApiParameter(
        MD5_HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER, description="MD5 of the unpacked file, hex or base64."
    ),
    OpenApiParameter("Content-Encoding", OpenApiTypes.STR, OpenApiParameter.HEADER, enum=["gzip"]),
]


def read_mode(given: Mapping[str, str]) -> Mode:
    """The mode; replace when none is given. Raises `ValidationError`."""
    word = given.get("mode", Mode.REPLACE)
    if word not in Mode.values:
        raise ValidationError({"mode": f"must be one of {', '.join(Mode.values)}"})
    return Mode(word)


def read_share(given: Mapping[str, str]) -> float | None:
    """The largest share of a membership that may be removed; None without one. Raises `ValidationError`."""
    raw = given.get("maxRemovedShare")
    if raw is None:
        return None
    try:
        share = float(raw)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ValidationError({"maxRemovedShare": "must be a number from 0 to 1"})
    return share


def read_check_options(
    given: Mapping[str, str], *, max_bytes: int | None = None, md5: bytes | None = None
) -> CheckOptions:
    """How the file is read: `header`, `kind`, `encoding`. Raises `ValidationError`."""
    header, kind, encoding = given.get("header"), given.get("kind"), given.get("encoding")
    if header not in {None, "any"}:
        raise ValidationError({"header": "must be any, or left out"})
    if kind is not None and kind not in KINDS:
        raise ValidationError({"kind": f"must be one of {', '.join(KINDS)}"})
    if encoding is not None and not _is_name(encoding):
        raise ValidationError({"encoding": "must be the name of an encoding, such as latin-1"})
    return CheckOptions(kind=kind, any_header=header == "any", encoding=encoding, max_bytes=max_bytes, expected_md5=md5)


def _is_name(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and len(text) <= LONGEST_ENCODING


def read_md5(text: str | None) -> bytes | None:
    """The 16 bytes of an MD5 written in hexadecimal or base64; None without one. Raises `ValidationError`."""
    if text is None:
        return None
    found = _from_hex(text.strip()) or _from_base64(text.strip())
    if found is None:
        raise ValidationError({MD5_HEADER: "must be an MD5 in 32 hexadecimal digits or in base64"})
    return found


def _from_hex(text: str) -> bytes | None:
    if len(text) != 32:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _from_base64(text: str) -> bytes | None:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == 16 else None
