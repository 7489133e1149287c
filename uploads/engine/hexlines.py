"""Blocks of UUIDs and digests in half a byte a digit, and the work that can be done on them without unpacking.

Two snapshots of such identifiers are compared at the price of reading them: a UUID is two numbers. The order of the
numbers is the order of the lines, since the lines have one length and only the digits 0-9 and a-f in lower case.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from uploads.engine import lines as ln
from uploads.engine.lines import Keys, Lines, PackedLines, Positions

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """Lines of one width (line feed included): groups of digits (place among them, column, length) and hyphens."""

    width: int
    digits: int
    groups: tuple[tuple[int, int, int], ...]
    hyphens: tuple[int, ...] = ()


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

    def text_size(self) -> int:
        return len(self.body) * self.layout.width

    def plain(self) -> Lines:
        layout = self.layout
        digits = np.frombuffer(binascii.hexlify(self.body.data), np.uint8).reshape(-1, layout.digits)
        table = np.empty((len(digits), layout.width), np.uint8)
        table[:, -1] = ln.LINE_FEED
        for column in layout.hyphens:
            table[:, column] = ord("-")
        for source, target, length in layout.groups:
            table[:, target : target + length] = digits[:, source : source + length]
        return ln.from_even_text(pa.py_buffer(table), layout.width)

    def words(self) -> list[Keys]:
        """The digits as numbers, the most significant first."""
        table = self.body.view(">u8")
        return [table[:, place].astype(np.uint64) for place in range(table.shape[1])]

    def data(self) -> bytes:
        """The lines as they are stored."""
        return self.body.tobytes()

    def _rows(self) -> npt.NDArray[np.void]:
        return np.ascontiguousarray(self.body).view(f"V{self.body.shape[1]}").ravel()


def packed_text(text: memoryview, width: int) -> bytes | None:
    """The bytes that store a text whose lines all have this width; None when it has no layout here."""
    layout = LAYOUTS.get(width)
    if layout is None:
        return None
    data = np.frombuffer(text, np.uint8)
    table = data.reshape(-1, width)
    if any((table[:, column] != ord("-")).any() for column in layout.hyphens) or ((data - np.uint8(65)) < 26).any():
        return None
    digits = bytes(text).translate(None, b"-\n")
    if len(digits) != len(table) * layout.digits:
        return None
    try:
        return binascii.unhexlify(digits)
    except binascii.Error:
        return None


def alike(first: Lines, second: Lines) -> bool:
    """Whether both blocks are packed in the same layout."""
    return isinstance(first, HexLines) and isinstance(second, HexLines) and first.layout == second.layout


def joined(blocks: Sequence[HexLines]) -> HexLines:
    """One block of all the lines, in order."""
    return HexLines(np.concatenate([block.body for block in blocks]), blocks[0].layout)


def merge_order(lines: HexLines) -> Positions:
    """The order of lines that are two sorted runs without a common line."""
    words = lines.words()
    order: Positions = np.argsort(words[0], kind="stable")
    ordered = words[0][order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort(words[::-1])
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
