"""The declaration of a vendor account's fields: one list a vendor, read by pages, provision file and API alike."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal
from urllib.parse import urlsplit

from .errors import InvalidConfiguration

FieldType = Literal["text", "integer", "number", "boolean", "choice", "list", "day"]
Group = Literal["credentials", "settings"]


@dataclass(frozen=True)
class Field:
    """One field of a vendor account. `secret` fields are sealed at rest and never shown again."""

    name: str
    label: str
    type: FieldType = "text"
    group: Group = "settings"
    required: bool = False
    secret: bool = False
    default: Any = None
    choices: tuple[tuple[str, str], ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    help: str = ""
    advanced: bool = False
    """Pacing numbers and limits: folded away on the page."""


def credential(name: str, label: str, *, secret: bool = True, required: bool = True, help: str = "") -> Field:
    """A field of the sealed group."""
    return Field(name, label, group="credentials", required=required, secret=secret, help=help)


def pacing_fields(*, poll_first: float, poll_max: float, requests_per_second: float) -> tuple[Field, ...]:
    """The pacing settings every vendor takes (design section 7.2). 0 for a poll: as fast as the scheduler ticks."""
    return (
        Field("pollFirstSeconds", "First look after (seconds)", "number", default=poll_first, minimum=0, advanced=True),
        Field(
            "pollMaxSeconds",
            "Longest wait between looks (seconds)",
            "number",
            default=poll_max,
            minimum=0,
            advanced=True,
        ),
        Field(
            "requestsPerSecond",
            "Requests a second",
            "number",
            default=requests_per_second,
            minimum=0.01,
            maximum=10_000,
            advanced=True,
        ),
    )


@dataclass(frozen=True)
class AccountConfig:
    """A vendor account as a connector sees it: checked values, secrets in the clear, in memory only."""

    vendor: str
    base_url: str
    credentials: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, Any]

    @property
    def host(self) -> str:
        """The vendor's host, for quota scopes; see `host_of`."""
        return host_of(self.base_url)


DEFAULT_PORTS = {"http": 80, "https": 443}


def host_of(url: str) -> str:
    """Host and port of an address, one spelling for one host: in lower case, without a final dot, without the port that
    its scheme has anyway. Never a name or password that stands in it."""
    parts = urlsplit(url)
    written = parts.netloc.lower().rpartition("@")[2]
    name, colon, port = written.rpartition(":")
    if not colon or not (port.isdecimal() or not port):
        name, port = written, ""
    default = not port or int(port) == DEFAULT_PORTS.get(parts.scheme)
    return name.rstrip(".") if default else f"{name.rstrip('.')}:{int(port)}"


def fingerprint(secret: str) -> str:
    """A short stand-in for a key in quota scopes and cache keys, where a vendor names no other owner of its limits."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def read_values(fields: Sequence[Field], group: Group, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one group, defaults filled in, types made right. All faults at once, as `InvalidConfiguration`."""
    declared = {f.name: f for f in fields if f.group == group}
    errors = {name: f"is not a {group} field of this vendor" for name in given if name not in declared}
    values: dict[str, Any] = {}
    for name, declared_field in declared.items():
        raw = given.get(name)
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            if declared_field.required and declared_field.default is None:
                errors[name] = "is missing"
            values[name] = declared_field.default
            continue
        try:
            values[name] = _read(declared_field, raw)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise InvalidConfiguration(errors)
    return values


def _read(declared: Field, raw: Any) -> Any:
    reader = {
        "text": _read_text,
        "integer": _read_integer,
        "number": _read_number,
        "boolean": _read_boolean,
        "choice": _read_choice,
        "list": _read_list,
        "day": _read_day,
    }[declared.type]
    return reader(declared, raw)


def _read_text(declared: Field, raw: Any) -> str:
    # An id that looks like a number is often given as one; a boolean never is.
    if isinstance(raw, bool) or not isinstance(raw, (str, int)):
        raise ValueError("must be text")
    # A pasted secret often brings a line end along, but its spaces may be part of it.
    text = str(raw).strip("\r\n\t") if declared.secret else str(raw).strip()
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ValueError("must be one line without control characters")
    return text


def _read_day(declared: Field, raw: Any) -> str:
    text = _read_text(declared, raw)
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("must be a day as YYYY-MM-DD") from None


def _read_number(declared: Field, raw: Any) -> float:
    if isinstance(raw, bool):
        raise ValueError("must be a number")
    try:
        number = float(raw)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a number") from None
    if not math.isfinite(number):
        raise ValueError("must be a number")
    _check_range(declared, number)
    return number


def _read_integer(declared: Field, raw: Any) -> int:
    number = _read_number(declared, raw)
    if number != int(number):
        raise ValueError("must be a whole number")
    try:
        return int(raw) if isinstance(raw, (int, str)) else int(number)  # ids may be longer than a float holds
    except ValueError:
        return int(number)


def _check_range(declared: Field, number: float) -> None:
    if declared.minimum is not None and number < declared.minimum:
        raise ValueError(f"must be at least {declared.minimum:,.10g}")
    if declared.maximum is not None and number > declared.maximum:
        raise ValueError(f"must be at most {declared.maximum:,.10g}")


def _read_boolean(declared: Field, raw: Any) -> bool:
    words = {"true": True, "on": True, "1": True, "yes": True, "false": False, "off": False, "0": False, "no": False}
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in words:
        return words[raw.strip().lower()]
    raise ValueError("must be true or false")


def _read_choice(declared: Field, raw: Any) -> str:
    allowed = [key for key, _ in declared.choices]
    if str(raw) not in allowed:
        raise ValueError(f"must be one of {', '.join(allowed)}")
    return str(raw)


def _read_list(declared: Field, raw: Any) -> list[str]:
    items = raw.replace(",", "\n").splitlines() if isinstance(raw, str) else raw
    if not isinstance(items, (list, tuple)) or not all(
        isinstance(item, (str, int)) and not isinstance(item, bool) for item in items
    ):
        raise ValueError("must be a list of texts")
    return [str(item).strip() for item in items if str(item).strip()]
