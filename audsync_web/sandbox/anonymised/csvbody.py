"""The check of a membership file while it arrives (spec section 9): by blocks, holding only an unfinished line."""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile

import numpy as np

BAD_HEADER = "invalid CSV header: expected exactly one column"
TOO_LARGE = "file size exceeds maximum allowed size"

LONGEST_LINE = 1024 * 1024
IN_MEMORY = 4 * 1024 * 1024
MARK = codecs.BOM_UTF8
LINE_FEED = 10


class Refused(Exception):
    """An error answer: its status, its one sentence, and headers that go with it."""

    def __init__(self, status: int, error: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = headers or {}


@dataclass(frozen=True)
class Rules:
    """What is taken beyond the strict reading; each is a switch of the sandbox."""

    max_bytes: int
    lax_header: bool = False
    bad_rows_later: bool = False
    blank_lines: bool = False
    mark: bool = False
    any_bytes: bool = False
    header_only: bool = False


class CsvBody:
    """Takes a file block by block; `finish` gives the verdict. `note` gets every rule that a client breaks."""

    def __init__(self, rules: Rules, note: Callable[[str], None], *, keep: bool = True) -> None:
        self.rules = rules
        self.bytes = 0
        self.records = 0
        self.bad_rows = ""
        """Why the file will fail later, when bad rows are not refused at once."""
        self.content: SpooledTemporaryFile[bytes] | None = SpooledTemporaryFile(IN_MEMORY) if keep else None  # noqa: SIM115
        self._note = note
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._text = codecs.getincrementaldecoder("utf-8")()
        self._tail = b""
        self._header_seen = False
        self._crlf_lines = 0
        self._lines = 0

    @property
    def md5(self) -> str:
        """MD5 of everything so far, in lower-case hexadecimal."""
        return self._md5.hexdigest()

    def feed(self, block: bytes) -> None:
        """The next bytes; raises `Refused` as soon as the verdict is known."""
        self.bytes += len(block)
        if self.bytes > self.rules.max_bytes:
            raise Refused(413, TOO_LARGE)
        self._md5.update(block)
        if self.content is not None:
            self.content.write(block)
        self._check_text(block, final=False)
        whole = self._tail + block if self._tail else block
        cut = whole.rfind(b"\n") + 1
        self._tail = whole[cut:]
        if len(self._tail) > LONGEST_LINE:
            raise Refused(400, "invalid CSV: a line is too long")
        if cut:
            self._take_lines(whole[:cut])

    def finish(self) -> None:
        """Judge the last line and the file as a whole."""
        self._check_text(b"", final=True)
        if self._tail:
            self._take_lines(self._tail + b"\n")
        if not self._header_seen:
            self._note("sent an empty file")
            raise Refused(400, BAD_HEADER)
        if 0 < self._crlf_lines < self._lines:
            self._note("mixed LF and CRLF")
        if not self.records:
            self._note("sent a file without a member")
            if not self.rules.header_only:
                raise Refused(400, "invalid CSV: no rows")
        if self.content is not None and self.bytes <= IN_MEMORY:
            listed = members(self.content)
            if len(set(listed)) < len(listed):
                self._note("sent a member twice")

    def _check_text(self, block: bytes, *, final: bool) -> None:
        if block.isascii() and not self._text.getstate()[0]:
            return
        try:
            self._text.decode(block, final)
        except UnicodeDecodeError:
            self._note("sent bytes that are not UTF-8")
            if not self.rules.any_bytes:
                raise Refused(400, "invalid CSV: not UTF-8") from None
            self._text.reset()

    def _take_lines(self, lines: bytes) -> None:
        """Lines that are whole, each with its line feed."""
        if not self._header_seen:
            first, _, lines = lines.partition(b"\n")
            self._lines += 1
            self._crlf_lines += first.endswith(b"\r")
            self._check_header(first)
        ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == LINE_FEED)
        self._lines += len(ends)
        # A search for two bytes costs as much as the MD5, so each stands behind a search for one.
        crlf = lines.count(b"\r\n") if b"\r" in lines else 0
        self._crlf_lines += crlf
        if lines.startswith(b"\n") or bool((np.diff(ends) == 1).any()) or (crlf and _has_blank_crlf(lines)):
            self.records -= self._blank_lines(lines)
        self.records += len(ends)
        self._check_values(lines)

    def _check_header(self, line: bytes) -> None:
        self._header_seen = True
        header = line.rstrip(b"\r")
        if header.startswith(MARK):
            self._note("sent a byte-order mark")
            if not self.rules.mark:
                raise Refused(400, "invalid CSV header: byte-order mark")
            header = header[len(MARK) :]
        if not header.strip() or _values(header) != 1:
            self._note("sent a header that is not one column")
            raise Refused(400, BAD_HEADER)
        if header != b"provider_id":
            self._note("sent a header other than provider_id")
            if not self.rules.lax_header:
                raise Refused(400, "invalid CSV header: expected provider_id")

    def _blank_lines(self, lines: bytes) -> int:
        self._note("sent a blank line")
        if not self.rules.blank_lines:
            raise Refused(400, "invalid CSV: blank line")
        return sum(1 for line in lines.split(b"\n")[:-1] if not line.strip(b"\r"))

    def _check_values(self, lines: bytes) -> None:
        if b"," in lines or b'"' in lines:
            self._note("sent a value that holds a comma or a quote")
            odd = sum(1 for line in lines.splitlines() if (b"," in line or b'"' in line) and _values(line) != 1)
            if odd and not self.rules.bad_rows_later:
                raise Refused(400, "invalid CSV row: expected exactly one value")
            if odd:
                self.bad_rows = "invalid CSV row: expected exactly one value"
        edges = (b"\n ", b" \n", b" \r\n")
        if b" " in lines and (lines.startswith(b" ") or any(edge in lines for edge in edges)):
            self._note("sent a value with outer space")
        if b"\x00" in lines or b"\t" in lines:
            self._note("sent a control character")


def _has_blank_crlf(lines: bytes) -> bool:
    return lines.startswith(b"\r\n") or b"\n\r\n" in lines


def _values(line: bytes) -> int:
    """How many values a line holds, quotes read as CSV has them."""
    if b"," not in line:
        return 1
    return len(next(csv.reader([line.decode("utf-8", "replace").rstrip("\r\n")]), []))


def members(content: SpooledTemporaryFile[bytes]) -> list[str]:
    """The member ids of a kept file, header and blank lines left out."""
    content.seek(0)
    lines = content.read().decode("utf-8", "replace").split("\n")[1:]
    return [line.rstrip("\r") for line in lines if line.rstrip("\r")]
