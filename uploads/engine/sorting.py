"""Any number of lines to one sorted set, in bounded memory: sorted runs are spilled to disk and merged."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from uploads.engine import lines as ln
from uploads.engine.atomic import create_private
from uploads.engine.blocks import Rows
from uploads.engine.lines import Lines
from uploads.engine.merging import windows
from uploads.engine.ordering import sorted_unique
from uploads.engine.pipeline import WORKERS, ordered_map

# A run being sorted needs about four times its text (order, keys, and the sorted copy), and one a worker is at it.
_COPIES = 5
_SMALLEST_RUN = 1 << 20
_LARGEST_RUN = 32 << 20
_SMALLEST_READ = 64 << 10
_LARGEST_READ = 1 << 20
# One part in so many of the memory is for the loaded beginnings of all runs: what is merged of them takes more.
_READ_SHARE = 32


class _Run:
    """One sorted run on disk: lines, read back in steps."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, step: int) -> Iterator[Rows]:
        """The lines in order, about `step` bytes at a time."""
        rest = b""
        with self.path.open("rb", buffering=0) as stream:
            while block := stream.read(step):
                text = rest + block
                end = text.rfind(b"\n") + 1
                rest = text[end:]
                if end:
                    yield Rows(ln.from_text(memoryview(text)[:end]), {})


class SetSorter:
    """Takes lines in any order, gives them back sorted and without duplicates. Use as a context: it owns its spill.

    `spill_dir` must exist; a private folder is made in it and removed at the end, whatever happens. Memory stays near
    `memory_bytes`, however much is added.
    """

    def __init__(self, spill_dir: Path, memory_bytes: int) -> None:
        self._memory = memory_bytes
        self._run_bytes = min(max(memory_bytes // (_COPIES * (WORKERS + 1)), _SMALLEST_RUN), _LARGEST_RUN)
        self._spill_dir = spill_dir

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="sort-", dir=self._spill_dir))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def sort(self, texts: Iterator[bytes]) -> Iterator[Lines]:
        """The distinct lines of all texts in order of their bytes. Each text is empty or ends with a line feed."""
        runs = list(ordered_map(self._spill, enumerate(self._gathered(texts)), ahead=0))
        if len(runs) == 1:
            step = _LARGEST_READ
            yield from (rows.lines for rows in runs[0].read(step))
            return
        step = min(max(self._memory // (_READ_SHARE * (len(runs) or 1)), _SMALLEST_READ), _LARGEST_READ)
        pieces = windows([run.read(step) for run in runs])
        yield from ordered_map(_merge, pieces, ahead=0)

    def _gathered(self, texts: Iterator[bytes]) -> Iterator[bytes]:
        gathered: list[bytes] = []
        size = 0
        for text in texts:
            gathered.append(text)
            size += len(text)
            if size >= self._run_bytes:
                yield b"".join(gathered)
                gathered, size = [], 0
        if size:
            yield b"".join(gathered)

    def _spill(self, numbered: tuple[int, bytes]) -> _Run:
        number, text = numbered
        run = _Run(self._folder / f"{number:06d}")
        with create_private(run.path) as stream:
            _write(stream, sorted_unique(ln.from_text(text)))
        return run


def _write(stream: BinaryIO, lines: Lines) -> None:
    text = ln.text_of(lines)
    while len(text):
        text = text[os.write(stream.fileno(), text) :]


def _merge(window: list[Rows | None]) -> Lines:
    blocks = [rows.lines for rows in window if rows is not None]
    if len(blocks) == 1:
        return blocks[0]
    return sorted_unique(ln.concat(blocks), runs=len(blocks))
