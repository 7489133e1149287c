"""A look at a file's first bytes: what it is, which columns it has, what they may hold, and its first rows."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from audsync_web.vendors.connectors.identifiers import KINDS, kind_of_header
from uploads.engine.decoding import guessed_encoding, refuse_binary
from uploads.engine.refusal import FileRefused
from uploads.engine.rows import TRIM, Incomplete, read_record

LOOK = 1 << 20
SHOWN_ROWS = 20
_JUDGED_ROWS = 200
_DELIMITERS = (",", ";", "\t", "|")
# Kinds with a shape of their own, the most particular first; the others look like anything.
_GUESSABLE = ("uuid", "email_sha256", "sha1udid", "email_md5", "email", "xandr_id", "phone")
_CODECS = {"UTF-16": "utf-16", "UTF-32": "utf-32", "Latin-1": "cp1252"}


@dataclass(frozen=True)
class Column:
    """One column: its name ("" without a header), the kind that the name means, the kind its values look like."""

    index: int
    header: str
    kind: str | None
    guessed_kind: str | None


@dataclass(frozen=True)
class Sniffed:
    """What the first bytes say. `encoding` is one to read the file with; it is not UTF-8 only when that cannot be.

    `has_header`: the first row holds a column name that is known, or at least no value like those below it.
    `problem` is set when the file cannot be read at all.
    """

    encoding: str
    byte_order_mark: bool
    delimiter: str
    quoted: bool
    has_header: bool
    columns: list[Column]
    rows: list[list[str]]
    problem: FileRefused | None = None


def sniff(first: bytes, *, complete: bool = False) -> Sniffed:
    """Look at the beginning of a file (up to 1 MiB of it); `complete` says that this is all of it."""
    complete = complete and len(first) <= LOOK
    first = first[:LOOK]
    encoding, mark = _encoding(first, complete)
    try:
        refuse_binary(first)
    except FileRefused as problem:
        return Sniffed(encoding, mark, ",", False, False, [], [], problem)
    text = _text(first, encoding, complete)
    delimiter = _delimiter(text)
    rows = _rows(text, delimiter, _JUDGED_ROWS)
    has_header = _has_header(rows)
    body = rows[1:] if has_header else rows
    return Sniffed(
        encoding=encoding,
        byte_order_mark=mark,
        delimiter=delimiter,
        quoted='"' in text,
        has_header=has_header,
        columns=_columns(rows, body, has_header),
        rows=body[:SHOWN_ROWS],
    )


def _encoding(first: bytes, complete: bool) -> tuple[str, bool]:
    if first.startswith(codecs.BOM_UTF8):
        return "utf-8", True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(first, complete)
    except UnicodeDecodeError:
        pass
    else:
        if guessed_encoding(first[:4096]) == "Latin-1":
            return "utf-8", False
    name = guessed_encoding(first[:4096])
    if name == "UTF-16" and not first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16-be" if first[:1] == b"\0" else "utf-16-le"), False
    return _CODECS[name], name != "Latin-1"


def _text(first: bytes, encoding: str, complete: bool) -> str:
    """The whole lines of the sample, with LF as line end; the last line only when the file ends with it."""
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    text = codecs.getincrementaldecoder(name)(errors="replace").decode(first)
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    if complete or "\n" not in text:
        return text if text.endswith("\n") or not text else f"{text}\n"
    return text[: text.rfind("\n") + 1]


def _rows(text: str, delimiter: str, limit: int) -> list[list[str]]:
    data = text.encode()
    rows: list[list[str]] = []
    start = 0
    while start < len(data) and len(rows) < limit:
        record = read_record(data, start, delimiter.encode(), final=True)
        if isinstance(record, Incomplete):
            break
        line = data[start : record.next_start].decode("utf-8", "replace")
        if line.strip():
            fields = [field.decode("utf-8", "replace").strip(TRIM) for field in record.fields]
            rows.append(fields if not record.problem else [line.strip()])
        start = record.next_start
    return rows


def _delimiter(text: str) -> str:
    """The mark that cuts the first rows into the most columns of which every row has the same number."""
    best, most = ",", 1
    for mark in _DELIMITERS:
        widths = [len(row) for row in _rows(text, mark, SHOWN_ROWS)]
        if widths and min(widths) == max(widths) > most:
            best, most = mark, widths[0]
    return best


def _has_header(rows: list[list[str]]) -> bool:
    if not rows:
        return False
    if any(kind_of_header(name) for name in rows[0]):
        return True
    below = rows[1:]
    guesses = [_guess([row[place] for row in below if place < len(row)]) for place in range(len(rows[0]))]
    return any(kind and not _fits(name, kind) for name, kind in zip(rows[0], guesses, strict=True))


def _columns(rows: list[list[str]], body: list[list[str]], has_header: bool) -> list[Column]:
    width = max((len(row) for row in rows[:SHOWN_ROWS]), default=0)
    names = rows[0] if has_header else []
    columns = []
    for place in range(width):
        name = names[place] if place < len(names) else ""
        values = [row[place] for row in body if place < len(row)]
        columns.append(Column(place, name, kind_of_header(name) if name else None, _guess(values)))
    return columns


def _guess(values: list[str]) -> str | None:
    """The most particular kind that nine of ten values fit, or None."""
    filled = [value for value in values if value]
    for kind in _GUESSABLE:
        if filled and sum(_fits(value, kind) for value in filled) >= 0.9 * len(filled):
            return kind
    return None


def _fits(value: str, kind: str) -> bool:
    return KINDS[kind].rule.accepts(value)
