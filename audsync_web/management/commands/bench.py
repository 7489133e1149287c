"""`manage.py bench`: named benchmarks, each a ratio to a reference in the same run."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from uploads.benchmarks import batches, files, history, whole_path
from uploads.engine import benchmarks as stages
from uploads.engine.benchmarks import BenchRow

Bench = Callable[[Path, int, int], list[BenchRow]]

BENCHES: dict[str, tuple[Bench, int, str]] = {
    "upload": (
        whole_path.bench_upload,
        1_000_000,
        "a file from request to vendor accepted, beside md5sum and curl",
    ),
    "receive": (
        stages.bench_receive,
        1_000_000,
        "a raw body received with all checks, beside md5sum and curl",
    ),
    "check": (stages.bench_check, 1_000_000, "check, count, MD5 and SHA-256 of a file, beside md5sum"),
    "snapshot": (stages.bench_snapshot, 1_000_000, "the exact sorted set of a file, beside sort -u"),
    "difference": (stages.bench_difference, 1_000_000, "the changes between two sets, beside sort -u and comm"),
    "formats": (stages.bench_formats, 1_000_000, "Xandr and mediarithmics parts, beside awk and gzip"),
    "xandr-file": (
        files.bench_xandr_file,
        5_000_000,
        "a snapshot to Xandr's files on disk, beside awk and gzip",
    ),
    "mediarithmics-file": (
        files.bench_mediarithmics_file,
        5_000_000,
        "a snapshot to mediarithmics' files on disk, beside awk",
    ),
    "history": (
        history.bench_history,
        1_000_000,
        "every list and filter of the history, beside 200 ms; on PostgreSQL, too, with DATABASE_URL",
    ),
    "synerise": (
        batches.bench_synerise,
        200_000,
        "members as batches to a local sink, beside a plain loop",
    ),
    "find": (stages.bench_find, 1_000_000, "one identifier in a snapshot, beside grep"),
}


class Command(BaseCommand):
    """Run one benchmark and print its figures."""

    help = "Run a named benchmark; prints seconds (medians), the ratio to the reference, and peak memory."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="which one (see --list)")
        parser.add_argument("--list", action="store_true", help="name the benchmarks")
        parser.add_argument("--rows", type=int, help="rows of the file")
        parser.add_argument("--repeat", type=int, default=3, help="repetitions; medians are printed (default 3)")
        parser.add_argument("--folder", help="where the files are made and kept (default: a temporary folder)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"] or not options["name"]:
            for name, (_, rows, text) in BENCHES.items():
                self.stdout.write(f"{name:20} {text} ({rows:,} rows)")
            return
        if options["name"] not in BENCHES:
            raise CommandError(f"No benchmark is named {options['name']}; see bench --list.")
        bench, rows, _ = BENCHES[options["name"]]
        with _folder(options["folder"]) as folder:
            self._print(bench(folder, options["rows"] or rows, options["repeat"]))

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
