"""Bytes as they arrive to UTF-8 text with line feeds: encodings, the byte-order mark, and the three ways to end a line.

The first line end of a file decides. Ended by LF or CR LF, both end a line from there on, and a lone CR is a control
character within a value (which is rejected). Ended by a lone CR (old Macintosh), all three end a line. A CR that is the
last byte of a file always ends its line: the line feed behind it was cut off.
"""

from __future__ import annotations

import codecs
import re
from typing import Literal

from uploads.engine.refusal import FileRefused

LineEnd = Literal["lf", "crlf", "cr"]

_UTF8 = ("utf-8", "utf-8-sig", "ascii")
_ALLOWED = re.compile(
    r"utf-8(-sig)?|utf-(16|32)(-le|-be)?|ascii|iso8859-\d+|cp\d+|mac-roman|koi8-[ru]|gbk|gb2312|gb18030|big5"
    r"|shift_jis|euc_jp|euc_kr"
)
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_FOREIGN = (
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
)
# No text in a one-byte encoding holds a NUL, nor these controls more than by accident.
_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\v\f\r\x1b"})
_CONTROLS_SHARE = 0.01
_SAMPLE = 4096


def encoding_name(name: str) -> str:
    """The plain name of an encoding we read; `FileRefused` when there is no such one."""
    try:
        known = codecs.lookup(name.strip()).name
    except (LookupError, ValueError):
        known = ""
    if not _ALLOWED.fullmatch(known):
        raise FileRefused("unknown_encoding", "The encoding is not known here. Use utf-8, latin-1, cp1252 or utf-16.")
    return known


def guessed_encoding(sample: bytes) -> str:
    """What bytes that are not UTF-8 most likely are: "UTF-16", "UTF-32" or "Latin-1"."""
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    zeros = sample.count(0)
    if zeros > len(sample) // 4:
        return "UTF-16"
    return "Latin-1"


def _is_no_text(sample: bytes) -> bool:
    """Whether bytes that are neither UTF-8 nor UTF-16 are no text in any other encoding either."""
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return b"\0" in sample or controls > len(sample) * _CONTROLS_SHARE


def refuse_binary(first: bytes) -> None:
    """Refuse a file whose first four bytes say that it is no text."""
    for mark, what in _FOREIGN:
        if first.startswith(mark):
            raise FileRefused("not_text", f"The file is {what}, not a CSV file. Export it as CSV in UTF-8.")


def refuse_marked(first: bytes) -> None:
    """Refuse a file whose first four bytes are the byte-order mark of UTF-16 or UTF-32."""
    for mark, name in _MARKS:
        if first.startswith(mark):
            raise looks_like(name)


def looks_like(name: str) -> FileRefused:
    """The refusal of a file in an encoding that is recognised and was not named."""
    hint = f"Save it as UTF-8, or upload it with encoding={name.lower()}."
    return FileRefused("not_utf8", f"The file looks like {name}, not UTF-8. {hint}")


class Decoder:
    """Turns blocks of bytes into blocks of UTF-8. `encoding` None means that the file must be UTF-8."""

    def __init__(self, encoding: str | None) -> None:
        self.encoding = encoding_name(encoding) if encoding else "utf-8"
        self._asked = encoding is not None
        self._is_utf8 = self.encoding in _UTF8
        self._decoder = codecs.getincrementaldecoder("utf-8" if self._is_utf8 else self.encoding)()
        self._started = False
        self._first = b""
        self._read = 0
        self.byte_order_mark = False

    def decode(self, block: bytes, lines_before: int, *, final: bool) -> bytes:
        """The block as UTF-8; a sequence cut by the block's end comes with the next. Names the line of the first fault.

        `lines_before` is how many lines ended before this block. The first block must hold at least four bytes.
        """
        if not self._started:
            block = self._start(block)
        if self._is_utf8:
            self._validate(block, lines_before, final)
            return block
        try:
            text = self._decoder.decode(block, final)
        except UnicodeError as error:
            line = self._line_of(error, block, lines_before)
            raise FileRefused("not_utf8", f"Line {line} is not {self.encoding}. Check the encoding.") from error
        if text.startswith("\ufeff") and not self.byte_order_mark and lines_before == 0:
            self.byte_order_mark, text = True, text[1:]
        return self._encoded(text, lines_before)

    def _start(self, block: bytes) -> bytes:
        self._started = True
        if self._is_utf8:
            refuse_binary(block)
            refuse_marked(block)
            if block.startswith(codecs.BOM_UTF8):
                self.byte_order_mark = True
                return block[len(codecs.BOM_UTF8) :]
        return block

    def _validate(self, block: bytes, lines_before: int, final: bool) -> None:
        read, self._read = self._read, self._read + len(block)
        first, self._first = self._first, self._first + block[: _SAMPLE - len(self._first)]
        if block.isascii() and not self._decoder.getstate()[0]:
            return
        try:
            self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            line = self._line_of(error, block, lines_before)
            # Judged by what stands before the fault: the same in whatever blocks the file comes.
            fault = read - (len(error.object) - len(block)) + error.start
            sample = (first + block[:_SAMPLE])[: min(fault, _SAMPLE)]
            guess = guessed_encoding(sample)
            if guess == "Latin-1" and _is_no_text(sample):
                raise FileRefused("not_text", "This is no text file. Export the list as CSV in UTF-8.") from error
            order = ("-be" if sample.startswith(b"\0") else "-le") if guess == "UTF-16" else ""
            hint = f"Save it as UTF-8, or upload it with encoding={guess.lower()}{order}."
            message = f"Line {line} is not UTF-8; the file looks like {guess}."
            raise FileRefused("not_utf8", f"{message} {hint}") from error

    def _line_of(self, error: UnicodeError, block: bytes, lines_before: int) -> int:
        pending = len(error.object) - len(block) if isinstance(error, UnicodeDecodeError) else 0
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        read = block[: max(0, start - pending)]
        return lines_before + 1 + (read.count(b"\n") if b"\n" in block else read.count(b"\r"))

    def _encoded(self, text: str, lines_before: int) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            line = lines_before + 1 + text[: error.start].count("\n")
            raise FileRefused("not_utf8", f"Line {line} is not {self.encoding}. Check the encoding.") from error


class LineEnds:
    """Brings line ends to LF, over the borders of blocks; see the module's text for the rules."""

    def __init__(self) -> None:
        self.first: LineEnd | None = None
        self._held = b""

    def normalise(self, block: bytes, *, final: bool) -> bytes:
        """The block with LF as the only line end; a CR at its end waits for the next block."""
        if self._held:
            block, self._held = self._held + block, b""
        if b"\r" not in block:
            if self.first is None and b"\n" in block:
                self.first = "lf"
            return block
        if block.endswith(b"\r"):
            if final:
                block = block[:-1] + b"\r\n"
            else:
                block, self._held = block[:-1], b"\r"
        if self.first is None:
            self.first = _first_line_end(block)
        block = block.replace(b"\r\n", b"\n")
        return block.replace(b"\r", b"\n") if self.first == "cr" else block


def _first_line_end(block: bytes) -> LineEnd | None:
    feed, carriage = block.find(b"\n"), block.find(b"\r")
    if carriage < 0 or 0 <= feed < carriage:
        return "lf" if feed >= 0 else None
    return "crlf" if feed == carriage + 1 else "cr"
