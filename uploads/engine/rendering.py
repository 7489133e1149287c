"""Rows to the bytes of a vendor's lines, a block at a time, and how long they will be before they are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from audsync_web.vendors.connectors.formats import LineFormat, Op, Wrap
from uploads.engine import lines as ln
from uploads.engine.blocks import Rows
from uploads.engine.lines import Lines

Sizes = npt.NDArray[np.int64]

_CONTINUATION = (0x80, 0xC0)


@dataclass(frozen=True)
class Rendering:
    """A format, with the wraps it was asked for kept: `wrap` is called once for each pair of operation and holders."""

    form: LineFormat
    wraps: dict[tuple[int, int], Wrap]

    @classmethod
    def of(cls, form: LineFormat) -> Rendering:
        """Ready to render this format."""
        return cls(form, {})

    def sizes(self, rows: Rows) -> Sizes:
        """For every row the bytes of its line on the wire, separator included."""
        codes, wraps = self._wraps_of(rows)
        around = np.array([len(wrap.prefix) + len(wrap.suffix) for wrap in wraps], np.int64)
        sizes: Sizes = self._value_sizes(rows.lines) + around[codes] + len(self.form.separator)
        return sizes

    def body(self, rows: Rows) -> bytes:
        """The lines of the rows in their order, joined by the separator, without one at the end."""
        if not len(rows):
            return b""
        codes, wraps = self._wraps_of(rows)
        lines = self._values(rows.lines)
        if len(wraps) == 1:
            return self._uniform(bytes(ln.text_of(lines)), wraps[0])
        return self._mixed(lines, codes, wraps)

    def _uniform(self, text: bytes, wrap: Wrap) -> bytes:
        between = wrap.suffix + self.form.separator + wrap.prefix
        joined = text[:-1] if between == b"\n" else text[:-1].replace(b"\n", between)
        return wrap.prefix + joined + wrap.suffix if wrap.prefix or wrap.suffix else joined

    def _mixed(self, lines: Lines, codes: npt.NDArray[np.int64], wraps: list[Wrap]) -> bytes:
        """Lines with different wraps, in their order: each run of equal ones is rendered as a whole."""
        values = pc.binary_replace_slice(lines, -1, (1 << 31) - 1, b"")
        index = pa.array(codes)
        prefixes = pa.array([wrap.prefix for wrap in wraps], pa.binary()).take(index)
        suffixes = pa.array([wrap.suffix + self.form.separator for wrap in wraps], pa.binary()).take(index)
        whole = pc.binary_join_element_wise(prefixes, values, suffixes, b"")
        text = ln.text_of(whole)
        return bytes(text[: len(text) - len(self.form.separator)])

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
        if (op, held) not in self.wraps:
            self.wraps[op, held] = self.form.wrap(Op(op), held)
        return self.wraps[op, held]

    def _values(self, lines: Lines) -> Lines:
        """The identifiers, escaped and encoded as the format wants; each still ended by a line feed."""
        text = bytes(ln.text_of(lines))
        changed = text
        if self.form.escape == "json" and (b'"' in text or b"\\" in text):
            changed = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        if self.form.encoding != "utf-8" and not text.isascii():
            changed = changed.decode().encode(self.form.encoding)
        return lines if changed is text else ln.from_text(changed)

    def _value_sizes(self, lines: Lines) -> Sizes:
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
