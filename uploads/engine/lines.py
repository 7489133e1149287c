"""Blocks of identifiers: an Arrow array of byte strings, each ended by a line feed.

The line feed is smaller than every byte an identifier may hold (control characters are refused), so the order of the
lines is the order of the identifiers, and the data of a sorted block is at the same time the text of its lines.
"""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Lines = Any  # pyarrow.BinaryArray, which carries no type information, or PackedLines
Positions = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

LINE_FEED = 10
_WORD = 8
# The mask that keeps the first n bytes of a big-endian word.
_KEEP = np.array(
    [0] + [(0xFFFFFFFFFFFFFFFF << (64 - 8 * n)) & 0xFFFFFFFFFFFFFFFF for n in range(1, 9)], dtype=np.uint64
)


class PackedLines(ABC):
    """Lines in another form than text, where packed blocks were asked for; `plain` makes ordinary lines of them."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def slice(self, start: int, length: int | None = None) -> PackedLines:
        """So many lines from `start` on, without a copy."""

    @abstractmethod
    def chosen(self, mask: npt.NDArray[np.bool_]) -> PackedLines:
        """The lines where the mask is true."""

    @abstractmethod
    def taken(self, positions: Positions) -> PackedLines:
        """The lines at these positions, in their order."""

    @abstractmethod
    def line_at(self, position: int) -> bytes:
        """One line with its line feed."""

    @abstractmethod
    def count_up_to(self, bound: bytes) -> int:
        """How many of these sorted lines are not greater than `bound`, a line with its line feed."""

    @abstractmethod
    def text_size(self) -> int:
        """The bytes of the text of all lines."""

    @abstractmethod
    def plain(self) -> Lines:
        """The same lines as text."""


def plain(lines: Lines) -> Lines:
    """Lines as text, whatever form they come in."""
    return lines.plain() if isinstance(lines, PackedLines) else lines


def chosen(lines: Lines, mask: npt.NDArray[np.bool_]) -> Lines:
    """The lines where the mask is true."""
    return lines.chosen(mask) if isinstance(lines, PackedLines) else lines.filter(pa.array(mask))


def taken(lines: Lines, positions: Positions) -> Lines:
    """The lines at these positions, in their order."""
    return lines.taken(positions) if isinstance(lines, PackedLines) else lines.take(pa.array(positions))


def text_size(lines: Lines) -> int:
    """The bytes of the text of all lines."""
    return lines.text_size() if isinstance(lines, PackedLines) else len(text_of(lines))


def empty() -> Lines:
    """A block without a line."""
    return pa.array([], pa.binary())


def from_text(text: bytes | memoryview | pa.Buffer) -> Lines:
    """The lines of a text that is empty or ends with a line feed; the text is not copied."""
    data = np.frombuffer(text, np.uint8)
    if not len(data):
        return empty()
    ends = line_ends(data)
    offsets = np.zeros(len(ends) + 1, np.int32)
    np.add(ends, 1, out=offsets[1:], casting="unsafe")
    return from_offsets(offsets, text)


def from_even_text(text: pa.Buffer, width: int) -> Lines:
    """The lines of a text that are known to have one length, line feed included."""
    return from_offsets(np.arange(0, len(text) + 1, width, dtype=np.int32), text)


def from_offsets(offsets: npt.NDArray[np.int32], text: bytes | memoryview | pa.Buffer) -> Lines:
    """Lines that begin and end at the given offsets of a text."""
    buffer = text if isinstance(text, pa.Buffer) else pa.py_buffer(text)
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), buffer])


def fixed_width(data: npt.NDArray[np.uint8], first_end: int) -> int:
    """The common length of all lines (line feed included) when every line is as long as the first, else 0."""
    width = first_end + 1
    if len(data) % width:
        return 0
    last_column = data.reshape(-1, width)[:, -1]
    if not (last_column == LINE_FEED).all():
        return 0
    return width if np.count_nonzero(data == LINE_FEED) == len(last_column) else 0


def line_ends(data: npt.NDArray[np.uint8]) -> Positions:
    """Where the line feeds stand. Lines of one length, the usual case, are recognised without a search."""
    first = bytes(data[:512]).find(b"\n")
    width = fixed_width(data, first) if first >= 0 else 0
    if width:
        return np.arange(width - 1, len(data), width, dtype=np.int64)
    return np.flatnonzero(data == LINE_FEED)


def offsets_of(lines: Lines) -> npt.NDArray[np.int32]:
    """Where each line begins in the data buffer, and where the last one ends."""
    offsets = np.frombuffer(lines.buffers()[1], np.int32) if len(lines) else np.zeros(1, np.int32)
    return offsets[lines.offset : lines.offset + len(lines) + 1]


def lengths(lines: Lines) -> npt.NDArray[np.int32]:
    """The length of every line, its line feed included."""
    return np.diff(offsets_of(lines))


def text_of(lines: Lines) -> memoryview:
    """The text of all lines, without a copy."""
    if not len(lines):
        return memoryview(b"")
    offsets = offsets_of(lines)
    return memoryview(lines.buffers()[2])[int(offsets[0]) : int(offsets[-1])]


def line_at(lines: Lines, position: int) -> bytes:
    """One line with its line feed."""
    value: bytes = lines.line_at(position) if isinstance(lines, PackedLines) else lines[position].as_py()
    return value


def same_text(lines: Lines, others: Lines) -> bool:
    """Whether two blocks are the same lines."""
    if len(lines) != len(others):
        return False
    same: bool = pa.py_buffer(text_of(lines)).equals(pa.py_buffer(text_of(others)))
    return same


def identifiers(lines: Lines) -> list[bytes]:
    """The identifiers as byte strings, without line feeds; for small blocks."""
    return bytes(text_of(plain(lines))).split(b"\n")[:-1]


def concat(blocks: list[Lines]) -> Lines:
    """One block of all the lines, in order."""
    if len(blocks) == 1:
        return blocks[0]
    return pa.concat_arrays(blocks) if blocks else empty()


def count_up_to(lines: Lines, bound: bytes) -> int:
    """How many of these sorted lines are not greater than `bound`."""
    if not len(lines) or line_at(lines, len(lines) - 1) <= bound:
        return len(lines)
    if isinstance(lines, PackedLines):
        return lines.count_up_to(bound)
    return bisect.bisect_right(range(len(lines)), bound, key=lambda place: line_at(lines, place))


def even_width(lines: Lines) -> int:
    """The length of every line, line feed included, when all have the same; else 0."""
    offsets = offsets_of(lines)
    if len(offsets) < 2:
        return 0
    width = int(offsets[1] - offsets[0])
    if int(offsets[-1] - offsets[0]) != width * (len(offsets) - 1):
        return 0
    return width if (offsets[1:] - offsets[:-1] == width).all() else 0


def keys(lines: Lines, depth: int = 0) -> Keys:
    """Eight bytes of every line from `depth` on as a number that orders as the bytes do; zeros stand past its end."""
    width = even_width(lines)
    if width >= depth + _WORD:
        text = text_of(lines)
        strided = np.ndarray((len(lines),), dtype=">u8", buffer=text, offset=depth, strides=(width,))
        return strided.astype(np.uint64)
    return _uneven_keys(lines, depth)


def _uneven_keys(lines: Lines, depth: int) -> Keys:
    offsets = offsets_of(lines).astype(np.int64)
    data = lines.buffers()[2] if len(lines) else b""
    if len(data) < _WORD:
        data = bytes(data).ljust(_WORD, b"\0")
    starts = offsets[:-1] + depth
    room = np.clip(offsets[1:] - starts, 0, _WORD)
    reach = np.minimum(starts, len(data) - _WORD)
    words: Keys = np.ndarray((len(data) - _WORD + 1,), dtype=">u8", buffer=data, strides=(1,))[reach].astype(np.uint64)
    if (reach != starts).any():
        words <<= (np.minimum(starts - reach, _WORD - 1) * 8).astype(np.uint64)
    if room.min(initial=_WORD) < _WORD:
        words &= _KEEP[room]
    return words
