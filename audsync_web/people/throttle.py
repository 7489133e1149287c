"""Wrong passwords are counted, for one e-mail from one address and for one address as a whole."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from audsync_web.jobs.kinds import on_housekeeping

from .models import LoginThrottle, normal_email

WINDOW = timedelta(minutes=5)
PER_PAIR = 8
PER_ADDRESS = 60


class TooManyTries(Exception):
    """No more tries for `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{seconds} s")
        self.seconds = seconds


def count_try(address: str | None, email: str) -> None:
    """Count a try before its password is looked at, so that many at once cannot slip through.

    Raises `TooManyTries` when the window is full; `forgive` takes the count back after a right password.
    """
    for key, limit in _keys(address, email):
        _count(key, limit)


def forgive(address: str | None, email: str) -> None:
    """The password was right: the pair starts anew, and this try is not counted against the address."""
    (pair, _), (whole, _) = _keys(address, email)
    LoginThrottle.objects.filter(key=pair).delete()
    LoginThrottle.objects.filter(key=whole, failures__gt=0).update(failures=Greatest(F("failures") - 1, 0))


def _keys(address: str | None, email: str) -> tuple[tuple[str, int], tuple[str, int]]:
    # Keyed hashes: the table must not become a list of who tried to log in from where.
    pair = salted_hmac("audsync.login.pair", f"{address}|{normal_email(email)}", algorithm="sha256").hexdigest()
    whole = salted_hmac("audsync.login.address", str(address), algorithm="sha256").hexdigest()
    return (pair, PER_PAIR), (whole, PER_ADDRESS)


def _count(key: str, limit: int) -> None:
    now = timezone.now()
    LoginThrottle.objects.get_or_create(key=key, defaults={"window_ends_at": now + WINDOW})
    row = LoginThrottle.objects.filter(key=key)
    row.filter(window_ends_at__lte=now).update(failures=0, window_ends_at=now + WINDOW)
    if not row.filter(failures__lt=limit).update(failures=F("failures") + 1):
        ends = row.values_list("window_ends_at", flat=True).first() or now
        raise TooManyTries(max(1, round((ends - now).total_seconds())))


@on_housekeeping
def forget_old_windows() -> None:
    """Delete counts whose window has ended."""
    LoginThrottle.objects.filter(window_ends_at__lt=timezone.now() - WINDOW).delete()
