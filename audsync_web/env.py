"""Typed readers of environment variables. An unreadable value stops the start with one clear line."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "", *, source: Mapping[str, str] = os.environ) -> str:
    """The variable's text, or that of the file named by `<NAME>_FILE` (for secrets mounted as files)."""
    path = source.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names a file that cannot be read: {error.strerror}.") from error
    return source.get(name, default).strip()


def boolean(name: str, default: bool, *, source: Mapping[str, str] = os.environ) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off; anything else is an error, never a guess."""
    raw = source.get(name)
    if raw is None:
        return default
    word = raw.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0 (true or false), not {raw!r}.")


def integer(name: str, default: int, *, minimum: int = 0, source: Mapping[str, str] = os.environ) -> int:
    """A whole number of at least `minimum`."""
    raw = source.get(name, "").strip()
    if not raw:
        return default
    try:
        number = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {raw!r}.") from None
    if number < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}, not {number}.")
    return number


def words(name: str, default: tuple[str, ...] = (), *, source: Mapping[str, str] = os.environ) -> list[str]:
    """A comma-separated list, empty items dropped."""
    raw = text(name, source=source)
    return [word.strip() for word in raw.split(",") if word.strip()] if raw else list(default)


def kept_secret(path: Path, make: str) -> str:
    """The secret kept in `path`; when there is none yet, `make` is written there, readable by the owner only."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Another process of the same start made it a moment ago; give it the time to finish writing.
        return _wait_for(path)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(make)
    return make


def _wait_for(path: Path) -> str:
    for _ in range(50):
        found = path.read_text(encoding="ascii").strip()
        if found:
            return found
        time.sleep(0.02)
    raise ImproperlyConfigured(f"The secret in {path.name} is empty; delete the file and start again.")
