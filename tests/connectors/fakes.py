"""In-memory stand-ins for what the product gives a connector, and a small engine that walks a delivery to its end."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from audsync_web.vendors.connectors.base import (
    CannotTell,
    Clock,
    Connector,
    DeliveryContext,
    Found,
    Intent,
    LoginCall,
    Mode,
    PartRef,
    RemoteSegment,
    RemoteState,
    SegmentRef,
    SegmentSpec,
    SegmentState,
    Services,
    Token,
)
from audsync_web.vendors.connectors.errors import NotYet, Transient, UnknownOutcome
from audsync_web.vendors.connectors.fields import AccountConfig, read_values
from audsync_web.vendors.connectors.formats import LineFormat, Op

Row = tuple[Op, str]


class MovableClock:
    """A clock that stands still until it is moved. A sandbox's own clock (`box.context.clock`) serves as well."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 11, 22, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class RealClock:
    """The real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class InMemoryTokens:
    """A token cache behind a lock, with a count of the logins that it caused."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or RealClock()
        self.stored: dict[str, Token] = {}
        self.logins = 0
        self._lock = threading.Lock()

    def current(self, key: str) -> str | None:
        token = self.stored.get(key)
        return token.value if token is not None and token.renew_at > self.clock.now() else None

    def renew(self, key: str, stale: str | None, login: LoginCall) -> str:
        with self._lock:
            present = self.current(key)
            if present is not None and present != stale:
                return present
            self.logins += 1
            self.stored[key] = token = login()
            return token.value

    def forget(self, key: str) -> None:
        self.stored.pop(key, None)


class InMemoryPacer:
    """Never sleeps: notes every request's place, and refuses what is paused."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or RealClock()
        self.taken: list[tuple[str, float, int]] = []
        self.pauses: dict[str, tuple[datetime, str]] = {}
        self.under_way: dict[str, int] = {}

    def take(self, key: str, *, per_second: float, burst: int = 1) -> None:
        self.check(key)
        self.taken.append((key, per_second, burst))

    @contextmanager
    def inside(self, key: str, *, places: int) -> Iterator[None]:
        if self.under_way.get(key, 0) >= places:
            raise NotYet("Too many calls are under way.", retry_after=1)
        self.under_way[key] = self.under_way.get(key, 0) + 1
        try:
            yield
        finally:
            self.under_way[key] -= 1

    def pause(self, key: str, seconds: float, reason: str) -> None:
        self.pauses[key] = (self.clock.now() + timedelta(seconds=seconds), reason)

    def check(self, key: str) -> None:
        until, reason = self.pauses.get(key, (self.clock.now(), ""))
        left = (until - self.clock.now()).total_seconds()
        if left > 0:
            raise NotYet(reason, retry_after=left)


class RecordingJournal:
    """Keeps every intent and outcome in order. `part` and `delivery` are the memories that outcomes are merged into."""

    def __init__(
        self,
        clock: Clock | None = None,
        part: MutableMapping[str, Any] | None = None,
        delivery: MutableMapping[str, Any] | None = None,
    ) -> None:
        self.clock = clock or RealClock()
        self.part: MutableMapping[str, Any] = {} if part is None else part
        self.delivery: MutableMapping[str, Any] = {} if delivery is None else delivery
        self.intent: Intent | None = None
        self.events: list[tuple[str, Any]] = []
        self.beats = 0

    def intend(self, step: str, **detail: Any) -> None:
        json.dumps(detail)  # what cannot be stored must not pass here either
        self.intent = Intent(step, self.clock.now(), detail)
        self.events.append(("intend", step))

    def settle(self, *, part: Mapping[str, Any] | None = None, delivery: Mapping[str, Any] | None = None) -> None:
        json.dumps([dict(part or {}), dict(delivery or {})])
        self.part.update(part or {})
        self.delivery.update(delivery or {})
        self.intent = None
        self.events.append(("settle", dict(part or {})))

    def alive(self) -> None:
        self.beats += 1


@dataclass
class FilePayload:
    """A part from bytes or from a file."""

    content: bytes | Path
    number: int = 1
    lines: int = 0
    adds: int = 0
    removes: int = 0
    listed: Sequence[Row] = ()
    memory: Mapping[str, Any] = field(default_factory=dict)
    bytes: int = 0
    md5: str = ""

    def __post_init__(self) -> None:
        whole = self.content.read_bytes() if isinstance(self.content, Path) else self.content
        self.bytes = len(whole)
        self.md5 = hashlib.md5(whole, usedforsecurity=False).hexdigest()

    def open(self) -> BinaryIO:
        return self.content.open("rb") if isinstance(self.content, Path) else io.BytesIO(self.content)

    def rows(self) -> Sequence[Row]:
        return self.listed

    def ref(self, state: RemoteState, sent_at: datetime | None) -> PartRef:
        """The part as the engine knows it once it was sent."""
        return PartRef(
            self.number, state.job_id, sent_at, self.lines, self.adds, self.removes, self.bytes, self.md5, self.memory
        )


# --- accounts, segments, deliveries --------------------------------------------------------------------------------


def account_config(
    connector: type[Connector],
    base_url: str,
    credentials: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
) -> AccountConfig:
    """A vendor account from its connector's declared fields, checked the way the product checks it."""
    config = AccountConfig(
        connector.vendor,
        base_url,
        read_values(connector.fields, "credentials", credentials),
        read_values(connector.fields, "settings", settings or {}),
    )
    connector.validate(config)
    return config


def services(clock: Clock | None = None, *, allow_private_hosts: bool = True) -> Services:
    """Fresh in-memory services on one clock."""
    shared = clock or RealClock()
    return Services(InMemoryTokens(shared), InMemoryPacer(shared), shared, allow_private_hosts, "AudSync-tests")


def segment_spec(technical_name: str = "aud_k7q2_11107", **changes: Any) -> SegmentSpec:
    """The segment that tests create."""
    values: dict[str, Any] = {"name": "Lapsed buyers", "duration_days": 90, **changes}
    return SegmentSpec(technical_name, **values)


def segment_ref(remote: RemoteSegment, spec: SegmentSpec, *, published: bool | None = None) -> SegmentRef:
    """Our side of a remote segment."""
    live = remote.state is SegmentState.PUBLISHED if published is None else published
    return SegmentRef(
        remote.remote_id, spec.technical_name, spec.name, spec.duration_days, live, remote.created_at, remote.memory
    )


def delivery_context(
    segment: SegmentRef,
    identifier: str,
    clock: Clock,
    *,
    mode: Mode = "replace",
    number: int = 1,
    days: int | None = 90,
    neighbours: Sequence[str] = (),
) -> DeliveryContext:
    """A delivery planned now; its memory is a dict that a `RecordingJournal(delivery=…)` may write to."""
    now = clock.now()
    ends_at = None if days is None else now + timedelta(days=days)
    return DeliveryContext(
        f"delivery-{number}", number, segment, identifier, mode, now, ends_at, tuple(neighbours), memory={}
    )


# --- parts -----------------------------------------------------------------------------------------------------------


def additions(identifiers: Sequence[str]) -> list[Row]:
    """Rows that add, in byte order as the engine has them."""
    return [(Op.ADD, value) for value in sorted(identifiers, key=str.encode)]


def make_parts(
    connector: Connector, delivery: DeliveryContext, rows: Sequence[Row], held_by: Mapping[str, int] | None = None
) -> list[FilePayload]:
    """The parts of a delivery by the connector's rules and format: slow and simple, to compare with."""
    rules, shape = connector.part_rules(delivery), connector.line_format(delivery)
    groups = [list(rows)]
    if rules.split_operations and not rules.whole_list:
        removals = [row for row in rows if row[0] is Op.REMOVE]
        others = [row for row in rows if row[0] is not Op.REMOVE]
        groups = [removals, others] if rules.removals_first else [others, removals]
    parts: list[FilePayload] = []
    for group in groups:
        most = rules.max_lines
        if rules.split_operations and rules.max_removals and group and group[0][0] is Op.REMOVE:
            most = min(most or rules.max_removals, rules.max_removals)
        for chunk in _chunks(group, shape, None if rules.whole_list else most, rules.max_bytes, held_by or {}):
            parts.append(_payload(len(parts) + 1, chunk, shape, held_by or {}))
    return parts


def _line(row: Row, shape: LineFormat, held_by: Mapping[str, int]) -> bytes:
    wrap = shape.wrap(row[0], held_by.get(row[1], 0))
    text = json.dumps(row[1], ensure_ascii=False)[1:-1] if shape.escape == "json" else row[1]
    return wrap.prefix + text.encode(shape.encoding) + wrap.suffix


def _body(rows: Sequence[Row], shape: LineFormat, held_by: Mapping[str, int]) -> bytes:
    lines = shape.separator.join(_line(row, shape, held_by) for row in rows)
    return shape.opening + lines + (shape.separator if shape.final_separator and rows else b"") + shape.closing


def _chunks(
    rows: Sequence[Row], shape: LineFormat, most: int | None, largest: int | None, held_by: Mapping[str, int]
) -> Iterator[list[Row]]:
    empty = len(shape.opening) + len(shape.closing)
    chunk: list[Row] = []
    size = empty
    for row in rows:
        # The last separator may be absent; counting it for every line but the first gives the exact size either way.
        line = len(_line(row, shape, held_by)) + (len(shape.separator) if chunk or shape.final_separator else 0)
        full = most is not None and len(chunk) >= most
        if chunk and (full or (largest is not None and size + line > largest)):
            yield chunk
            chunk, size = [], empty
            line = len(_line(row, shape, held_by)) + (len(shape.separator) if shape.final_separator else 0)
        chunk.append(row)
        size += line
    if chunk:
        yield chunk


def _payload(number: int, rows: Sequence[Row], shape: LineFormat, held_by: Mapping[str, int]) -> FilePayload:
    plain = _body(rows, shape, held_by)
    removes = sum(1 for op, _ in rows if op is Op.REMOVE)
    return FilePayload(
        gzip.compress(plain, 1, mtime=0) if shape.gzip else plain,
        number=number,
        lines=len(rows),
        adds=len(rows) - removes,
        removes=removes,
        listed=list(rows),
    )


# --- a small engine --------------------------------------------------------------------------------------------------


class Undecidable(Exception):
    """A reconciliation that could not tell; a person would be asked."""

    def __init__(self, answer: CannotTell) -> None:
        super().__init__(answer.text)
        self.answer = answer


def _writable(memory: Mapping[str, Any]) -> MutableMapping[str, Any]:
    assert isinstance(memory, MutableMapping), "the journal merges outcomes into it"
    return memory


class MiniEngine:
    """Walks one delivery the way the product does: intent, send, reconcile after a lost answer, poll to the end.

    `advance` moves the time, for the vendor as well; `most_sends` bounds how often one part may be sent.
    """

    LOOKS = 2
    BETWEEN_LOOKS = 6.0

    def __init__(self, connector: Connector, advance: Callable[[float], None], *, most_sends: int = 4) -> None:
        self.connector = connector
        self.clock = connector.services.clock
        self.advance = advance
        self.most_sends = most_sends
        self.claimed: set[str] = set()
        self.sends = 0
        self.journals: list[RecordingJournal] = []

    def deliver(self, delivery: DeliveryContext, parts: Sequence[FilePayload]) -> list[RemoteState]:
        """Every part, one after the other, to its end."""
        return [self.follow(delivery, part, self.send(delivery, part)) for part in parts]

    def send(self, delivery: DeliveryContext, part: FilePayload) -> RemoteState:
        """One part, until the vendor has it exactly once."""
        journal = RecordingJournal(self.clock, _writable(part.memory), _writable(delivery.memory))
        self.journals.append(journal)
        for _ in range(self.most_sends):
            journal.intend("send")
            self.sends += 1
            try:
                state = self.connector.send_part(delivery, part, journal)
            except UnknownOutcome:
                found = self._look(delivery, part, journal)
                if found is None:
                    continue
                state = found
            except Transient as later:
                # Nothing was done at the vendor, so the part waits for its turn again.
                self.advance(later.retry_after or 2.0)
                continue
            journal.settle(part=state.memory)
            self.claimed.add(state.job_id)
            return state
        raise AssertionError(f"sent {self.most_sends} times without an outcome")

    def answered(self, delivery: DeliveryContext, part: FilePayload) -> tuple[RemoteState, RecordingJournal]:
        """One send whose answer is never stored, as if the worker died with it: what it was, and what was kept."""
        journal = RecordingJournal(self.clock, _writable(part.memory), _writable(delivery.memory))
        journal.intend("send")
        return self.connector.send_part(delivery, part, journal), journal

    def resume(self, delivery: DeliveryContext, part: FilePayload, journal: RecordingJournal) -> RemoteState:
        """What the next worker does with such a part: it looks where an intent stands, and sends where none does."""
        found = self._look(delivery, part, journal) if journal.intent else None
        return found or self.send(delivery, part)

    def _look(self, delivery: DeliveryContext, part: FilePayload, journal: RecordingJournal) -> RemoteState | None:
        assert journal.intent is not None, "the answer was lost, so an intent must stand"
        for _ in range(self.LOOKS):
            answer = self.connector.reconcile_part(delivery, part, journal.intent, frozenset(self.claimed))
            if isinstance(answer, Found):
                return answer.value
            if isinstance(answer, CannotTell):
                raise Undecidable(answer)
            self.advance(self.BETWEEN_LOOKS)
        return None

    def follow(self, delivery: DeliveryContext, part: FilePayload, state: RemoteState, most: int = 200) -> RemoteState:
        """Poll until the vendor's job has ended; the time between looks is moved, not slept."""
        sent_at, polls = self.clock.now(), 0
        while not state.status.is_final:
            assert polls < most, f"no end after {polls} looks: {state.raw}"
            waited = (self.clock.now() - sent_at).total_seconds()
            self.advance(max(1.0, self.connector.next_poll(waited, polls)))
            state = self.connector.poll_part(delivery, part.ref(state, sent_at))
            _writable(part.memory).update(state.memory)
            polls += 1
        return state


# --- a server that answers anything ----------------------------------------------------------------------------------


@dataclass
class Canned:
    """One answer of a `CannedServer`; `drop` hangs up instead, `stall` waits before answering."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    stall: threading.Event | None = None


class CannedServer:
    """A local HTTP server that gives the same answer to everything and notes what it was asked."""

    def __init__(self, answer: Canned | Callable[[str, str], Canned]) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append((self.command, self.path, dict(self.headers.items()), body))
                canned = answer(self.command, self.path) if callable(answer) else answer
                if canned.stall is not None:
                    canned.stall.wait(60)
                if canned.drop:
                    self.close_connection = True
                    return
                self.send_response(canned.status)
                for name, value in canned.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(canned.body)))
                self.end_headers()
                self.wfile.write(canned.body)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> CannedServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
