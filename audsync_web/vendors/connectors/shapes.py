"""What connectors and the engine around them hand to each other: plain values, protocols, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO, Generic, Literal, Protocol, TypeVar

from .formats import Op

Mode = Literal["replace", "add", "remove"]
T = TypeVar("T")


# --- segments ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SegmentSpec:
    """The segment we want a vendor to hold. `technical_name` is ours (design section 7.4) and never cut."""

    technical_name: str
    name: str
    duration_days: int
    type: str = "core"
    attempt: int = 1
    """2 and up when a person repeats a create whose answer was lost; only vendors that cannot be searched use it."""
    options: Mapping[str, Any] = field(default_factory=dict)


class SegmentState(StrEnum):
    """A remote segment, in our words. `UNKNOWN` is legal and keeps the vendor's own."""

    CREATED = "created"
    PUBLISHED = "published"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RemoteSegment:
    """A segment as the vendor shows it."""

    remote_id: str
    state: SegmentState
    raw_state: str = ""
    name: str = ""
    public_name: str = ""
    external_id: str = ""
    size: int | None = None
    created_at: datetime | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What the connector wants given back with this segment (a tag's numeric id, a data mart …)."""


@dataclass(frozen=True)
class SegmentRef:
    """Our side of a remote segment: what a connector needs to name it again."""

    remote_id: str
    technical_name: str
    name: str
    duration_days: int
    published: bool
    created_at: datetime | None
    memory: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """The destination's options as they are now; `SegmentSpec.options` are those it was created with."""


# --- deliveries and parts ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DeliveryContext:
    """One delivery as a connector sees it. What its lines depend on is fixed, so that parts re-make identically."""

    key: str
    number: int
    segment: SegmentRef
    identifier: str
    mode: Mode
    planned_at: datetime
    ends_at: datetime | None
    """When a member added now ends at the vendor; None where members do not end."""
    neighbours: Sequence[str] = ()
    """Remote ids of the account's other destinations, in the order of the `held_by` bits; empty where one is gone."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What `Journal.settle(delivery=…)` stored for this delivery."""
    written_at: datetime | None = None
    """When the part whose lines are wanted was last written to be sent; None where no part is at hand."""


@dataclass(frozen=True)
class Totals:
    """What a delivery would change, counted before anything is sent."""

    members: int
    adds: int
    renewed: int
    removes: int
    unchanged: int
    before: int | None = None
    """Members that the vendor has now; None where nobody counted."""

    @property
    def sent(self) -> int:
        """Rows that go out on a vendor fed with changes."""
        return self.adds + self.renewed + self.removes


@dataclass(frozen=True)
class PartRef:
    """A part that was sent: its number in the delivery and the vendor's job, with the connector's own memory of it."""

    number: int
    job_id: str
    sent_at: datetime | None
    lines: int
    adds: int
    removes: int
    bytes: int
    md5: str
    memory: Mapping[str, Any] = field(default_factory=dict)


class PartPayload(Protocol):
    """A finished part on disk. `open` gives the wire bytes as a stream from the start, as often as asked."""

    @property
    def number(self) -> int: ...

    @property
    def lines(self) -> int: ...

    @property
    def adds(self) -> int: ...

    @property
    def removes(self) -> int: ...

    @property
    def bytes(self) -> int: ...

    @property
    def md5(self) -> str: ...

    @property
    def memory(self) -> Mapping[str, Any]: ...

    def open(self) -> BinaryIO: ...

    def rows(self) -> Sequence[tuple[Op, str]]:
        """The part's identifiers; only for small parts (at most some thousands of rows)."""
        ...


class RemoteStatus(StrEnum):
    """A vendor job, in our words. The vendor's own word is kept beside it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STALLED = "stalled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the vendor will not change it any more."""
        return self in {RemoteStatus.SUCCEEDED, RemoteStatus.PARTIAL, RemoteStatus.FAILED, RemoteStatus.CANCELLED}


@dataclass(frozen=True)
class Refusal:
    """An identifier that the vendor took and refused: its row in the part (from 0), and why."""

    row: int
    reason: str


@dataclass(frozen=True)
class RemoteState:
    """What the vendor says about one part.

    SUCCEEDED acknowledges the part. `accepted` and `refused` are the vendor's counts (None: not told); identifiers that
    it took but did not know count as refused. PARTIAL means that part of it was never acknowledged.
    `report` is the vendor's own error file, private, at most 20 MiB.
    """

    status: RemoteStatus
    raw: str = ""
    job_id: str = ""
    accepted: int | None = None
    refused: int | None = None
    details: str | None = None
    next_step: str = ""
    progress: float | None = None
    refusals: Sequence[Refusal] = ()
    report: bytes | None = None
    suspect: str = ""
    """Set when the vendor's figures differ from ours: shown, and it blocks automatic publishing."""
    counters: Mapping[str, Any] = field(default_factory=dict)
    """The vendor's own figures, stored and shown as they are."""
    resend: bool = False
    """On a final status that is not SUCCEEDED: sending the same part once more is harmless and may mend it, so the
    engine sends it again before it settles. The connector sets it at most once a part."""
    perhaps: bool = False
    """On FAILED: some of it may have been done all the same, so that nobody knows who of the part is at the vendor."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """Merged into the part's memory, and given back with it at the next look."""


class Journal(Protocol):
    """Where a connector brackets its effectful calls. Each call commits before it returns."""

    def intend(self, step: str, **detail: Any) -> None:
        """Store that `step` is about to be called. Found later without an outcome, it leads to `reconcile_part`."""
        ...

    def settle(self, *, part: Mapping[str, Any] | None = None, delivery: Mapping[str, Any] | None = None) -> None:
        """Store the outcome (merged into the part's and the delivery's memory) and clear the intent."""
        ...

    def alive(self) -> None:
        """Renew the lease in a long call; raises when the job was taken away or cancelled."""
        ...

    def waiting(self) -> None:
        """Called once a part's bytes are out, while the vendor works on its answer: what comes next is got ready."""
        ...


@dataclass(frozen=True)
class Intent:
    """A stored intent without outcome: the call may or may not have been done."""

    step: str
    at: datetime
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Found(Generic[T]):
    """Reconciliation: the vendor has it; `value` is what the lost answer would have said."""

    value: T


@dataclass(frozen=True)
class Nothing:
    """Reconciliation: the vendor has nothing of it. The engine looks twice, five seconds apart, before it resends."""


@dataclass(frozen=True)
class CannotTell:
    """Reconciliation: no way to know; a person must decide. `text` and `next_step` are shown."""

    text: str
    next_step: str


@dataclass(frozen=True)
class Gate:
    """A rule that a send must pass, kept in the database under `key` across accounts, companies, workers and processes.

    `interval` is the least time in seconds between two sends; `exclusive` keeps everyone else out while the call runs
    ("call") or until the vendor's job has ended ("job"); `most_waiting` bounds the vendor jobs not yet ended.
    """

    key: str
    interval: float = 0.0
    exclusive: Literal["no", "call", "job"] = "no"
    most_waiting: int | None = None


class Confirmation(StrEnum):
    """Whether a delivery is seen to be live."""

    CONFIRMED = "confirmed"
    PENDING = "pending"
    UNVERIFIED = "unverified"
    REFUTED = "refuted"


@dataclass(frozen=True)
class ConfirmationState:
    """The answer of `confirm_delivery`; `text` is shown, `look_again` is in seconds while PENDING."""

    state: Confirmation
    text: str = ""
    look_again: float = 0.0
    memory: Mapping[str, Any] = field(default_factory=dict)


class Level(StrEnum):
    """How bad a finding is: green, amber, red."""

    OK = "ok"
    WARNING = "warning"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Finding:
    """One cell of the preflight: what was checked, how it stands, and the fix in words."""

    check: str
    level: Level
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a delivery would cost at the vendor: parts, bytes, wire lines, calls, seconds under its pace."""

    parts: int
    bytes: int
    lines: int
    calls: int
    seconds: float
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class AccountCheck:
    """The live check of an account: who we are there, what is missing, what to know."""

    text: str
    missing: Sequence[str] = ()
    warnings: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HistoryEntry:
    """One upload or job as the vendor lists it."""

    job_id: str
    state: RemoteState
    created_at: datetime | None
    updated_at: datetime | None = None
    lines: int | None = None
    bytes: int | None = None
    md5: str = ""
    segment_id: str = ""


# --- services given to a connector ---------------------------------------------------------------------------------


class Tokens(Protocol):
    """A sealed token cache, shared by all workers."""

    def current(self, key: str) -> str | None:
        """The stored token that is not due for renewal, or None."""

    def renew(self, key: str, stale: str | None, login: LoginCall) -> str:
        """A token other than `stale`: another worker's if one was stored meanwhile, else `login`'s, behind a lock."""

    def forget(self, key: str) -> None: ...


@dataclass(frozen=True)
class Token:
    """A token with the moment from which it must be renewed."""

    value: str = field(repr=False)
    renew_at: datetime


class LoginCall(Protocol):
    def __call__(self) -> Token: ...


class Pacer(Protocol):
    """Cross-process request pacing by quota scope."""

    def take(self, key: str, *, per_second: float, burst: int = 1) -> None:
        """Take one request's place: sleeps briefly, or raises `NotYet` when the wait is long."""

    def pause(self, key: str, seconds: float, reason: str) -> None:
        """Let nobody pass `key` for so long (a Retry-After, a quota)."""

    def check(self, key: str) -> None:
        """Raise `NotYet` when `key` is paused."""

    def inside(self, key: str, *, places: int) -> AbstractContextManager[None]:
        """One of `places` calls that may be under way at a time: waits briefly, or raises `NotYet`."""
        ...


class Clock(Protocol):
    def now(self) -> datetime: ...


@dataclass(frozen=True)
class Services:
    """What the product gives a connector to work with."""

    tokens: Tokens
    pacer: Pacer
    clock: Clock
    allow_private_hosts: bool = False
    user_agent: str = "AudSync"
    answer_within: float | None = None
    """Seconds that a person who waits before a page gives a read; None: as long as a job may wait."""
