"""`manage.py bench`: named benchmarks, each a ratio to a reference in the same run."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError

from uploads.benchmarks import batches, files, history, whole_path
from uploads.engine import benchmarks as stages
from uploads.engine.benchmarks import BenchRow


class Bench(NamedTuple):
    """A benchmark: what runs it with a folder, rows and repetitions, how many rows and repetitions it has unless told
    otherwise, and what it compares."""

    run: Callable[[Path, int, int], list[BenchRow]]
    rows: int
    text: str
    repeat: int = 3


BENCHES: dict[str, Bench] = {
    "upload": Bench(
        whole_path.bench_upload,
        1_000_000,
        "a file from request to vendor accepted, beside md5sum and curl",
    ),
    "receive": Bench(
        stages.bench_receive,
        1_000_000,
        "a raw body received with all checks, beside md5sum and curl",
    ),
    "check": Bench(stages.bench_check, 1_000_000, "check, count, MD5 and SHA-256 of a file, beside md5sum"),
    "snapshot": Bench(stages.bench_snapshot, 1_000_000, "the exact sorted set of a file, beside sort -u"),
    "difference": Bench(stages.bench_difference, 1_000_000, "the changes between two sets, beside sort -u and comm"),
    "formats": Bench(stages.bench_formats, 1_000_000, "Xandr and mediarithmics parts, beside awk and gzip"),
    "xandr-file": Bench(
        files.bench_xandr_file,
        5_000_000,
        "a snapshot to Xandr's files on disk, beside awk and gzip",
    ),
    "mediarithmics-file": Bench(
        files.bench_mediarithmics_file,
        5_000_000,
        "a snapshot to mediarithmics' files on disk, beside awk",
    ),
    "history": Bench(
        history.bench_history,
        1_000_000,
        "every list and filter of the history, beside 200 ms; on PostgreSQL, too, with DATABASE_URL",
    ),
    "synerise": Bench(
        batches.bench_synerise,
        200_000,
        "members as batches to a local sink, beside a plain loop",
        repeat=7,
    ),
    "find": Bench(stages.bench_find, 1_000_000, "one identifier in a snapshot, beside grep"),
}


class Command(BaseCommand):
    """Run one benchmark and print its figures."""

    help = "Run a named benchmark; prints seconds (medians), the ratio to the reference, and peak memory."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="which one (see --list)")
        parser.add_argument("--list", action="store_true", help="name the benchmarks")
        parser.add_argument("--rows", type=int, help="rows of the file")
        parser.add_argument("--repeat", type=int, help="repetitions; medians are printed (default: see --list)")
        parser.add_argument("--folder", help="where the files are made and kept (default: a temporary folder)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"] or not options["name"]:
            for name, bench in BENCHES.items():
                self.stdout.write(f"{name:20} {bench.text} ({bench.rows:,} rows, {bench.repeat} times)")
            return
        if options["name"] not in BENCHES:
            raise CommandError(f"No benchmark is named {options['name']}; see bench --list.")
        bench = BENCHES[options["name"]]
        with _folder(options["folder"]) as folder:
            self._print(bench.run(folder, options["rows"] or bench.rows, options["repeat"] or bench.repeat))

    def _print(self, found: list[BenchRow]) -> None:
        self.stdout.write(f"{'':42} {'rows':>12} {'ours s':>9} {'ref. s':>9} {'ratio':>7} {'peak MB':>9}  reference")
        for row in found:
            self.stdout.write(
                f"{row.name:42} {row.rows:>12,} {row.ours_seconds:>9.3f} {row.reference_seconds:>9.3f} "
                f"{row.ratio:>7.2f} {row.peak_memory / 1e6:>9.0f}  {row.reference}"
            )


class _folder:  # noqa: N801  # used as a function
    """The folder that was named, or a temporary one."""

    def __init__(self, named: str | None) -> None:
        self._temporary = None if named else tempfile.TemporaryDirectory(prefix="audsync-bench-")
        self._named = named

    def __enter__(self) -> Path:
        path = Path(self._temporary.name if self._temporary else self._named or ".")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.resolve()

    def __exit__(self, *_: object) -> None:
        if self._temporary:
            self._temporary.cleanup()
