"""The file behind members, snapshots and changes: sorted, compressed blocks of rows with an index at the end.

Layout: magic, the blocks one after the other, the index (JSON, deflated), its place and length, magic. A block is the
text of its lines and one array a column, each compressed on its own; a column with one value in the whole block
stands in the index only. The index names every block's first and last line, so that one identifier, or a range of
row numbers, is found by reading one block.
"""

from __future__ import annotations

import bisect
import json
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from uploads.engine import hexlines
from uploads.engine import lines as ln
from uploads.engine.atomic import published
from uploads.engine.hexlines import HexLines
from uploads.engine.lines import Lines
from uploads.engine.pipeline import WORKERS, read_ahead

Column = npt.NDArray[Any]

MAGIC = b"AUDROWS1"
_TAIL = struct.Struct("<QQ8s")
BLOCK_ROWS = 32_768
BLOCK_BYTES = 4 << 20
# So many blocks are not worth a thread that reads ahead.
_FEW_BLOCKS = 2
_CODEC = "zstd"
_LEVEL = 1


class DamagedFile(ValueError):
    """A file of ours is not what it should be: cut short, or written by something else."""


@dataclass(frozen=True)
class Rows:
    """Lines and, for each, a value in every column."""

    lines: Lines
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.lines)

    def slice(self, start: int, stop: int) -> Rows:
        """The rows from `start` up to `stop`, without a copy."""
        columns = {name: column[start:stop] for name, column in self.columns.items()}
        return Rows(self.lines.slice(start, stop - start), columns)

    def keep(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """The rows where the mask is true."""
        if mask.all():
            return self
        columns = {name: column[mask] for name, column in self.columns.items()}
        return Rows(ln.chosen(self.lines, mask), columns)

    def take(self, positions: npt.NDArray[np.int64]) -> Rows:
        """The rows at these positions, in their order."""
        columns = {name: column[positions] for name, column in self.columns.items()}
        return Rows(ln.taken(self.lines, positions), columns)


def concat_rows(pieces: Sequence[Rows]) -> Rows:
    """One block of all the rows, in order; at least one piece, all with the same columns."""
    if len(pieces) == 1:
        return pieces[0]
    names = pieces[0].columns
    columns = {name: np.concatenate([piece.columns[name] for piece in pieces]) for name in names}
    lines = [piece.lines for piece in pieces]
    if all(hexlines.alike(lines[0], other) for other in lines):
        return Rows(hexlines.joined(lines), columns)
    return Rows(ln.concat([ln.plain(block) for block in lines]), columns)


@dataclass(frozen=True)
class _Encoded:
    """A block as it goes to disk, with its entry for the index (all but the place)."""

    parts: list[bytes | memoryview]
    entry: dict[str, Any]


class BlockWriter:
    """Writes rows, given in order of their bytes in pieces of any size, to a file that appears when `close` is called.

    `columns` names the columns with their numpy types. Blocks are compressed in threads behind the caller's back.
    """

    def __init__(self, stream: BinaryIO, kind: str, columns: Mapping[str, str]) -> None:
        self._stream = stream
        self._kind = kind
        self._types = dict(columns)
        self._index: list[dict[str, Any]] = []
        self._pending: list[Rows] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="engine-write")
        self._encoding: deque[Future[_Encoded]] = deque()
        self._stored_rows = 0
        self.rows = 0
        stream.write(MAGIC)
        self._place = len(MAGIC)

    def write(self, rows: Rows) -> None:
        """Append rows; none of them may be smaller than the last one written."""
        start = 0
        self.rows += len(rows)
        size = ln.text_size(rows.lines)
        while len(rows) - start > 0:
            room = BLOCK_ROWS - self._pending_rows
            piece = rows if start == 0 and len(rows) <= room else rows.slice(start, min(start + room, len(rows)))
            start += len(piece)
            self._pending.append(piece)
            self._pending_rows += len(piece)
            self._pending_bytes += size if piece is rows else ln.text_size(piece.lines)
            if self._pending_rows >= BLOCK_ROWS or self._pending_bytes >= BLOCK_BYTES:
                self._flush()

    def close(self, meta: Mapping[str, Any]) -> None:
        """Write what is left and the index; `meta` is kept with it."""
        self._flush()
        while self._encoding:
            self._store(self._encoding.popleft().result())
        self._pool.shutdown()
        index = {"kind": self._kind, "columns": self._types, "rows": self.rows, "meta": dict(meta)}
        footer = zlib.compress(json.dumps({**index, "blocks": self._index}, ensure_ascii=False).encode(), 1)
        self._stream.write(footer)
        self._stream.write(_TAIL.pack(self._place, len(footer), MAGIC))

    def abandon(self) -> None:
        """Stop the threads; the file is worth nothing."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _flush(self) -> None:
        if not self._pending_rows:
            return
        pieces, self._pending = self._pending, []
        self._pending_rows = self._pending_bytes = 0
        self._encoding.append(self._pool.submit(_encode, pieces, self._types))
        while len(self._encoding) > 2 * WORKERS:
            self._store(self._encoding.popleft().result())

    def _store(self, block: _Encoded) -> None:
        for part in block.parts:
            self._stream.write(part)
        self._index.append({"at": self._place, "row": self._stored_rows, **block.entry})
        self._place += sum(map(len, block.parts))
        self._stored_rows += int(block.entry["rows"])


def _encode(pieces: list[Rows], types: Mapping[str, str]) -> _Encoded:
    rows = concat_rows(pieces)
    parts, form = _stored_lines(rows.lines)
    columns: dict[str, Any] = {}
    for name, kind in types.items():
        column = np.ascontiguousarray(rows.columns[name], dtype=kind)
        if (column == column[0]).all():
            columns[name] = int(column[0])
        else:
            parts.append(_compress(column.tobytes()))
            columns[name] = [len(parts[-1])]
    first, last = ln.line_at(rows.lines, 0), ln.line_at(rows.lines, len(rows) - 1)
    entry = {
        "rows": len(rows),
        "text": [ln.text_size(rows.lines), len(parts[0])],
        **form,
        "first": first[:-1].decode(),
        "last": last[:-1].decode(),
        "columns": columns,
    }
    return _Encoded(parts, entry)


def _stored_lines(lines: Lines) -> tuple[list[bytes | memoryview], dict[str, Any]]:
    """The lines as bytes on disk, and what to know for reading them: their even width, and whether they are packed."""
    if isinstance(lines, HexLines):
        return [lines.data()], {"width": lines.layout.width, "hex": True}
    text, width = ln.text_of(lines), ln.even_width(lines)
    data = hexlines.packed_text(text, width)
    return [_compress(text) if data is None else data], {"width": width, "hex": data is not None}


def _compress(data: memoryview | bytes) -> bytes:
    packed: bytes = pa.Codec(_CODEC, _LEVEL).compress(data, asbytes=True)
    return packed


class BlockReader:
    """A file of blocks, open for reading. Safe to use from several threads; close it, or use it as a context."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDONLY)
        try:
            index = self._read_index(os.fstat(self._file).st_size)
            if index["kind"] != kind:
                raise DamagedFile(f"the file holds {index['kind']}, not {kind}")
        except BaseException:
            os.close(self._file)
            raise
        self.count: int = index["rows"]
        self.meta: dict[str, Any] = index["meta"]
        self._types: dict[str, str] = index["columns"]
        self._blocks: list[dict[str, Any]] = index["blocks"]
        self._last_keys = [entry["last"].encode() for entry in self._blocks]
        self._first_rows = [entry["row"] for entry in self._blocks]
        self._kept: tuple[int, bool, Rows] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read_index(self, size: int) -> dict[str, Any]:
        tail = os.pread(self._file, _TAIL.size, max(0, size - _TAIL.size))
        if len(tail) < _TAIL.size or not tail.endswith(MAGIC):
            raise DamagedFile("the file is cut short or is none of ours")
        place, length, _ = _TAIL.unpack(tail)
        try:
            index: dict[str, Any] = json.loads(zlib.decompress(os.pread(self._file, length, place)))
        except (zlib.error, ValueError) as error:
            raise DamagedFile("the index of the file cannot be read") from error
        return index

    def block(self, number: int, *, packed: bool = False) -> Rows:
        """One block; with `packed`, lines that are stored as numbers stay so."""
        entry = self._blocks[number]
        place = entry["at"]
        lines = self._lines(entry)
        if not packed:
            lines = ln.plain(lines)
        if len(lines) != entry["rows"]:
            raise DamagedFile(f"block {number} holds {len(lines)} rows, its index says {entry['rows']}")
        place += entry["text"][1]
        columns: dict[str, Column] = {}
        for name, kind in self._types.items():
            stored = entry["columns"][name]
            columns[name] = np.broadcast_to(self._column(stored, place, kind, len(lines)), len(lines))
            place += 0 if isinstance(stored, int) else stored[0]
        return Rows(lines, columns)

    def _block_again(self, number: int, packed: bool) -> Rows:
        """A block, kept until another is read: small ranges that follow each other lie in the same one."""
        kept = self._kept
        if kept is None or kept[:2] != (number, packed):
            kept = self._kept = (number, packed, self.block(number, packed=packed))
        return kept[2]

    def _lines(self, entry: dict[str, Any]) -> Lines:
        length, stored = entry["text"]
        if entry["hex"]:
            return HexLines.read(self._stored(entry["at"], stored), entry["width"])
        text = self._unpack(entry["at"], stored, length)
        return ln.from_even_text(text, entry["width"]) if entry["width"] else ln.from_text(text)

    def _unpack(self, place: int, stored: int, length: int) -> pa.Buffer:
        return pa.Codec(_CODEC).decompress(self._stored(place, stored), length)

    def _stored(self, place: int, size: int) -> bytes:
        data = os.pread(self._file, size, place)
        if len(data) != size:
            raise DamagedFile("the file ends within a block")
        return data

    def blocks(self, *, packed: bool = False) -> Iterator[Rows]:
        """All blocks, read ahead of whoever takes them; `packed` as for `block`."""
        read = (self.block(number, packed=packed) for number in range(len(self._blocks)))
        return read_ahead(read) if len(self._blocks) > _FEW_BLOCKS else read

    def column(self, name: str) -> Iterator[tuple[Column, int]]:
        """The values of one column, block by block, each with the rows that it stands for: one for every row, or a
        single one for all of them. Lines are not read."""
        for entry in self._blocks:
            place = entry["at"] + entry["text"][1]
            for other, kind in self._types.items():
                stored = entry["columns"][other]
                if other == name:
                    values = self._column(stored, place, kind, entry["rows"])
                    yield values, 1 if len(values) == entry["rows"] else entry["rows"]
                place += 0 if isinstance(stored, int) else stored[0]

    def _column(self, stored: Any, place: int, kind: str, rows: int) -> Column:
        if isinstance(stored, int):
            return np.array([stored], dtype=kind)
        return np.frombuffer(self._unpack(place, stored[0], rows * np.dtype(kind).itemsize), dtype=kind)

    def rows_between(self, first_row: int, last_row: int, *, packed: bool = False) -> Iterator[tuple[int, Rows]]:
        """The rows with these numbers (both ends inclusive), block by block, each with the number of its first row;
        `packed` as for `block`."""
        number = bisect.bisect_right(self._first_rows, first_row) - 1
        stop = bisect.bisect_right(self._first_rows, last_row)
        numbers = range(max(number, 0), stop)
        source = (self._block_again(number, packed) for number in numbers)
        for number, rows in zip(numbers, source if len(numbers) <= _FEW_BLOCKS else read_ahead(source), strict=True):
            base = self._first_rows[number]
            start, end = max(first_row - base, 0), min(last_row + 1 - base, len(rows))
            if start < end:
                yield base + start, rows.slice(start, end)

    def find(self, identifier: bytes) -> tuple[int, dict[str, int]] | None:
        """The row number and the columns of an identifier, or None. One block is read."""
        number = bisect.bisect_left(self._last_keys, identifier)
        if number == len(self._blocks) or self._blocks[number]["first"].encode() > identifier:
            return None
        rows = self.block(number)
        position = ln.count_up_to(rows.lines, identifier + b"\n") - 1
        if position < 0 or ln.line_at(rows.lines, position) != identifier + b"\n":
            return None
        columns = {name: int(column[position]) for name, column in rows.columns.items()}
        return self._first_rows[number] + position, columns


class PublishedWriter:
    """A `BlockWriter` on a file that appears whole, or not at all, when the context ends."""

    def __init__(self, path: Path, kind: str, columns: Mapping[str, str]) -> None:
        self._published = published(path)
        self._kind = kind
        self._columns = columns
        self.meta: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._writer = BlockWriter(self._published.__enter__(), self._kind, self._columns)
        return self

    def write(self, rows: Rows) -> None:
        """Append rows in order."""
        self._writer.write(rows)

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return self._writer.rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._writer.close(self.meta)
            except BaseException as failure:
                self._writer.abandon()
                self._published.__exit__(type(failure), failure, failure.__traceback__)
                raise
        else:
            self._writer.abandon()
        self._published.__exit__(kind, error, trace)
