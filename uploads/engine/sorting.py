"""Any number of lines to one sorted set, in bounded memory: sorted runs are spilled to disk and merged."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from uploads.engine import hexlines
from uploads.engine import lines as ln
from uploads.engine.atomic import create_private
from uploads.engine.blocks import Rows
from uploads.engine.hexlines import LAYOUTS, HexLines
from uploads.engine.lines import Lines
from uploads.engine.merging import windows
from uploads.engine.ordering import sorted_unique
from uploads.engine.pipeline import WORKERS, ordered_map

# A run being sorted needs about four times its text (order, keys, and the sorted copy), and one a worker is at it.
_COPIES = 5
_SMALLEST_RUN = 1 << 20
# A line takes as much as one of so many bytes at least; how short a text's lines are is looked up in three places.
_SHORT_LINE = 16
_LOOK = 4096
_LARGEST_RUN = 32 << 20
_SMALLEST_READ = 64 << 10
_LARGEST_READ = 1 << 20
# One part in so many of the memory is for the loaded beginnings of all runs: what is merged of them takes more.
_READ_SHARE = 32


@dataclass(frozen=True)
class _Run:
    """One sorted run on disk, read back in steps. `width`: of its packed lines; 0 where it is text."""

    path: Path
    width: int

    def read(self, step: int, *, packed: bool) -> Iterator[Rows]:
        """The lines in order, about `step` bytes at a time; `packed` leaves packed lines as they are."""
        if not self.width:
            yield from self._read_text(step)
            return
        line_bytes = LAYOUTS[self.width].digits // 2
        with self.path.open("rb") as stream:
            while data := stream.read(step // line_bytes * line_bytes):
                lines = HexLines.read(data, self.width)
                yield Rows(lines if packed else lines.plain(), {})

    def _read_text(self, step: int) -> Iterator[Rows]:
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
        """The distinct lines of all texts in order of their bytes, packed (`lines.PackedLines`) where all of them can
        be. Each text is empty or ends with a line feed."""
        runs = list(ordered_map(self._spill, enumerate(self._gathered(texts)), ahead=0))
        packed = len({run.width for run in runs}) == 1
        if len(runs) == 1:
            yield from (rows.lines for rows in runs[0].read(_LARGEST_READ, packed=packed))
            return
        step = min(max(self._memory // (_READ_SHARE * (len(runs) or 1)), _SMALLEST_READ), _LARGEST_READ)
        pieces = windows([run.read(step, packed=packed) for run in runs], depth=2)
        yield from ordered_map(_merge, pieces, ahead=0)

    def _gathered(self, texts: Iterator[bytes]) -> Iterator[list[bytes]]:
        gathered: list[bytes] = []
        size = 0
        for text in texts:
            gathered.append(text)
            size += _weight(text)
            if size >= self._run_bytes:
                yield gathered
                gathered, size = [], 0
        if size:
            yield gathered

    def _spill(self, numbered: tuple[int, list[bytes]]) -> _Run:
        number, texts = numbered
        path = self._folder / f"{number:06d}"
        lines = _sorted_run(texts)
        with create_private(path) as stream:
            _write(stream, lines.data() if isinstance(lines, HexLines) else ln.text_of(lines))
        return _Run(path, lines.layout.width if isinstance(lines, HexLines) else 0)


def _weight(text: bytes) -> int:
    """What a text takes of a run: its bytes; more where lines are so short that their order and keys are larger."""
    looked_at = [text[start : start + _LOOK] for start in (0, len(text) // 2, max(0, len(text) - _LOOK))]
    lines = sum(sample.count(b"\n") for sample in looked_at)
    return max(len(text), len(text) * lines * _SHORT_LINE // max(1, sum(map(len, looked_at))))


def _sorted_run(texts: Sequence[bytes]) -> Lines:
    """The distinct lines of texts in order; packed where all of them can be, text by text while it is in the cache."""
    blocks: list[HexLines] = []
    for text in filter(None, texts):
        block = hexlines.packed_lines(text)
        if block is None or (blocks and not hexlines.alike(blocks[0], block)):
            return sorted_unique(ln.from_text(b"".join(texts)))
        blocks.append(block)
    return hexlines.sorted_unique(hexlines.joined(blocks))


def _write(stream: BinaryIO, data: memoryview) -> None:
    while len(data):
        data = data[os.write(stream.fileno(), data) :]


def _merge(window: list[Rows | None]) -> Lines:
    blocks = [rows.lines for rows in window if rows is not None]
    if len(blocks) == 1:
        return blocks[0]
    if isinstance(blocks[0], HexLines):
        return hexlines.sorted_unique(hexlines.joined(blocks))
    return sorted_unique(ln.concat(blocks), runs=len(blocks))
