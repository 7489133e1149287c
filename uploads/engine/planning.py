"""How a delivery's changes are cut into parts: exact sizes, known before a byte is written, cut at line ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audsync_web.vendors.connectors.formats import LineFormat, Op, PartRules
from uploads.engine import changes as ch
from uploads.engine.blocks import Rows
from uploads.engine.changes import ChangeReader
from uploads.engine.packing import PackedSize
from uploads.engine.rendering import Rendering

SENDING: tuple[Op, ...] = (Op.ADD, Op.RENEW)
_NO_LIMIT = 1 << 62


class PartTooLarge(ValueError):
    """A single line is larger than the vendor takes in one part."""


@dataclass(frozen=True)
class PartRange:
    """A part to be: the rows `first_row` to `last_row` of the change file (both inclusive) with one of `ops`.

    `adds` counts renewals too. `bytes` is the exact size unpacked.
    """

    number: int
    first_row: int
    last_row: int
    ops: tuple[Op, ...]
    adds: int
    removes: int
    lines: int
    bytes: int


def plan_parts(changes: Path, form: LineFormat, rules: PartRules) -> Iterator[PartRange]:
    """The parts that the changes are to be sent in, in order. The change file is read once (twice when operations are
    kept apart), block by block. Raises `PartTooLarge`."""
    number = 0
    with ChangeReader(changes) as reader:
        for ops in _passes(rules):
            for part in _Cutter(form, rules, ops).parts(reader):
                number += 1
                yield _numbered(part, number)


def _passes(rules: PartRules) -> list[tuple[Op, ...]]:
    if not rules.split_operations:
        return [ch.EVERY_OP]
    passes: list[tuple[Op, ...]] = [SENDING, (Op.REMOVE,)]
    return passes[::-1] if rules.removals_first else passes


def _numbered(part: PartRange, number: int) -> PartRange:
    return PartRange(**{**part.__dict__, "number": number})


@dataclass
class _Open:
    """The part that is being filled."""

    first_row: int
    last_row: int
    adds: int = 0
    removes: int = 0
    body: int = 0

    @property
    def lines(self) -> int:
        return self.adds + self.removes


class _Cutter:
    """Fills parts with rows up to the first limit that is reached."""

    def __init__(self, form: LineFormat, rules: PartRules, ops: tuple[Op, ...]) -> None:
        self._form = form
        self._ops = ops
        self._rendering = Rendering(form)
        self._frame = len(form.opening) + len(form.closing)
        self._last_separator = 0 if form.final_separator else len(form.separator)
        self._max_lines = min(rules.max_lines or _NO_LIMIT, self._removal_limit(rules))
        self._max_bytes = rules.max_bytes or _NO_LIMIT
        self._packed = PackedSize(form, rules.max_wire_bytes) if rules.max_wire_bytes and form.gzip else None
        if rules.max_wire_bytes and not form.gzip:
            self._max_bytes = min(self._max_bytes, rules.max_wire_bytes)
        self._open: _Open | None = None

    def _removal_limit(self, rules: PartRules) -> int:
        removing = Op.REMOVE in self._ops
        return rules.max_removals or _NO_LIMIT if removing and rules.split_operations else _NO_LIMIT

    def parts(self, reader: ChangeReader) -> Iterator[PartRange]:
        """All parts of the change file that hold one of the operations."""
        for first, block in reader.numbered_blocks():
            mask = ch.op_mask(block, self._ops)
            numbers = np.flatnonzero(mask) + first
            if len(numbers):
                yield from self._fill(block.keep(mask), numbers)
        if self._open is not None:
            yield self._close()

    def _fill(self, rows: Rows, numbers: npt.NDArray[np.int64]) -> Iterator[PartRange]:
        sizes = self._rendering.sizes(rows)
        running = np.cumsum(sizes)
        removing = np.cumsum(rows.columns["op"] == int(Op.REMOVE))
        start = 0
        while start < len(rows):
            used = self._open
            room = self._max_lines - (used.lines if used else 0)
            spent = int(running[start - 1]) if start else 0
            budget = self._max_bytes - self._frame + self._last_separator - (used.body if used else 0)
            stop = min(int(np.searchsorted(running, spent + budget, side="right")), start + room, len(rows))
            if self._packed is not None and stop > start:
                stop = start + self._packed.take(self._rendering, rows.slice(start, stop))
            if stop <= start:
                if used is None:
                    raise PartTooLarge("A single line is larger than the vendor takes in one part.")
                yield self._close()
                continue
            removes = int(removing[stop - 1]) - (int(removing[start - 1]) if start else 0)
            self._extend(numbers, start, stop, removes, int(running[stop - 1]) - spent)
            start = stop
            if self._packed is not None and self._packed.full:
                yield self._close()

    def _extend(self, numbers: npt.NDArray[np.int64], start: int, stop: int, removes: int, size: int) -> None:
        if self._open is None:
            self._open = _Open(int(numbers[start]), int(numbers[start]))
        part = self._open
        part.last_row = int(numbers[stop - 1])
        part.adds += stop - start - removes
        part.removes += removes
        part.body += size

    def _close(self) -> PartRange:
        part, self._open = self._open, None
        if part is None:
            raise LookupError("there is no open part")
        if self._packed is not None:
            self._packed.reset()
        size = self._frame + part.body - self._last_separator
        return PartRange(0, part.first_row, part.last_row, self._ops, part.adds, part.removes, part.lines, size)
