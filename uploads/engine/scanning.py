"""Whole blocks of rows at a time: rows without anything remarkable are taken by array operations, all others are
judged one by one by the rules in `rows`. So the two ways cannot disagree on a row that either would refuse: the quick
one only ever accepts, and only what the slow one is bound to accept unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from audsync_web.vendors.connectors.identifiers import MD5, OPAQUE, PLAIN, SHA1, SHA256, UUID_PATTERN, IdentifierRule
from uploads.engine import lines as ln
from uploads.engine.hexlines import HexLines, Layout
from uploads.engine.rows import MAX_LINE, Incomplete, judge_record, read_record

Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

# Rules that say no more than "no control character" (and no comma, no quote): remarkable bytes are all there is to see.
_UNSHAPED = {PLAIN.pattern, OPAQUE.pattern}
# The same by their form: any characters but these.
_ANY_BUT = re.compile(r"\[\^[^\[\]]+\]\+")
# Rules of one length in hexadecimal digits: that length, and where the hyphens stand.
_HEXADECIMAL = {
    UUID_PATTERN: (36, (8, 13, 18, 23)),
    SHA256.pattern: (64, ()),
    SHA1.pattern: (40, ()),
    MD5.pattern: (32, ()),
}


@dataclass(frozen=True)
class Rejected:
    """A row that was not taken: its line in the file (from 1), the code of the reason, the value as it stands there."""

    line: int
    code: str
    value: bytes


@dataclass
class Scan:
    """What a block of whole lines held. `consumed` is shorter than the block when its last row goes on behind it.

    `taken` are the accepted values, normalised, one a line (in no particular order); empty when not asked for.
    """

    consumed: int = 0
    lines: int = 0
    accepted: int = 0
    blank: int = 0
    quotes: bool = False
    taken: list[bytes] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class Scanner:
    """Judges blocks of rows of one file. `column` None: every row is one value.

    `keep`: scans carry the accepted values. `block_wise` False: all rows are judged one by one.
    """

    def __init__(
        self,
        rule: IdentifierRule,
        delimiter: str = ",",
        column: int | None = None,
        *,
        keep: bool = False,
        block_wise: bool = True,
    ) -> None:
        self.rule = rule
        self.delimiter = delimiter
        self.column = column
        self.keep = keep
        self.block_wise = block_wise
        self._marks = sorted({b'"', b",", delimiter.encode()})
        self._scratch = (np.zeros(0, np.uint8), np.zeros(0, np.bool_))

    def scan(self, text: bytes, first_line: int, *, final: bool, start: int = 0, stop: int | None = None) -> Scan:
        """Judge the whole lines of a text from `start` up to `stop`; the first of them is number `first_line` of its
        file. `final`: no row may go on behind them."""
        stop = len(text) if stop is None else stop
        if start == stop:
            return Scan()
        count = self._even_lines(text, start, stop) if self.column is None and self.block_wise else 0
        body = text if start == 0 and stop == len(text) else b""
        if count:
            scan = Scan(consumed=stop - start, lines=count, accepted=count)
            if self.keep:
                scan.taken.append(self._normalised(body or text[start:stop]))
            return scan
        return self._scan_uneven(body or text[start:stop], first_line, final=final)

    def _even_lines(self, text: bytes, start: int, stop: int) -> int:
        """How many lines there are when all have one length and nothing remarkable in them; else 0.

        The usual file of hashes or UUIDs passes through here, so it is three passes over a block in the cache.
        """
        width = text.find(b"\n", start, stop) - start + 1
        size = stop - start
        if (
            not 2 <= width <= self.rule.max_bytes + 1
            or size % width
            or any(text.find(mark, start, stop) >= 0 for mark in (*self._marks, b" "))
        ):
            return 0
        if len(self._scratch[0]) < size:
            self._scratch = (np.empty(size, np.uint8), np.empty(size, np.bool_))
        data = np.frombuffer(text, np.uint8, size, start)
        count = size // width
        shifted = np.subtract(data, 32, out=self._scratch[0][:size])
        odd = np.greater(shifted, 94, out=self._scratch[1][:size])
        if np.count_nonzero(odd) != count or not (data.reshape(count, width)[:, -1] == ln.LINE_FEED).all():
            return 0
        pattern = self.rule.pattern
        if _is_unshaped(self.rule):
            return count
        shape = _HEXADECIMAL.get(pattern)
        return count if shape is not None and _all_hexadecimal(data, count, *shape) else 0

    def _normalised(self, text: bytes) -> bytes:
        return text.lower() if self.rule.case == "lower" else text

    def _scan_uneven(self, text: bytes, first_line: int, *, final: bool) -> Scan:
        scan = Scan()
        ends = ln.line_ends(np.frombuffer(text, np.uint8))
        for start, stop in _around_long_lines(text, ends):
            if stop - start > MAX_LINE and text.find(b"\n", start) == stop - 1:
                scan.rejected.append(Rejected(first_line + scan.lines, "too_long", text[start : start + MAX_LINE]))
                scan.lines += 1
                scan.consumed = stop
            else:
                whole = start == 0 and stop == len(text)
                piece = text if whole else text[start:stop]
                self._scan_piece(scan, piece, first_line, final or stop < len(text), ends if whole else None)
        return scan

    def _scan_piece(self, scan: Scan, text: bytes, first_line: int, final: bool, ends: ln.Positions | None) -> None:
        data = np.frombuffer(text, np.uint8)
        if ends is None:
            ends = ln.line_ends(data)
        scan.quotes = scan.quotes or b'"' in text
        unquoted = _without_quotes(text, len(ends)) if self.column is None and self.block_wise else None
        if unquoted is None or self.delimiter.encode() in unquoted:
            suspects = self._suspects(text, data, ends)
            self._walk(scan, text, ends, suspects, first_line, final)
            return
        inner = np.frombuffer(unquoted, np.uint8)
        inner_ends = ends - 2 * np.arange(1, len(ends) + 1)
        suspects = self._suspects(unquoted, inner, inner_ends)
        self._walk(scan, text, ends, suspects, first_line, final, unquoted, inner_ends)

    def _suspects(self, text: bytes, data: Bytes, ends: ln.Positions) -> npt.NDArray[np.int64]:
        """The numbers of the lines that are to be judged one by one."""
        if self.column is not None or not self.block_wise:
            return np.arange(len(ends))
        starts = np.empty_like(ends)
        starts[0] = 0
        np.add(ends[:-1], 1, out=starts[1:])
        sizes = ends - starts
        suspect = (sizes == 0) | (sizes > self.rule.max_bytes)
        odd = self._odd_bytes(text, data, len(ends))
        if len(odd):
            suspect[np.searchsorted(ends, odd)] = True
        if b" " in text:
            suspect |= (data[starts] == 32) | (data[np.maximum(ends - 1, 0)] == 32)
        misfits = self._misfits(text, data, ends)
        if misfits is not None:
            suspect |= misfits
        return np.flatnonzero(suspect)

    def _odd_bytes(self, text: bytes, data: Bytes, line_count: int) -> npt.NDArray[np.int64]:
        """Where bytes stand that are not printable ASCII, or mean something in CSV; the line feeds left out."""
        odd = (data - np.uint8(32)) > 94
        places = []
        if np.count_nonzero(odd) != line_count:
            places.append(np.flatnonzero(odd & (data != ln.LINE_FEED)))
        for mark in self._marks:
            if mark in text:
                places.append(np.flatnonzero(data == ord(mark)))
        return np.concatenate(places) if places else np.zeros(0, np.int64)

    def _misfits(self, text: bytes, data: Bytes, ends: ln.Positions) -> Mask | None:
        """Which lines do not have the shape that the rule asks for; None when all have it."""
        pattern = self.rule.pattern
        if _is_unshaped(self.rule):
            return None
        if pattern in _HEXADECIMAL and _all_hexadecimal(data, len(ends), *_HEXADECIMAL[pattern]):
            return None
        offsets = np.zeros(len(ends) + 1, np.int32)
        np.add(ends, 1, out=offsets[1:], casting="unsafe")
        lines = ln.from_offsets(offsets, text)
        fits = pc.match_substring_regex(lines, rf"\A(?:{pattern})\n\z")
        return ~np.asarray(fits, np.bool_) | _refused_by_name(lines, text, self.rule)

    def _walk(
        self,
        scan: Scan,
        text: bytes,
        ends: ln.Positions,
        suspects: npt.NDArray[np.int64],
        first_line: int,
        final: bool,
        clean_text: bytes | None = None,
        clean_ends: ln.Positions | None = None,
    ) -> None:
        """Judge the suspects, take the other lines, up to a row that is not complete."""
        base = scan.lines
        seen = np.zeros(0, np.bool_) if not len(suspects) else np.zeros(len(ends), np.bool_)
        stop = self._judge(scan, text, ends, suspects, first_line, final, seen)
        scan.lines = base + stop
        scan.consumed += int(ends[stop - 1]) + 1 if stop else 0
        clean = stop - (int(np.count_nonzero(seen[:stop])) if len(seen) else 0)
        scan.accepted += clean
        if self.keep and clean:
            kept = _chosen(clean_text or text, ends if clean_ends is None else clean_ends, seen, stop)
            scan.taken.append(self._normalised(kept))

    def _judge(
        self,
        scan: Scan,
        text: bytes,
        ends: ln.Positions,
        suspects: npt.NDArray[np.int64],
        first_line: int,
        final: bool,
        seen: Mask,
    ) -> int:
        """Judge the suspects one by one, marking the lines of their rows as seen; how many lines were whole rows."""
        delimiter = self.delimiter.encode()
        values: list[bytes] = []
        next_line, stop = 0, len(ends)
        for number, start in zip(suspects.tolist(), _starts(ends, suspects), strict=True):
            if number < next_line:
                continue
            record = read_record(text, start, delimiter, final=final)
            if record is Incomplete.MORE:
                stop = number
                break
            next_line = number + 1 if record.next_start == ends[number] + 1 else _line_of(ends, record.next_start)
            seen[number:next_line] = True
            verdict = judge_record(record, text[start : record.next_start - 1], self.column, self.rule)
            if verdict.code:
                scan.rejected.append(Rejected(first_line + scan.lines + number, verdict.code, verdict.shown))
            elif verdict.value:
                values.append(verdict.value)
            else:
                scan.blank += 1
        scan.accepted += len(values)
        if self.keep and values:
            scan.taken.append(b"\n".join([*values, b""]))
        return stop


def _starts(ends: ln.Positions, numbers: npt.NDArray[np.int64]) -> list[int]:
    starts: list[int] = np.where(numbers == 0, 0, ends[numbers - 1] + 1).tolist()
    return starts


def _line_of(ends: ln.Positions, start: int) -> int:
    return int(np.searchsorted(ends, start))


def _chosen(text: bytes, ends: ln.Positions, seen: Mask, stop: int) -> bytes:
    """The text of the first `stop` lines that were not judged one by one."""
    if not len(seen):
        return text if stop == len(ends) else text[: int(ends[stop - 1]) + 1]
    offsets = np.zeros(stop + 1, np.int32)
    np.add(ends[:stop], 1, out=offsets[1:], casting="unsafe")
    kept = ln.from_offsets(offsets, text).filter(pa.array(~seen[:stop]))
    return bytes(ln.text_of(kept))


def _around_long_lines(text: bytes, ends: ln.Positions) -> Iterator[tuple[int, int]]:
    """The text cut into over-long lines, each alone, and what stands between them."""
    if len(text) <= MAX_LINE:
        yield 0, len(text)
        return
    sizes = np.diff(ends, prepend=-1) - 1
    start = 0
    for number in np.flatnonzero(sizes > MAX_LINE).tolist():
        line_start = int(ends[number] - sizes[number])
        if line_start > start:
            yield start, line_start
        start = int(ends[number]) + 1
        yield line_start, start
    if start < len(text):
        yield start, len(text)


def _without_quotes(text: bytes, line_count: int) -> bytes | None:
    """The text without its quotation marks when every line is one quoted value that holds none; else None."""
    if text[:1] != b'"' or text.count(b'"') != 2 * line_count:
        return None
    if not text.endswith(b'"\n') or text.count(b'"\n"') != line_count - 1:
        return None
    unquoted = text[1:-2].replace(b'"\n"', b"\n") + b"\n"
    return None if unquoted.startswith(b"\n") or b"\n\n" in unquoted else unquoted


def _all_hexadecimal(data: Bytes, line_count: int, size: int, hyphens: tuple[int, ...]) -> bool:
    """Whether every line has exactly this size, hyphens at these places, and hexadecimal digits at all others."""
    if len(data) != line_count * (size + 1):
        return False
    table = data.reshape(line_count, size + 1)
    if not (table[:, size] == ln.LINE_FEED).all() or any(not (table[:, place] == 45).all() for place in hyphens):
        return False
    digits = ((data - np.uint8(48)) < 10) | (((data | np.uint8(32)) - np.uint8(97)) < 6)
    return bool(np.count_nonzero(digits) == line_count * (size - len(hyphens)))


def misfits(lines: ln.Lines, rule: IdentifierRule) -> Mask:
    """Which identifiers of a block do not fit a rule, by size or by shape; the same verdict as `rule.accepts`."""
    if isinstance(lines, HexLines):
        if _fits_layout(lines.layout, rule):
            return np.zeros(len(lines), np.bool_)
        lines = lines.plain()
    text = bytes(ln.text_of(lines))
    faults: Mask = (ln.lengths(lines) - 1 > rule.max_bytes) | _refused_by_name(lines, text, rule)
    if rule.pattern in _HEXADECIMAL and _all_hexadecimal(
        np.frombuffer(text, np.uint8), len(lines), *_HEXADECIMAL[rule.pattern]
    ):
        return faults
    if text.isascii():
        characters = _characters(rule.pattern)
        has_empty = text.startswith(b"\n") or b"\n\n" in text
        if characters and not has_empty and not text.translate(None, characters + b"\n"):
            return faults
        fits = pc.match_substring_regex(lines, rf"\A(?:{rule.pattern})\n\z")
        return faults | ~np.asarray(fits, np.bool_)
    # RE2 and Python differ on what is white space outside ASCII; Python's word is the rule's.
    accepted = np.fromiter((rule.accepts(value) for value in text.decode().split("\n")[:-1]), np.bool_, len(lines))
    return faults | ~accepted


def _is_unshaped(rule: IdentifierRule) -> bool:
    return rule.pattern in _UNSHAPED and not rule.never


def _refused_by_name(lines: pa.BinaryArray, text: bytes, rule: IdentifierRule) -> Mask:
    """Which lines hold a value that fits the pattern and is refused all the same."""
    sought = [f"{value}\n".encode() for value in rule.never]
    if not any(value in text for value in sought):
        return np.zeros(len(lines), np.bool_)
    return np.asarray(pc.is_in(lines, value_set=pa.array(sought, lines.type)), np.bool_)


def _fits_layout(layout: Layout, rule: IdentifierRule) -> bool:
    """Whether all lines of a layout fit a rule."""
    if any(len(value.encode()) == layout.width - 1 for value in rule.never):
        return False
    if rule.pattern in _HEXADECIMAL:
        return _HEXADECIMAL[rule.pattern] == (layout.width - 1, layout.hyphens)
    return layout.width - 1 <= rule.max_bytes and set(b"0123456789abcdef-") <= set(_characters(rule.pattern))


@cache
def _characters(pattern: str) -> bytes:
    """The ASCII characters that a pattern allows anywhere, where it says no more than that; else none."""
    if not _ANY_BUT.fullmatch(pattern):
        return b""
    return bytes(code for code in range(128) if re.fullmatch(pattern, chr(code)))
