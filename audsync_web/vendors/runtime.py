"""What connectors are given to work with: pacing, sealed tokens, the clock; and how a live connector is obtained."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.jobs.leases import worker_name

from .connectors.base import Connector, Gate, LoginCall, Services
from .connectors.errors import NotYet
from .connectors.fields import AccountConfig
from .connectors.registry import connector_class
from .models import SealedToken, VendorAccount

LOGIN_LIFETIME = timedelta(seconds=60)
# Another machine's worker that died within a call leaves its place free after so long; no call with its repeats, as an
# export's pages are read, takes longer.
CALL_LIFETIME = timedelta(minutes=10)
LONGEST_LOGIN_WAIT = 30.0
UNPACED_LOOK = 0.25
GATE_LIFETIME = {"call": timedelta(hours=2), "job": timedelta(hours=50)}


class DatabasePacer:
    """Request pacing in the database.

    A key that is not paced is looked up now and then only, for a pause that another worker was asked for.
    """

    def __init__(self) -> None:
        self._look_at: dict[str, float] = {}

    def take(self, key: str, *, per_second: float, burst: int = 1) -> None:
        """Take one request's place; sleeps briefly, raises `NotYet` for long waits."""
        now = time.monotonic()
        if per_second >= quotas.UNPACED_PER_SECOND:
            if now < self._look_at.get(key, 0.0):
                return
            self._look_at[key] = now + UNPACED_LOOK
        try:
            quotas.take(key, per_second=per_second, burst=burst)
        except quotas.MustWait as wait:
            self._look_at.pop(key, None)
            raise NotYet(wait.reason, retry_after=wait.seconds) from None

    def pause(self, key: str, seconds: float, reason: str) -> None:
        """Let nobody pass `key` for so long."""
        self._look_at.pop(key, None)
        quotas.pause(key, seconds, reason)

    def check(self, key: str) -> None:
        """Raise `NotYet` while `key` is paused."""
        try:
            quotas.refuse_paused(key)
        except quotas.MustWait as wait:
            raise NotYet(wait.reason, retry_after=wait.seconds) from None

    @contextmanager
    def inside(self, key: str, *, places: int) -> Iterator[None]:
        """Be one of at most `places` calls under way; waits briefly, raises `NotYet` when all stay taken."""
        holder = f"{worker_name()}:{uuid.uuid4().hex[:16]}"
        try:
            quotas.take_one_of(key, holder, places=places, keep=CALL_LIFETIME)
        except quotas.MustWait as wait:
            raise NotYet(wait.reason, retry_after=wait.seconds) from None
        try:
            yield
        finally:
            quotas.leave(holder)


def enter_gates(gates: Iterator[Gate] | tuple[Gate, ...] | list[Gate], holder: str) -> None:
    """Pass every gate as `holder`, or none: raises `NotYet` when one is closed."""
    try:
        for gate in gates:
            keep = None if gate.exclusive == "no" else GATE_LIFETIME[gate.exclusive]
            quotas.enter(gate.key, holder, interval=gate.interval, keep=keep)
    except quotas.MustWait as wait:
        quotas.leave(holder)
        raise NotYet(wait.reason, retry_after=wait.seconds) from None


class DatabaseTokens:
    """The sealed token cache: one login at a time for each key, whoever asks.

    What was read once is not read and unsealed again for every call of a connector, which lives for a slice. One that
    was renewed elsewhere meanwhile is refused by the vendor, and `renew` then finds the newer one.
    """

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, datetime]] = {}

    def current(self, key: str) -> str | None:
        """The stored token that is not due for renewal."""
        token, renew_at = self._read.get(key, ("", None))
        return token if renew_at is not None and renew_at > timezone.now() else self._stored(key)

    def _stored(self, key: str) -> str | None:
        row = SealedToken.objects.filter(key=key, value__isnull=False, renew_at__gt=timezone.now()).first()
        if row is None:
            self._read.pop(key, None)
            return None
        self._read[key] = (str(row.value), row.renew_at)
        return str(row.value)

    def renew(self, key: str, stale: str | None, login: LoginCall) -> str:
        """Another worker's newer token, else `login`'s, behind a lock that ends by itself."""
        SealedToken.objects.get_or_create(key=key)
        holder = uuid.uuid4().hex
        deadline = time.monotonic() + LONGEST_LOGIN_WAIT
        while True:
            found = self._stored(key)
            if found is not None and found != stale:
                return found
            if self._lock(key, holder):
                return self._login(key, stale, holder, login)
            if time.monotonic() > deadline:
                raise NotYet("Another job is logging in at this vendor.", retry_after=5.0)
            time.sleep(0.05)

    def _lock(self, key: str, holder: str) -> bool:
        now = timezone.now()
        free = Q(login_until__isnull=True) | Q(login_until__lt=now)
        rows = SealedToken.objects.filter(free, key=key)
        return bool(rows.update(login_holder=holder, login_until=now + LOGIN_LIFETIME))

    def _login(self, key: str, stale: str | None, holder: str, login: LoginCall) -> str:
        mine = SealedToken.objects.filter(key=key, login_holder=holder)
        try:
            # It may have been renewed between the look and the lock.
            found = self._stored(key)
            if found is not None and found != stale:
                return found
            token = login()
            mine.update(value=token.value, renew_at=token.renew_at)
            self._read[key] = (token.value, token.renew_at)
            return token.value
        finally:
            mine.update(login_holder="", login_until=None)

    def forget(self, key: str) -> None:
        """Drop a token that the vendor no longer takes."""
        self._read.pop(key, None)
        SealedToken.objects.filter(key=key).update(value=None, renew_at=timezone.now())


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment in UTC."""
        return timezone.now()


def connector_services(answer_within: float | None = None) -> Services:
    """The services given to every connector; `answer_within` where a person waits for its reads."""
    return Services(
        tokens=DatabaseTokens(),
        pacer=DatabasePacer(),
        clock=SystemClock(),
        allow_private_hosts=settings.ALLOW_PRIVATE_VENDOR_HOSTS,
        user_agent=f"AudSync/{settings.VERSION}",
        answer_within=answer_within,
    )


def account_config(account: VendorAccount) -> AccountConfig:
    """A stored account as its connector sees it."""
    return AccountConfig(account.vendor, account.base_url, dict(account.credentials), dict(account.settings))


def build_connector(config: AccountConfig, *, answer_within: float | None = None) -> Connector:
    """A live connector for checked values."""
    return connector_class(config.vendor)(config, connector_services(answer_within))


@contextmanager
def connector_for(account: VendorAccount, *, answer_within: float | None = None) -> Iterator[Any]:
    """A live connector for a stored account, its connections closed afterwards.

    `answer_within` bounds the seconds of each read, for a person who waits before a page.
    """
    connector = build_connector(account_config(account), answer_within=answer_within)
    try:
        yield connector
    finally:
        connector.close()
