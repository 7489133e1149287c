"""`bench xandr-file` and `bench mediarithmics-file`: a snapshot to a vendor's files on disk, by its real connector."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audsync_web.vendors.connectors.formats import Op, Wrap
from uploads.engine.atomic import published
from uploads.engine.benchmarks import REPETITIONS, BenchRow, compared, shell, stage

from . import file_stages as stages

_MILLION = 1_000_000


def bench_xandr_file(folder: Path, rows: int, repetitions: int = REPETITIONS) -> list[BenchRow]:
    """Numeric ids to gzipped text files of additions, beside `awk` piped to `gzip -6`."""
    source = _made(folder / f"xandr-{rows}.csv", b"xandr_id\n", _numbers(rows))
    write = f'awk \'{{{_printf("xandr")}}}\' "$1" | gzip -6 > "$2"'
    return [_bench(folder, "xandr", source, rows, repetitions, write=write, read="gzip -dc", reference="awk | gzip -6")]


def bench_mediarithmics_file(folder: Path, rows: int, repetitions: int = REPETITIONS) -> list[BenchRow]:
    """Hashed e-mail addresses to NDJSON files of commands, beside `awk`."""
    source = _made(folder / f"mediarithmics-{rows}.csv", b"email_sha256\n", _hashes(rows))
    write = f'awk \'{{{_printf("mediarithmics")}}}\' "$1" > "$2"'
    return [_bench(folder, "mediarithmics", source, rows, repetitions, write=write, read="cat", reference="awk printf")]


def _bench(
    folder: Path, vendor: str, source: Path, rows: int, repetitions: int, *, write: str, read: str, reference: str
) -> BenchRow:
    """From sorted ids to files, ours with the change file that a delivery keeps; both must hold the same lines."""
    members, text, parts, lines = (folder / f"{vendor}-{name}" for name in ("members", "text", "parts", "lines"))
    inner = stages.__name__
    stage("snapshot", source, members, folder, module=inner)()
    shell('tail -n +2 "$1" | sort -u -S1G --parallel=2 -T "$3" -o "$2"', source, text, folder)()
    shutil.rmtree(parts, ignore_errors=True)
    ours = stage(vendor, members, parts, module=inner)
    row = compared(f"{vendor} file", reference, rows, ours, shell(write, text, lines), repetitions)
    shell(f'cmp <(cat "$1"/part-* | {read}) <({read} "$2")', parts, lines)()
    return row


def _printf(vendor: str) -> str:
    """awk's words for a line: a format whose only conversion is the identifier."""
    wrap: Wrap = stages.line_format(vendor).wrap(Op.ADD, 0)
    prefix, suffix = (end.decode().replace('"', '\\"') for end in (wrap.prefix, wrap.suffix))
    return f'printf "{prefix}%s{suffix}\\n", $0'


def _made(path: Path, header: bytes, blocks: Iterator[bytes]) -> Path:
    """A file of that content, written only when it is not there."""
    if not path.exists():
        with published(path) as stream:
            stream.write(header)
            for block in blocks:
                stream.write(block)
    return path


def _numbers(rows: int) -> Iterator[bytes]:
    """Different numbers of 17 to 19 digits in no order, as Xandr's user ids are."""
    random = np.random.default_rng(1)
    for start in range(0, rows, _MILLION):
        # The lower digits count, so that no two are equal; the upper ones are random.
        low = np.arange(start, min(start + _MILLION, rows), dtype=np.int64)
        high = random.integers(10**6, 9 * 10**8, len(low), dtype=np.int64)
        yield b"".join(b"%d\n" % number for number in (high * 10**10 + low).tolist())


def _hashes(rows: int) -> Iterator[bytes]:
    """SHA-256 of addresses that nobody has."""
    for start in range(0, rows, _MILLION):
        numbers = range(start, min(start + _MILLION, rows))
        yield "".join(f"{hashlib.sha256(b'%d@northwind.example' % n).hexdigest()}\n" for n in numbers).encode()
