"""`bench synerise`: members as batches through the whole delivery job, beside a plain loop over the same bodies."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from uploads.engine.benchmarks import BenchRow

from . import sink
from .process import PROJECT, in_own_process

REFERENCE = "one requests session, ready bodies"
# The sandbox checks each profile, as whoever takes profiles must, and puts them away. The bare sinks do nothing with
# a batch: they answer at once, as slowly as a quick server next door, and as one on the far side of a network does.
BOX = ("manage.py", "sandbox", "--port", "0", "--fault", "synerise.ignore_batches=on")
BARE = ("-m", sink.__name__)
SINKS = {
    "the sandbox": BOX,
    "bare sink, 50 ms": (*BARE, "0.05"),
    "bare sink, 5 ms": (*BARE, "0.005"),
    "bare sink, at once": (*BARE, "0"),
}


def bench_synerise(folder: Path, rows: int, repetitions: int = 3) -> list[BenchRow]:
    """Planned, sent batch by batch with cursor and bookkeeping, confirmed and folded into the acknowledged membership;
    beside posting the same bodies, ready in memory, to the same sink in the same run."""
    return [_bench(folder, rows, repetitions, name, words) for name, words in SINKS.items()]


def _bench(folder: Path, rows: int, repetitions: int, name: str, words: Sequence[str]) -> BenchRow:
    with _served(words) as url, tempfile.TemporaryDirectory(dir=folder) as inner:
        found = in_own_process("delivery", Path(inner), url, rows, repetitions)
    ours, theirs = statistics.median(found["ours"]), statistics.median(found["theirs"])
    return BenchRow(f"synerise, {name}", REFERENCE, rows, ours, theirs, ours / theirs, found["peak_memory"])


@contextmanager
def _served(words: Sequence[str]) -> Iterator[str]:
    """The address of a server that these words start; it says so by a line `ready ADDRESS`."""
    command = [sys.executable, *words]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # ours
        try:
            lines = iter(process.stdout.readline, "") if process.stdout else iter(())
            yield next(line.split()[1] for line in lines if line.startswith("ready "))
        finally:
            process.terminate()
