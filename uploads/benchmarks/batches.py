"""`bench synerise`: members as batches through the whole delivery job, beside a plain loop over the same bodies."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uploads.engine.benchmarks import BenchRow

from . import sink
from .process import PROJECT, in_own_process

REFERENCE = "one requests session, ready bodies"
# How long the sink takes for a batch: nothing, as long as a quick server next door, and less than any vendor on the
# far side of a network does.
WAITS = {"sink answers at once": 0.0, "sink answers in 5 ms": 0.005, "sink answers in 50 ms": 0.05}


def bench_synerise(folder: Path, rows: int, repetitions: int = 3) -> list[BenchRow]:
    """Planned, sent batch by batch with cursor and bookkeeping, confirmed and folded into the acknowledged membership;
    beside posting the same bodies, ready in memory, to the same sink in the same run."""
    return [_bench(folder, rows, repetitions, name, wait) for name, wait in WAITS.items()]


def _bench(folder: Path, rows: int, repetitions: int, name: str, wait: float) -> BenchRow:
    with _sink(wait) as url, tempfile.TemporaryDirectory(dir=folder) as inner:
        found = in_own_process("delivery", Path(inner), url, rows, repetitions)
    ours, theirs = statistics.median(found["ours"]), statistics.median(found["theirs"])
    return BenchRow(f"synerise, {name}", REFERENCE, rows, ours, theirs, ours / theirs, found["peak_memory"])


@contextmanager
def _sink(wait: float) -> Iterator[str]:
    words = [sys.executable, "-m", sink.__name__, str(wait)]
    with subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # ours
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
