"""Progress of a stage, told to whoever asked, and the way to stop it: the callback raises."""

from __future__ import annotations

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
