"""Change files: what a vendor has to be told, one row an identifier, ordered by bytes, found by row number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from audsync_web.vendors.connectors.formats import Op
from uploads.engine import lines as ln
from uploads.engine.blocks import BlockReader, Rows

KIND = "changes"
COLUMNS: Mapping[str, str] = {"op": "u1", "held": "<u8"}
EVERY_OP: tuple[Op, ...] = tuple(Op)


@dataclass(frozen=True)
class Change:
    """One row: the identifier, what to do, and which of the delivery's neighbours hold it (a bit each)."""

    identifier: str
    op: Op
    held_by: int


class ChangeReader:
    """A change file, open for reading; use it as a context."""

    def __init__(self, path: Path) -> None:
        self._blocks = BlockReader(path, KIND)
        meta = self._blocks.meta
        self.count = self._blocks.count
        self.adds: int = meta["adds"]
        self.renewed: int = meta["renewed"]
        self.removes: int = meta["removes"]
        self.today: int = meta["today"]
        self.upload_id: str = meta["upload"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._blocks.close()

    def numbered_blocks(self) -> Iterator[tuple[int, Rows]]:
        """All rows, block by block, each block with the number of its first row; lines may be `lines.PackedLines`."""
        return self.rows_between(0, self.count - 1)

    def rows_between(self, first_row: int, last_row: int) -> Iterator[tuple[int, Rows]]:
        """The rows with these numbers (both ends inclusive), in blocks, each with the number of its first row; lines
        may be `lines.PackedLines`."""
        return self._blocks.rows_between(first_row, last_row, packed=True)


def with_ops(rows: Rows, ops: Sequence[Op]) -> Rows:
    """The rows that ask for one of these operations."""
    if len(set(ops)) == len(EVERY_OP):
        return rows
    return rows.keep(op_mask(rows, ops))


def op_mask(rows: Rows, ops: Sequence[Op]) -> npt.NDArray[np.bool_]:
    """Which rows ask for one of these operations."""
    table = np.zeros(len(EVERY_OP), np.bool_)
    table[[int(op) for op in ops]] = True
    return table[rows.columns["op"]]


def changes_of(changes: Path, first_row: int, last_row: int, ops: Sequence[Op] = EVERY_OP) -> list[Change]:
    """The changes with these row numbers (both ends inclusive); for small parts, since all are in memory."""
    found = []
    with ChangeReader(changes) as reader:
        for _, block in reader.rows_between(first_row, last_row):
            rows = with_ops(block, ops)
            columns = zip(rows.columns["op"].tolist(), rows.columns["held"].tolist(), strict=True)
            values = ln.identifiers(rows.lines)
            found += [Change(value.decode(), Op(op), held) for value, (op, held) in zip(values, columns, strict=True)]
    return found


def row_numbers(changes: ChangeReader, first_row: int, last_row: int, ops: Sequence[Op]) -> list[int]:
    """The numbers, between these two (both inclusive), of the rows with one of these operations; for small parts."""
    found: list[int] = []
    for first, block in changes.rows_between(first_row, last_row):
        found += (np.flatnonzero(op_mask(block, ops)) + first).tolist()
    return found


def nth_row(changes: ChangeReader, first_row: int, last_row: int, ops: Sequence[Op], count: int) -> int:
    """The number of the `count`-th row (from 1) with one of these operations; the last row's where there are fewer."""
    for first, block in changes.rows_between(first_row, last_row):
        places = np.flatnonzero(op_mask(block, ops))
        if count <= len(places):
            return first + int(places[count - 1])
        count -= len(places)
    return last_row


def op_counts(changes: ChangeReader, first_row: int, last_row: int, ops: Sequence[Op]) -> dict[Op, int]:
    """How many of the changes with these row numbers (both ends inclusive) ask for each of the operations."""
    counts = np.zeros(len(EVERY_OP), np.int64)
    for _, block in changes.rows_between(first_row, last_row):
        counts += np.bincount(block.columns["op"], minlength=len(EVERY_OP))
    return {op: int(counts[op]) if op in ops else 0 for op in EVERY_OP}


def rows_of(changes: Path, first_row: int, last_row: int, ops: Sequence[Op] = EVERY_OP) -> list[str]:
    """The identifiers with these row numbers (both ends inclusive); for small parts, since all are in memory."""
    found = []
    with ChangeReader(changes) as reader:
        for _, block in reader.rows_between(first_row, last_row):
            found += [value.decode() for value in ln.identifiers(with_ops(block, ops).lines)]
    return found
