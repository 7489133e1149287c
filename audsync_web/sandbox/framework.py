"""What the vendors' sandboxes share: requests and answers, a clock that can be moved, faults to choose, a ledger.

A vendor's sandbox is a `VendorSandbox`: it gets a `Request` (path without its prefix) and gives back a `Response`.
Test controls live under `/_control`, never on a vendor's own prefix.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, ClassVar
from urllib.parse import parse_qs, unquote

BLOCK_BYTES = 1024 * 1024


class Clock:
    """The sandbox's time: real time plus what tests have moved it by."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The present moment in UTC, as the vendors here see it."""
        with self._lock:
            return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        """Move time forward (or back) for every vendor."""
        with self._lock:
            self._offset += timedelta(seconds=seconds)


class Faults:
    """Switches by name, each vendor documents its own (`<vendor>.<name>`). Values are text.

    A value of the form `3x` counts down: the fault happens three times and is gone.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        self._lock = threading.Lock()

    def set(self, name: str, value: str | None) -> None:
        """Set a switch, or remove it with None."""
        with self._lock:
            if value is None:
                self._values.pop(name, None)
            else:
                self._values[name] = value

    def get(self, name: str, default: str = "") -> str:
        """A switch's text, without using it up."""
        with self._lock:
            return self._values.get(name, default)

    def on(self, name: str) -> bool:
        """Whether a switch is set to anything but an empty text, `0`, `no` or `off`."""
        return self.get(name).lower() not in {"", "0", "no", "off", "false", "0x"}

    def take(self, name: str) -> bool:
        """Whether the fault happens now; a counted one (`2x`) is used up by one."""
        with self._lock:
            value = self._values.get(name, "")
            if value.endswith("x") and value[:-1].isdigit():
                left = int(value[:-1])
                self._values[name] = f"{max(0, left - 1)}x"
                return left > 0
            return value.lower() not in {"", "0", "no", "off", "false"}

    def number(self, name: str, default: float) -> float:
        """A switch as a number."""
        value = self.get(name)
        return float(value) if value else default

    def all(self) -> dict[str, str]:
        """Every switch that is set."""
        with self._lock:
            return dict(self._values)


@dataclass
class Entry:
    """One request in the ledger: what was asked, without credentials and identifiers, and what was wrong with it."""

    vendor: str
    method: str
    path: str
    status: int
    at: str
    bytes: int
    violations: list[str] = field(default_factory=list)


class Ledger:
    """Every request a vendor saw, and every rule that was broken. Bounded to the newest entries."""

    LONGEST = 20_000

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        with self._lock:
            self._entries.append(entry)
            del self._entries[: -self.LONGEST]

    def entries(self, vendor: str = "") -> list[Entry]:
        """All entries, or one vendor's."""
        with self._lock:
            return [entry for entry in self._entries if not vendor or entry.vendor == vendor]

    def violations(self, vendor: str = "") -> list[str]:
        """Every rule broken so far, as `METHOD path: what`."""
        return [f"{e.method} {e.path}: {text}" for e in self.entries(vendor) for text in e.violations]


class DropConnection(Exception):
    """Raised by a handler: close the connection without an answer (the work may have been done)."""


@dataclass
class Request:
    """One HTTP request below a vendor's prefix. The body is a stream that ends with the body."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: BinaryIO
    length: int | None
    base_url: str
    """Scheme, host and prefix under which this vendor is being asked."""
    violations: list[str] = field(default_factory=list)
    shown_path: str = ""
    """Set by a handler where the path or query holds an identifier: what the ledger shows instead."""
    received: int = 0

    def header(self, name: str, default: str = "") -> str:
        """A header by name, whatever its case."""
        return self.headers.get(name.lower(), default)

    def one(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    @property
    def media_type(self) -> str:
        """The content type without its parameters, lower case."""
        return self.header("content-type").split(";")[0].strip().lower()

    def blocks(self) -> Iterable[bytes]:
        """The body in blocks of 1 MB."""
        while block := self.body.read(BLOCK_BYTES):
            self.received += len(block)
            yield block

    def read(self) -> bytes:
        """The whole body; for small ones."""
        return b"".join(self.blocks())

    def json(self) -> Any:
        """The body as JSON; ValueError when it is none."""
        return json.loads(self.read())

    def segments(self) -> list[str]:
        """The path cut at slashes, each piece percent-decoded once."""
        return [unquote(piece) for piece in self.path.strip("/").split("/")]

    def violate(self, text: str) -> None:
        """Note a broken rule in the ledger; the answer is the handler's own choice."""
        self.violations.append(text)


@dataclass
class Response:
    """One answer. `drop` closes the connection instead of sending it, after the work was done; `pause` is a wait in
    seconds in the middle of the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    pause: float = 0.0

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> Response:
        """A JSON answer."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


@dataclass
class Context:
    """What all vendors of one sandbox share."""

    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    ledger: Ledger = field(default_factory=Ledger)


class VendorSandbox(ABC):
    """One vendor. `handle` is called in many threads at once; guard state with `self.lock`."""

    name: ClassVar[str]
    """Vendor key: also its path prefix."""
    base_path: ClassVar[str] = ""
    """What follows the prefix in the base URL that a client is given."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.clock = context.clock
        self.faults = context.faults
        self.lock = threading.RLock()

    @abstractmethod
    def handle(self, request: Request) -> Response:
        """Answer one request below this vendor's prefix."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What tests look at: segments, memberships, jobs, as JSON. Served at `/_control/<vendor>`."""

    def control(self, action: str, arguments: dict[str, Any]) -> Any:
        """A vendor's own test control (`POST /_control/<vendor>/<action>`); KeyError for an unknown one."""
        raise KeyError(action)

    def fault(self, name: str) -> bool:
        """Whether this vendor's fault of that name happens now."""
        return self.faults.take(f"{self.name}.{name}")


def parse_query(text: str) -> dict[str, list[str]]:
    """A query string as a mapping, blank values kept."""
    return parse_qs(text, keep_blank_values=True)
