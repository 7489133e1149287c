"""Progress of a stage, told to whoever asked, and the way to stop it: the callback raises."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a stage stands: bytes done of bytes in all (None: not known), and rows done."""

    stage: str
    bytes_done: int
    bytes_total: int | None
    rows: int


ProgressCallback = Callable[[Progress], None]


class Throttled:
    """Hands on at most one report every `seconds`, so that a stage may tell every block without a write for each."""

    def __init__(self, callback: ProgressCallback, seconds: float = 0.5) -> None:
        self._callback = callback
        self._seconds = seconds
        self._next = 0.0
        self._withheld: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now < self._next:
            self._withheld = progress
            return
        self._next = now + self._seconds
        self._withheld = None
        self._callback(progress)

    def flush(self) -> None:
        """Hand on the last report if it was withheld."""
        if self._withheld is not None:
            self._callback(self._withheld)
            self._withheld = None
