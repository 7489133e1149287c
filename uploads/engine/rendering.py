"""Rows to the bytes of a vendor's lines, a block at a time, and how long they will be before they are made."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from audsync_web.vendors.connectors.formats import LineFormat, Op, Wrap
from uploads.engine import lines as ln
from uploads.engine.blocks import Rows
from uploads.engine.hexlines import HexLines
from uploads.engine.lines import Lines

Sizes = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

# Rows that are rendered and packed in one go: few enough for a core's own cache, enough to pack well.
PIECE_ROWS = 4096
_CONTINUATION = (0x80, 0xC0)


class Rendering:
    """Renders rows in one format. `wrap` is called once for each pair of operation and holders. Safe in threads."""

    def __init__(self, form: LineFormat) -> None:
        self.form = form
        self._wraps: dict[tuple[int, int], Wrap] = {}
        self._templates: dict[tuple[Wrap, bytes], Bytes] = {}

    def sizes(self, rows: Rows) -> Sizes:
        """For every row the bytes of its line on the wire, separator included."""
        codes, wraps = self._wraps_of(rows)
        around = np.array([len(wrap.prefix) + len(wrap.suffix) for wrap in wraps], np.int64)
        sizes: Sizes = self._value_sizes(rows.lines) + around[codes] + len(self.form.separator)
        return sizes

    def pieces(self, rows: Rows) -> Iterator[Rows]:
        """The rows in steps of `PIECE_ROWS`: what is rendered, and packed, in one go."""
        for start in range(0, len(rows), PIECE_ROWS):
            yield rows.slice(start, min(start + PIECE_ROWS, len(rows)))

    def piece(self, rows: Rows) -> memoryview:
        """The lines of up to `PIECE_ROWS` rows, in their order, *each after a separator*: drop the first of a part."""
        codes, wraps = self._wraps_of(rows)
        if len(wraps) > 1:
            return self._mixed(self._values(ln.plain(rows.lines)), codes, wraps)
        if isinstance(rows.lines, HexLines):
            return self._hexadecimal(rows.lines, wraps[0])
        text = ln.text_of(rows.lines)
        width = ln.even_width(rows.lines)
        values = self._changed(text)
        if width and values is None:
            return self._even(text, width, wraps[0])
        return self._uneven(bytes(text) if values is None else values, wraps[0])

    def body(self, rows: Rows) -> bytes:
        """The lines of any number of rows, joined by the separator, without one at the end."""
        return b"".join(self.piece(piece) for piece in self.pieces(rows))[len(self.form.separator) :]

    def _even(self, text: memoryview, width: int, wrap: Wrap) -> memoryview:
        """Identifiers of one length fall into their columns of a table whose other columns never change."""
        values = np.frombuffer(text, np.uint8).reshape(-1, width)
        table, begin = self._table(wrap, bytes(width - 1), len(values))
        table[:, begin : begin + width - 1] = values[:, :-1]
        return table.reshape(-1).data

    def _hexadecimal(self, lines: HexLines, wrap: Wrap) -> memoryview:
        """The same from packed identifiers: nothing in them needs escaping or another encoding."""
        table, begin = self._table(wrap, lines.layout.skeleton, len(lines))
        lines.spell(table, begin)
        return table.reshape(-1).data

    def _table(self, wrap: Wrap, skeleton: bytes, size: int) -> tuple[Bytes, int]:
        """So many lines around a skeleton of an identifier, and the column where that begins."""
        template = self._templates.get((wrap, skeleton))
        if template is None:
            line = self.form.separator + wrap.prefix + skeleton + wrap.suffix
            template = np.tile(np.frombuffer(line, np.uint8), (PIECE_ROWS, 1))
            self._templates[wrap, skeleton] = template
        return template[:size].copy(), len(self.form.separator) + len(wrap.prefix)

    def _uneven(self, text: bytes, wrap: Wrap) -> memoryview:
        before = self.form.separator + wrap.prefix
        return memoryview(before + text[:-1].replace(b"\n", wrap.suffix + before) + wrap.suffix)

    def _mixed(self, lines: Lines, codes: npt.NDArray[np.int64], wraps: list[Wrap]) -> memoryview:
        """Lines with different wraps, in their order."""
        values = pc.binary_replace_slice(lines, -1, (1 << 31) - 1, b"")
        index = pa.array(codes)
        prefixes = pa.array([self.form.separator + wrap.prefix for wrap in wraps], pa.binary()).take(index)
        suffixes = pa.array([wrap.suffix for wrap in wraps], pa.binary()).take(index)
        return ln.text_of(pc.binary_join_element_wise(prefixes, values, suffixes, b""))

    def _wraps_of(self, rows: Rows) -> tuple[npt.NDArray[np.int64], list[Wrap]]:
        """For every row the number of its wrap, and the different wraps among these rows."""
        ops, held = rows.columns["op"], rows.columns["held"]
        if (ops == ops[0]).all() and (held == held[0]).all():
            return np.zeros(len(rows), np.int64), [self._wrap(int(ops[0]), int(held[0]))]
        pairs = np.stack([ops.astype(np.uint64), held.astype(np.uint64)], axis=1)
        distinct, codes = np.unique(pairs, axis=0, return_inverse=True)
        found = [self._wrap(int(op), int(mask)) for op, mask in distinct.tolist()]
        wraps = list(dict.fromkeys(found))
        merged = np.array([wraps.index(wrap) for wrap in found], np.int64)
        return merged[codes.ravel()], wraps

    def _wrap(self, op: int, held: int) -> Wrap:
        if (op, held) not in self._wraps:
            self._wraps[op, held] = self.form.wrap(Op(op), held)
        return self._wraps[op, held]

    def _values(self, lines: Lines) -> Lines:
        changed = self._changed(ln.text_of(lines))
        return lines if changed is None else ln.from_text(changed)

    def _changed(self, view: memoryview) -> bytes | None:
        """The identifiers escaped and encoded as the format wants, each ended by a line feed; None: as they are."""
        if self.form.escape == "none" and self.form.encoding == "utf-8":
            return None
        text = changed = bytes(view)
        if self.form.escape == "json" and (b'"' in text or b"\\" in text):
            changed = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        if self.form.encoding != "utf-8" and not text.isascii():
            changed = changed.decode().encode(self.form.encoding)
        return None if changed is text else changed

    def _value_sizes(self, lines: Lines) -> Sizes:
        if isinstance(lines, HexLines):
            return np.full(len(lines), lines.layout.width - 1, np.int64)
        sizes = (ln.lengths(lines) - 1).astype(np.int64)
        text = ln.text_of(lines)
        data = np.frombuffer(text, np.uint8)
        if self.form.escape == "json":
            escaped = (data == 0x22) | (data == 0x5C)
            if escaped.any():
                sizes += _count_per_line(lines, escaped)
        if self.form.encoding != "utf-8":
            mask, mark = _CONTINUATION[1], _CONTINUATION[0]
            inner = (data & mask) == mark
            if inner.any():
                sizes -= _count_per_line(lines, inner)
        return sizes


def _count_per_line(lines: Lines, marked: npt.NDArray[np.bool_]) -> Sizes:
    offsets = ln.offsets_of(lines).astype(np.int64)
    running = np.concatenate([[0], np.cumsum(marked)])
    places = offsets - offsets[0]
    counts: Sizes = running[places[1:]] - running[places[:-1]]
    return counts
