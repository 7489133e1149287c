"""The engine's benchmarks: every stage beside the Unix tools that do the same, in the same run, medians of repetitions.

References run under LC_ALL=C. Ours run in a process of their own, which reports its seconds (its start-up left out)
and its peak memory. Files are made once for a number of rows and kept in the folder that is given.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uploads.engine import benchmark_stages as stages
from uploads.engine.atomic import published

REPETITIONS = 3
_MILLION = 1_000_000
_PROJECT = Path(__file__).resolve().parents[2]
# Where the groups of a UUID begin in its 32 digits, where they stand in its text, and how long they are.
_GROUPS = ((0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12))


@dataclass(frozen=True)
class BenchRow:
    """One comparison: seconds are medians, `ratio` is ours by the reference's, `peak_memory` ours in bytes."""

    name: str
    reference: str
    rows: int
    ours_seconds: float
    reference_seconds: float
    ratio: float
    peak_memory: int


def make_uuids(path: Path, rows: int, seed: int) -> Path:
    """A file of a header and so many random UUIDs, the same for the same seed; made only when it is not there."""
    if not path.exists():
        random = np.random.default_rng(seed)
        with published(path) as stream:
            stream.write(b"provider_id\n")
            for start in range(0, rows, _MILLION):
                stream.write(_uuids(random, min(_MILLION, rows - start)))
    return path


def _uuids(random: np.random.Generator, count: int) -> bytes:
    digits = np.frombuffer(random.bytes(16 * count).hex().encode(), np.uint8).reshape(count, 32)
    table = np.full((count, 37), ord("-"), np.uint8)
    table[:, 36] = ord("\n")
    for source, target, length in _GROUPS:
        table[:, target : target + length] = digits[:, source : source + length]
    return table.tobytes()


def make_changed(path: Path, original: Path, rows: int) -> Path:
    """The original with every tenth row replaced, shuffled within blocks of a million."""
    if not path.exists():
        random = np.random.default_rng(rows)
        with original.open("rb") as source, published(path) as stream:
            stream.write(source.readline())
            while data := source.read(37 * _MILLION):
                table = np.frombuffer(data, np.uint8).reshape(-1, 37).copy()
                fresh = np.frombuffer(_uuids(random, len(table[::10])), np.uint8)
                table[::10] = fresh.reshape(-1, 37)
                stream.write(table[random.permutation(len(table))].tobytes())
    return path


def bench_check(folder: Path, rows: int, repetitions: int = REPETITIONS) -> list[BenchRow]:
    """Check, count, MD5 and SHA-256, beside `md5sum`."""
    source = make_uuids(folder / f"uuids-{rows}.csv", rows, 1)
    ours = stage("check", source)
    return [compared("check", "md5sum", rows, ours, shell('md5sum "$1"', source), repetitions)]


def bench_receive(folder: Path, rows: int, repetitions: int = REPETITIONS) -> list[BenchRow]:
    """A raw body over HTTP on the loopback, checked, hashed and stored, beside `md5sum` plus `curl` to a plain sink."""
    source = make_uuids(folder / f"uuids-{rows}.csv", rows, 1)
    ours = stage("receive", source, folder / "received")
    reference = _sink_stage(source)
    return [compared("receive", "md5sum, then curl to a sink", rows, ours, reference, repetitions)]


def bench_snapshot(folder: Path, rows: int, repetitions: int = REPETITIONS) -> list[BenchRow]:
    """The exact, sorted, compressed set of a file, beside `sort -u -S1G --parallel=2`."""
    source = make_uuids(folder / f"uuids-{rows}.csv", rows, 1)
    ours = stage("snapshot", source, folder / "snapshot", folder)
    reference = shell('tail -n +2 "$1" | sort -u -S1G --parallel=2 -T "$3" -o "$2"', source, folder / "sorted", folder)
    return [compared("snapshot", "sort -u -S1G --parallel=2", rows, ours, reference, repetitions)]


def bench_difference(folder: Path, rows: int, repetitions: int = REPETITIONS) -> list[BenchRow]:
    """The changes between two snapshots, beside `comm`; and from two raw files, beside `sort -u` twice and `comm`."""
    old = make_uuids(folder / f"uuids-{rows}.csv", rows, 1)
    new = make_changed(folder / f"changed-{rows}.csv", old, rows)
    names = [folder / name for name in ("old", "new", "changes", "old.txt", "new.txt", "changes.txt")]
    members, others, changes, old_text, new_text, text = names
    stage("snapshot", old, members, folder)()
    stage("snapshot", new, others, folder)()
    sort = 'tail -n +2 "$1" | sort -u -S1G --parallel=2 -T "$2" -o "$3"'
    pairs = ((old, old_text), (new, new_text))
    sorting = [shell(sort, source, folder, target) for source, target in pairs]
    for step in sorting:
        step()
    comparing = shell('comm -3 "$1" "$2" > "$3"', new_text, old_text, text)
    ours = stage("difference", others, members, changes)
    raw = stage("raw_difference", new, old, folder)
    all_steps = _one_by_one(*sorting, comparing)
    return [
        compared("difference", "comm of two sorted files", rows, ours, comparing, repetitions),
        compared("first difference", "sort -u twice, then comm", rows, raw, all_steps, repetitions),
    ]


def bench_formats(folder: Path, rows: int, repetitions: int = REPETITIONS) -> list[BenchRow]:
    """Xandr parts with gzip and mediarithmics NDJSON parts, planned and written, beside `awk`."""
    source = make_uuids(folder / f"uuids-{rows}.csv", rows, 1)
    ordered, changes, part, text = (folder / name for name in ("all", "all-changes", "part", "text"))
    stage("snapshot", source, ordered, folder)()
    stage("everything_added", ordered, changes)()
    shell('tail -n +2 "$1" | sort -u -S1G --parallel=2 -o "$2"', source, text)()
    xandr = shell('awk \'{print $0 ":4410021:1440:0"}\' "$1" | gzip -6 > "$2"', text, folder / "awk.gz")
    prefix, suffix = (end.decode().replace('"', '\\"') for end in stages.NDJSON_ENDS)
    printf = f'awk \'{{printf "{prefix}%s{suffix}\\n", $0}}\' "$1" > "$2"'
    mediarithmics = shell(printf, text, folder / "awk.ndjson")
    return [
        compared("xandr parts", "awk | gzip -6", rows, stage("xandr", changes, part), xandr, repetitions),
        compared("mediarithmics parts", "awk printf", rows, stage("ndjson", changes, part), mediarithmics, repetitions),
    ]


def bench_find(folder: Path, rows: int, repetitions: int = REPETITIONS) -> list[BenchRow]:
    """One identifier in a snapshot, file opened anew, beside `grep` in the sorted text."""
    source = make_uuids(folder / f"uuids-{rows}.csv", rows, 1)
    ordered, text = folder / "all", folder / "text"
    stage("snapshot", source, ordered, folder)()
    shell('tail -n +2 "$1" | sort -u -S1G --parallel=2 -o "$2"', source, text)()
    with source.open("rb") as stream:
        value = stream.readlines(100)[1].decode().strip()
    reference = shell('grep -m1 -xF "$2" "$1" > /dev/null', text, Path(value))
    return [compared("find", "grep -m1 -xF", rows, stage("find", ordered, Path(value)), reference, repetitions)]


@dataclass(frozen=True)
class Run:
    """One repetition: seconds, and where it is one of ours the peak memory in bytes."""

    seconds: float
    peak_memory: int = 0


Runner = Callable[[], Run]


def compared(name: str, reference: str, rows: int, ours: Runner, theirs: Runner, repetitions: int) -> BenchRow:
    """Both in turn, so that a busy minute of the machine meets both."""
    runs = [(ours(), theirs()) for _ in range(repetitions)]
    mine = statistics.median(run.seconds for run, _ in runs)
    other = statistics.median(run.seconds for _, run in runs)
    return BenchRow(name, reference, rows, mine, other, mine / other, max(run.peak_memory for run, _ in runs))


def stage(name: str, *arguments: Path, module: str = stages.__name__) -> Runner:
    """A stage of ours in a process of its own."""

    def run() -> Run:
        told = _call([sys.executable, "-m", module, name, *map(str, arguments)])
        figures = json.loads(told)
        return Run(figures["seconds"], figures["peak_memory"])

    return run


def _sink_stage(source: Path) -> Runner:
    """`md5sum`, and `curl` to a server that only counts."""
    summing, sending = shell('md5sum "$1"', source), stage("sink", source)
    return lambda: Run(summing().seconds + sending().seconds)


def shell(command: str, *arguments: Path) -> Runner:
    """A pipeline of Unix tools, timed as a whole."""
    names = [str(argument) for argument in arguments]

    def run() -> Run:
        start = time.perf_counter()
        _call(["bash", "-o", "pipefail", "-c", command, "bench", *names])
        return Run(time.perf_counter() - start)

    return run


def _one_by_one(*runners: Runner) -> Runner:
    return lambda: Run(sum(runner().seconds for runner in runners))


def _call(command: Sequence[str]) -> str:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONPATH": str(_PROJECT)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603  # ours
    return done.stdout
