"""In-memory stand-ins for the services that the product gives a connector."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from audsync_web.vendors.connectors.base import (
    Clock,
    Intent,
    LoginCall,
    Services,
    Token,
)
from audsync_web.vendors.connectors.errors import NotYet


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
        self.waits = 0

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

    def waiting(self) -> None:
        self.waits += 1


def services(clock: Clock | None = None, *, allow_private_hosts: bool = True) -> Services:
    """Fresh in-memory services on one clock."""
    shared = clock or RealClock()
    return Services(InMemoryTokens(shared), InMemoryPacer(shared), shared, allow_private_hosts, "AudSync-tests")
