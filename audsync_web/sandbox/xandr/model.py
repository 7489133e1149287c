"""What the Xandr sandbox holds: members and their batch configuration, segments, jobs, and the values of its choice.

Where the vendor is silent a value is this sandbox's own choice; all of those stand in this module (spec section 13).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from audsync_web.sandbox.framework import Clock, Faults, Response

DEMO_MEMBER = 7702
PARTNER_MEMBER = 8110
DEMO_CREDENTIALS = {"username": "sandbox_api_user", "password": "Only-4-the-sandbox"}
DEMO_SETTINGS: dict[str, Any] = {
    "memberId": DEMO_MEMBER,
    "identifier": "xandr_id",
    "uploadHosts": ["127.0.0.1", "localhost"],
    "minSecondsBetweenUploads": 3,
    "newSegmentWaitMinutes": 0.1,
    "pollFirstSeconds": 1,
    "pollMaxSeconds": 10,
    "requestsPerSecond": 20,
}
"""Settings that suit the sandbox's short times; with the fault `xandr.vendor_times` the vendor's own are needed."""

LONGEST_MINUTES = 259_200
HIGHEST_VALUE = 2_147_483_647
MOST_SEGMENTS_A_LINE = 1800
MOST_FILE_BYTES = 500_000_000
URL_SECONDS = 300
UPLOAD_MINUTES = 90
MOST_WAITING = 200
HISTORY_DAYS = 30
PAGE = 100

IDLE_SECONDS = 2 * 3600
LOGIN_SECONDS = 24 * 3600
LOGIN_WINDOW = 300
MOST_LOGINS = 10
CLIENT_LOGINS = 5
"""What a careful client caps itself at (spec section 12, rule 3)."""

WAITING_ERROR = "LIMIT"
BAD_MEDIA_STATUS = 415
DEAD_URL_STATUS = 410
SHORT_TIMES = {"propagation": 5.0, "upload_interval": 2.0, "validating": 2.0, "processing": 2.0}
VENDOR_TIMES = {"propagation": 1200.0, "upload_interval": 60.0, "validating": 300.0, "processing": 480.0}

TIMESTAMP = "%Y-%m-%d %H:%M:%S"


def shown_time(moment: datetime | None) -> str | None:
    """A moment in the vendor's layout, UTC."""
    return moment.strftime(TIMESTAMP) if moment else None


class Refused(Exception):
    """An error answer of an API host."""

    def __init__(self, error_id: str, text: str, *, code: str | None = None, status: int = 400) -> None:
        super().__init__(text)
        self.error_id = error_id
        self.text = text
        self.code = code
        self.status = status

    def response(self, service: str, method: str) -> Response:
        """The error envelope (spec section 2.2)."""
        body: dict[str, Any] = {
            "error_id": self.error_id,
            "error": self.text,
            "error_description": None,
            "error_code": self.code,
            "service": service,
            "method": method,
            "dbg_info": {},
        }
        return Response.of({"response": body}, self.status)


@dataclass
class MemberConfig:
    """A member's batch configuration (spec section 9)."""

    member_id: int
    separators: tuple[str, str, str, str, str] = (";", ",", ":", "\t", "^")
    segment_fields: tuple[str, ...] = ("SEG_ID", "EXPIRATION", "VALUE")
    default_expiration: int = LONGEST_MINUTES
    use_external_uids: bool = False
    member_segment_access: tuple[int, ...] = ()
    hourly_byte_limit: int = 3_500_000_000
    daily_byte_limit: int = 10_000_000_000
    hourly_num_lines_limit: int = 100_000_000
    daily_num_lines_limit: int = 400_000_000
    max_concurrent_uploads: int = 1
    num_error_log_lines: int = 200
    num_invalid_before_error: int = 5_000_000


@dataclass
class Segment:
    """A segment with its stored members: key → (identifier as it came, the moment it ends)."""

    id: int
    member_id: int
    code: str | None
    short_name: str
    description: str | None
    state: str
    expire_minutes: int | None
    created_at: datetime
    last_modified: datetime
    members: dict[str, tuple[str, float]] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    """Writable fields that the sandbox only remembers."""

    def current(self, now: datetime) -> list[str]:
        """Identifiers of the members that have not ended."""
        moment = now.timestamp()
        return [spelled for spelled, ends in self.members.values() if ends > moment]


@dataclass
class Job:
    """One batch segment upload job; times are filled in when the upload is over."""

    id: int
    job_id: str
    member_id: int
    secret: str
    created_at: datetime
    superseded: bool = False
    used: bool = False
    started_at: datetime | None = None
    uploaded_at: datetime | None = None
    validated_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    fails_in: str = ""
    error_code: str | int | None = None
    error_log: str | None = None
    answer_lost: bool = False
    """Its upload broke off, and nobody has asked for its phase since."""
    wire_bytes: int = 0
    lines: int = 0
    sha256: str = ""
    counters: dict[str, int] = field(default_factory=dict)
    added: dict[int, int] = field(default_factory=dict)
    removed: dict[int, int] = field(default_factory=dict)
    operations: list[Any] = field(default_factory=list)
    """What is still to be applied to the stored memberships."""

    def phase(self, now: datetime) -> str:
        """The phase at a moment (spec section 5)."""
        if self.failed_at and now >= self.failed_at:
            return "error"
        if self.uploaded_at is None:
            return "uploading" if self.started_at else "starting"
        if self.validated_at is None or now < self.validated_at:
            return "validating"
        if self.completed_at is None or now < self.completed_at:
            return "processing"
        return "completed"

    def is_waiting(self, now: datetime) -> bool:
        """Uploaded, and not yet at its end."""
        return self.uploaded_at is not None and self.phase(now) not in {"completed", "error"}

    def last_modified(self, now: datetime) -> datetime:
        """The latest change that has happened by now."""
        moments = (
            self.created_at,
            self.started_at,
            self.uploaded_at,
            self.validated_at,
            self.completed_at,
            self.failed_at,
        )
        return max(moment for moment in moments if moment and moment <= now)


@dataclass
class World:
    """Everything behind one lock, with the switches and the clock."""

    clock: Clock
    faults: Faults
    lock: threading.RLock
    users: dict[str, tuple[str, frozenset[int]]] = field(default_factory=dict)
    configs: dict[int, MemberConfig] = field(default_factory=dict)
    segments: dict[int, Segment] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    jobs: dict[str, Job] = field(default_factory=dict)
    unknown_users: set[str] = field(default_factory=set)
    next_segment: int = 4_410_021
    next_job: int = 61_200_417

    def now(self) -> datetime:
        """The vendor's present moment."""
        return self.clock.now()

    def on(self, name: str) -> bool:
        """Whether a switch is set, without using it up."""
        return self.faults.on(f"xandr.{name}")

    def take(self, name: str) -> bool:
        """Whether a fault happens now."""
        return self.faults.take(f"xandr.{name}")

    def text(self, name: str, default: str = "") -> str:
        """A switch's text."""
        return self.faults.get(f"xandr.{name}", default)

    def number(self, name: str, default: float) -> float:
        """A switch's number."""
        return self.faults.number(f"xandr.{name}", default)

    def seconds(self, name: str) -> float:
        """A duration: its own switch, else the vendor's with `vendor_times`, else a short one for the demo."""
        times = VENDOR_TIMES if self.on("vendor_times") else SHORT_TIMES
        return self.number(f"{name}_seconds", times[name])

    @property
    def impbus(self) -> bool:
        """Whether the sandbox answers as the Impbus host."""
        return self.text("host", "console") == "impbus"

    @property
    def strict(self) -> bool:
        """Whether what is unconfirmed is refused instead of only noted."""
        return self.on("strict")
