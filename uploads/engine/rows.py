"""One row at a time: how it is read and what becomes of its value. The block-wise check must agree with this.

The dialect: RFC 4180 with the delimiter given. A value that begins with a quotation mark ends at the next single one,
over line breaks if need be, within 64 KiB; two quotation marks stand for one. A quotation mark elsewhere is an
ordinary character. A quotation mark that is not closed spoils its own line only: reading goes on at the next one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from audsync_web.vendors.connectors.identifiers import IdentifierRule

MAX_RECORD = 64 << 10
MAX_LINE = 64 << 10
# What is taken off both ends of a value: blank, tab, and the spaces of Unicode. No control character but the tab.
# A line that holds nothing else is blank.
TRIM = " \t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u2028\u2029\u205f\u3000"
BYTE_ORDER_MARK = "\ufeff"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Incomplete(Enum):
    """A quotation mark was opened and the text ended before anything could be said about it."""

    MORE = 0


@dataclass(frozen=True)
class Record:
    """The values of one row, or the reason why it cannot be read, and where the next row begins."""

    fields: list[bytes]
    problem: str
    next_start: int


@cache
def _patterns(delimiter: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    one = re.escape(delimiter)
    quoted = re.compile(rb'"((?:[^"]++|"")*+)"(' + one + rb"|\n|)")
    plain = re.compile(rb"([^" + one + rb"\n]*)(" + one + rb"|\n)")
    return quoted, plain


def read_record(text: bytes, start: int, delimiter: bytes, *, final: bool) -> Record | Incomplete:
    """The row that begins at `start` of a text of whole lines. `final` says that no line follows the text."""
    line_end = text.index(b"\n", start)
    if text.find(b'"', start, line_end) < 0:
        return Record(text[start:line_end].split(delimiter), "", line_end + 1)
    quoted, plain = _patterns(delimiter)
    fields: list[bytes] = []
    place = start
    limit = start + MAX_RECORD
    while True:
        if text[place : place + 1] != b'"':
            match = plain.match(text, place)
            assert match is not None  # noqa: S101  # the text ends with a line feed
        else:
            match = quoted.match(text, place, limit)
            if match is None:
                if len(text) < limit and not final:
                    return Incomplete.MORE
                return Record([], "bad_quoting", line_end + 1)
            if not match.group(2):
                return _after_quote(text, match.end(), limit, line_end)
        fields.append(match.group(1).replace(b'""', b'"') if text[place : place + 1] == b'"' else match.group(1))
        place = match.end()
        if match.group(2) == b"\n":
            return Record(fields, "", place)


def _after_quote(text: bytes, place: int, limit: int, line_end: int) -> Record:
    """Neither delimiter nor line end follows a closing quotation mark: the row is spoilt up to its line's end."""
    return Record([], "bad_quoting", text.index(b"\n", place) + 1 if place < limit else line_end + 1)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a row: `value` when it is taken (trimmed, in its rule's letter case), else the reason's code.

    A blank line has neither.
    """

    value: bytes = b""
    code: str = ""
    shown: bytes = b""


BLANK = Verdict()


def judge_value(raw: bytes, rule: IdentifierRule) -> Verdict:
    """The verdict on one value as it stands in the file, quotation marks taken off."""
    text = raw.decode("utf-8").strip(TRIM)
    code = _fault(text, rule)
    if code:
        return Verdict(code=code, shown=raw)
    return Verdict(value=rule.brought_to_case(text).encode())


def _fault(text: str, rule: IdentifierRule) -> str:
    if not text:
        return "empty_value"
    if BYTE_ORDER_MARK in text:
        return "byte_order_mark"
    if _CONTROL.search(text):
        return "control_character"
    if max(len(text.encode()), len(rule.brought_to_case(text).encode())) > rule.max_bytes:
        return "too_long"
    return "" if rule.accepts(text) else "not_kind"


def judge_record(record: Record, line: bytes, column: int | None, rule: IdentifierRule) -> Verdict:
    """The verdict on one row; `line` is its text without the last line feed."""
    if record.problem:
        return Verdict(code=record.problem, shown=line)
    if not line.decode("utf-8").strip(TRIM):
        return BLANK
    if column is None and len(record.fields) > 1:
        return Verdict(code="too_many_values", shown=line)
    if (column or 0) >= len(record.fields):
        return Verdict(code="missing_column", shown=line)
    return judge_value(record.fields[column or 0], rule)
