"""Blocks of UUIDs and digests in half a byte a digit, and the work that can be done on them without unpacking.

Two snapshots of such identifiers are compared at the price of reading them: a UUID is two numbers. The order of the
numbers is the order of the lines, since the lines have one length and only the digits 0-9 and a-f in lower case.
"""

from __future__ import annotations

import binascii
import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from uploads.engine import lines as ln
from uploads.engine.lines import Keys, Lines, PackedLines, Positions

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# Digits and small letters have this bit in every byte, capital letters lack it.
_SMALL = np.uint64(0x2020202020202020)


@dataclass(frozen=True)
class Layout:
    """Lines of one width (line feed included): groups of digits (place among them, column, length) and hyphens."""

    width: int
    digits: int
    groups: tuple[tuple[int, int, int], ...]
    hyphens: tuple[int, ...] = ()

    @property
    def ends(self) -> list[int]:
        """The columns that hold no digit."""
        return [*self.hyphens, self.width - 1]

    @property
    def end_bytes(self) -> Bytes:
        """What stands in the columns that hold no digit."""
        return np.array([*(ord("-") for _ in self.hyphens), ln.LINE_FEED], np.uint8)

    @property
    def skeleton(self) -> bytes:
        """A line without its line feed, zeros in the place of its digits."""
        return bytes(ord("-") if column in self.hyphens else 0 for column in range(self.width - 1))

    @staticmethod
    def column(table: Bytes, start: int, length: int) -> npt.NDArray[np.void]:
        """So many columns of a table that lies in one piece, as one: copying them byte by byte takes twice as long."""
        return np.ndarray((len(table),), f"V{length}", table.data, start, (table.shape[1],))


_UUID = Layout(37, 32, ((0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12)), (8, 13, 18, 23))
LAYOUTS = {layout.width: layout for layout in (_UUID, Layout(33, 32, ((0, 0, 32),)), Layout(65, 64, ((0, 0, 64),)))}


class HexLines(PackedLines):
    """Lines of one layout as a table of bytes, two digits each."""

    def __init__(self, body: Bytes, layout: Layout) -> None:
        self.body = body
        self.layout = layout

    @classmethod
    def read(cls, data: bytes, width: int) -> HexLines:
        """The lines that were stored as these bytes."""
        layout = LAYOUTS[width]
        return cls(np.frombuffer(data, np.uint8).reshape(-1, layout.digits // 2), layout)

    def __len__(self) -> int:
        return len(self.body)

    def slice(self, start: int, length: int | None = None) -> HexLines:
        stop = None if length is None else start + length
        return HexLines(self.body[start:stop], self.layout)

    def chosen(self, mask: Mask) -> HexLines:
        return HexLines(self._rows()[mask].view(np.uint8).reshape(-1, self.body.shape[1]), self.layout)

    def taken(self, positions: Positions) -> HexLines:
        return HexLines(self._rows()[positions].view(np.uint8).reshape(-1, self.body.shape[1]), self.layout)

    def line_at(self, position: int) -> bytes:
        return bytes(ln.text_of(self.slice(position, 1).plain()))

    def count_up_to(self, bound: bytes) -> int:
        key = packed_text(bound, self.layout.width) if len(bound) == self.layout.width else None
        places = range(len(self))
        if key is None:
            return bisect.bisect_right(places, bound, key=self.line_at)
        return bisect.bisect_right(places, key, key=lambda place: self.body[place].tobytes())

    def text_size(self) -> int:
        return len(self.body) * self.layout.width

    def plain(self) -> Lines:
        table = np.empty((len(self), self.layout.width), np.uint8)
        table[:, self.layout.ends] = self.layout.end_bytes
        self.spell(table, 0)
        return ln.from_even_text(pa.py_buffer(table), self.layout.width)

    def spell(self, table: Bytes, start: int) -> None:
        """Write the digits of every line into its row of a table that lies in one piece, the line beginning at a
        column. Where a line has hyphens or its line feed, the table is left as it is."""
        digits = np.frombuffer(binascii.hexlify(self.body.data), np.uint8).reshape(-1, self.layout.digits)
        for source, target, length in self.layout.groups:
            self.layout.column(table, start + target, length)[:] = self.layout.column(digits, source, length)

    def word(self, place: int) -> Keys:
        """Sixteen digits of every line as a number; place 0 are the most significant."""
        return self.body.view(">u8")[:, place].astype(np.uint64)

    def words(self) -> list[Keys]:
        """The digits as numbers, the most significant first."""
        return [self.word(place) for place in range(self.body.shape[1] // 8)]

    def data(self) -> memoryview:
        """The lines as they are stored."""
        return np.ascontiguousarray(self.body).data.cast("B")

    def _rows(self) -> npt.NDArray[np.void]:
        return np.ascontiguousarray(self.body).view(f"V{self.body.shape[1]}").ravel()


def packed_text(text: bytes | memoryview, width: int) -> bytes | None:
    """The bytes that store a text whose lines all have this width; None when it has no layout here."""
    layout = LAYOUTS.get(width)
    if layout is None or len(text) % width:
        return None
    table = np.frombuffer(text, np.uint8).reshape(-1, width)
    if not (table[:, layout.ends] == layout.end_bytes).all():
        return None
    digits = np.empty((len(table), layout.digits), np.uint8)
    for target, source, length in layout.groups:
        layout.column(digits, target, length)[:] = layout.column(table, source, length)
    if np.bitwise_and.reduce(digits.view(np.uint64), axis=None, initial=_SMALL) != _SMALL:
        return None
    try:
        return binascii.unhexlify(digits.data)
    except binascii.Error:
        return None


def packed_lines(text: bytes) -> HexLines | None:
    """The lines of a text, packed; None when they have no layout here. Any text that ends with a line feed will do."""
    width = text.find(b"\n") + 1
    data = packed_text(text, width) if width else None
    return None if data is None else HexLines.read(data, width)


def sorted_unique(lines: HexLines) -> HexLines:
    """The distinct lines in order."""
    first = lines.word(0)
    order = np.argsort(first)
    tied = _as_before(first[order])
    if not tied.any():
        return lines.taken(order)
    words = lines.words()
    same = _same_as_before(words, order)
    if not np.array_equal(tied, same):
        # Different lines begin with the same word.
        order = np.lexsort(words[::-1])
        same = _same_as_before(words, order)
    return lines.taken(order[np.append(True, ~same)])


def _same_as_before(words: Sequence[Keys], order: Positions) -> Mask:
    """For each place but the first, whether all words equal those before."""
    same = np.ones(len(order) - 1, np.bool_)
    for word in words:
        same &= _as_before(word[order])
    return same


def _as_before(word: Keys) -> Mask:
    equal: Mask = word[1:] == word[:-1]
    return equal


def alike(first: Lines, second: Lines) -> bool:
    """Whether both blocks are packed in the same layout."""
    return isinstance(first, HexLines) and isinstance(second, HexLines) and first.layout == second.layout


def joined(blocks: Sequence[HexLines]) -> HexLines:
    """One block of all the lines, in order."""
    return HexLines(np.concatenate([block.body for block in blocks]), blocks[0].layout)


def merge_order(lines: HexLines) -> Positions:
    """The order of lines that are a few sorted runs without a common line."""
    first = lines.word(0)
    order: Positions = np.argsort(first, kind="stable")
    if _as_before(first[order]).any():
        order = np.lexsort(lines.words()[::-1])
    return order


def positions_in(lines: HexLines, others: HexLines) -> Positions | None:
    """For each line its place among the other lines, -1 where it is not one of them; None when the first eight bytes
    do not tell the other lines apart. Both sorted, of one layout, not empty."""
    if len(lines) == len(others) and np.array_equal(lines.body, others.body):
        return np.arange(len(lines), dtype=np.int64)
    mine, theirs = lines.words(), others.words()
    if (theirs[0][1:] == theirs[0][:-1]).any():
        return None
    places: Positions = np.searchsorted(theirs[0], mine[0])
    places[places == len(others)] = len(others) - 1
    found = theirs[0][places] == mine[0]
    for word, other_word in zip(mine[1:], theirs[1:], strict=True):
        found &= other_word[places] == word
    places[~found] = -1
    return places
