"""`bench history`: every list and filter of a long history, beside the 200 ms that a person may be kept waiting."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from uploads.engine.benchmarks import BenchRow

from .process import in_own_process

ALLOWED_SECONDS = 0.2
REFERENCE = "200 ms"


def bench_history(folder: Path, rows: int, repetitions: int = 3) -> list[BenchRow]:
    """So many uploads and deliveries of one company; whole answers of pages and REST lists, medians.

    In SQLite, and where DATABASE_URL names a server, in a database that is made there for it and dropped afterwards.
    """
    found = _measured(folder, rows, repetitions, server=False, label="SQLite")
    if os.environ.get("DATABASE_URL"):
        found += _measured(folder, rows, repetitions, server=True, label="server")
    return found


def _measured(folder: Path, rows: int, repetitions: int, *, server: bool, label: str) -> list[BenchRow]:
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        told = in_own_process("history_lists", Path(inner), rows, repetitions, server=server)
    return [_row(f"{label}: {name}", rows, seconds, told["peak_memory"]) for name, seconds in told["seconds"].items()]


def _row(name: str, rows: int, seconds: float, peak_memory: int) -> BenchRow:
    return BenchRow(name, REFERENCE, rows, seconds, ALLOWED_SECONDS, seconds / ALLOWED_SECONDS, peak_memory)
