"""How numbers, sizes, times and shares read on a page: pure functions, no template and no database."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

NOTHING = "—"
THIN = "\u202f"
MINUS = "\u2212"

MINUTE, HOUR, DAY = 60, 3600, 86400
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BYTE_UNITS = ("kB", "MB", "GB", "TB", "PB")
_LONGEST_RELATIVE = 30 * DAY


def as_number(value: object) -> int | float | None:
    """The number in `value`, or None when there is none. A bool is no number: it is never a count."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    try:
        return int(str(value))
    except ValueError:
        return None


def format_count(value: object) -> str:
    """A whole number with thin spaces between the thousands, `984 581`; a dash when it is not known."""
    number = as_number(value)
    return NOTHING if number is None else f"{round(number):,}".replace(",", THIN).replace("-", MINUS)


def format_prose(value: object) -> str:
    """A sentence of ours with its numbers as all others on the page: `900 of 1,200` reads `900 of 1 200`."""
    return _THOUSANDS.sub(THIN, str(value))


def format_signed(value: object) -> str:
    """A change with its sign, `+12 408`, a true minus sign before a loss, none before nought."""
    number = as_number(value)
    if number is None:
        return NOTHING
    return f"+{format_count(number)}" if number > 0 else format_count(number)


def format_bytes(value: object) -> str:
    """A size in decimal units (1 kB = 1000 B), which is how every vendor states its limits."""
    number = as_number(value)
    if number is None:
        return NOTHING
    if number < 1000:
        return f"{round(number)}{THIN}B"
    power = next((power for power in range(1, len(_BYTE_UNITS)) if number < 999.5 * 1000**power), len(_BYTE_UNITS))
    size = number / 1000**power
    return f"{size:.{1 if size < 99.95 else 0}f}".removesuffix(".0") + f"{THIN}{_BYTE_UNITS[power - 1]}"


def format_duration(value: object) -> str:
    """Seconds or a timedelta in its two largest units: `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    number = value.total_seconds() if isinstance(value, timedelta) else as_number(value)
    if number is None:
        return NOTHING
    left, words = max(0, round(number)), []
    for length, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")):
        amount, left = divmod(left, length)
        if amount:
            words.append(f"{amount}{THIN}{unit}")
        elif words:
            break
    return " ".join(words[:2]) or f"0{THIN}s"


def format_share(value: object) -> str:
    """A share of one as a percentage that never lies at its ends: only all is 100 % and only none is 0 %."""
    number = as_number(value)
    if number is None:
        return NOTHING
    share = min(max(float(number), 0.0), 1.0)
    percent = share * 100
    if 0 < percent < 0.1:
        return f"<{THIN}0.1{THIN}%"
    shown = round(percent, 1)
    if shown >= 100 and share < 1:
        shown = 99.9
    return f"{shown:.1f}".removesuffix(".0") + f"{THIN}%"


def as_utc(moment: datetime) -> datetime:
    """`moment` in UTC; one without a zone is taken to be UTC already, as all we store is."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def format_absolute(moment: datetime) -> str:
    """The whole moment in UTC, `22 Nov 2026, 04:47:12 UTC`."""
    utc = as_utc(moment)
    return f"{utc.day} {utc:%b %Y, %H:%M:%S} UTC"


def format_moment(moment: datetime | None) -> str:
    """The whole moment in UTC, a dash where there is none: for what is printed."""
    return NOTHING if moment is None else format_absolute(moment)


def format_relative(moment: datetime, now: datetime) -> str:
    """How far `moment` is from `now`, in words; beyond thirty days the date. `static/js/app.js` says the same."""
    seconds = (as_utc(now) - as_utc(moment)).total_seconds()
    distance = abs(seconds)
    if distance >= _LONGEST_RELATIVE:
        utc = as_utc(moment)
        return f"{utc.day} {utc:%b %Y}"
    if distance < 5:
        return "just now"
    words = _distance(distance)
    return f"{words} ago" if seconds > 0 else f"in {words}"


def format_days_away(day: date | None) -> str:
    """How many days a day is away, in words. It is a day of the calendar in UTC: it has no hour to count down to."""
    if day is None:
        return NOTHING
    days = (day - datetime.now(UTC).date()).days
    if abs(days) <= 1:
        return ("yesterday", "today", "tomorrow")[days + 1]
    return f"in {days}{THIN}days" if days > 0 else f"{-days}{THIN}days ago"


def _distance(seconds: float) -> str:
    for length, unit in ((DAY, "day"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= length:
            amount = int(seconds // length)
            plural = "s" if unit == "day" and amount != 1 else ""
            return f"{amount}{THIN}{unit}{plural}"
    return f"{int(seconds)}{THIN}s"
