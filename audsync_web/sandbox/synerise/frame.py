"""What the calls of this sandbox share: a call with its workspace, the table's rows, the vendor's error shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from audsync_web.sandbox.framework import Faults, Request, Response

from .world import Workspace

WORDS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Refused(Exception):
    """An error answer, body and all."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def refused(status: int, message: str, *, errors: Sequence[dict[str, Any]] = (), error: str = "") -> Refused:
    """Shape E1 (and E4, E5, whose items differ)."""
    body: dict[str, Any] = {"error": error or WORDS.get(status, "Error"), "status": status, "timestamp": _stamp()}
    return Refused(status, {**body, "path": "", "message": message, "errors": list(errors)})


def malformed(message: str) -> Refused:
    """Shape E2: version header, JSON that does not parse."""
    return Refused(400, {"timestamp": _stamp(), "status": 400, "error": WORDS[400], "message": message, "path": ""})


def absent(message: str) -> Refused:
    """Shape E4 for a tag or profile that is not there."""
    item = {"path": "", "timestamp": _stamp(), "errorCode": "404", "status": 404, "message": message, "traceId": "t-1"}
    return refused(404, message, errors=[item])


def analytics_refused(status: int, message: str) -> Refused:
    """Shape E6."""
    body = {"httpStatus": status, "errorCode": "120", "message": message, "timestamp": _stamp(), "traceId": "t-1"}
    return Refused(status, {**body, "help": ""})


def _stamp() -> str:
    return datetime.now(UTC).isoformat()


@dataclass
class Call:
    """One request that passed the gates: whose workspace, which values stand in the path, the parsed body."""

    request: Request
    faults: Faults
    now: datetime
    values: dict[str, str]
    workspace: Workspace = field(default_factory=lambda: Workspace(0, "", ""))
    body: Any = None
    size: int = 0
    digest: str = ""
    token: str = ""

    def on(self, name: str) -> bool:
        """Whether a switch of this vendor is on."""
        return self.faults.on(f"synerise.{name}")

    def number(self, name: str, default: float) -> float:
        """A switch of this vendor as a number."""
        return self.faults.number(f"synerise.{name}", default)

    def whole(self, name: str, default: int, *, most: int | None = None) -> int:
        """A query parameter as a number that is not negative, else 400."""
        raw = self.request.one(name)
        if not raw:
            return default
        if not raw.isdigit() or (most is not None and int(raw) > most):
            raise refused(400, f"{name} is out of range")
        return int(raw)

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """A query parameter within its enumeration, else 400."""
        value = self.request.one(name) or default
        if value not in allowed:
            raise refused(400, f"{name} must be one of {', '.join(allowed)}")
        return value


Version = Literal["required", "checked", "none"]


@dataclass(frozen=True)
class Operation:
    """A row of the table: `{name}` in a path takes any piece, `{name:int}` digits only.

    `effect` names the faults of a call that changes something. `version`: whether `Api-Version` must be there, or only
    right when it is there. `anyone` calls need no workspace token. `unconfirmed` paths can be switched off.
    """

    method: str
    path: str
    handle: Callable[[Call], Response]
    permission: str = ""
    effect: str = ""
    version: Version = "none"
    body: bool = False
    anyone: bool = False
    unconfirmed: bool = False

    def match(self, method: str, pieces: Sequence[str]) -> dict[str, str] | None:
        """The values of a path that fits, else None."""
        parts = self.path.strip("/").split("/")
        if method != self.method or len(parts) != len(pieces):
            return None
        values: dict[str, str] = {}
        for part, piece in zip(parts, pieces, strict=True):
            if not part.startswith("{"):
                if part != piece:
                    return None
                continue
            name, _, kind = part[1:-1].partition(":")
            if not piece or (kind == "int" and not piece.isdigit()):
                return None
            values[name] = piece
        return values
