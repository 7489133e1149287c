"""The report of rows that were not taken: all of them, written as they are found, never gathered."""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip

from audsync_web.vendors.connectors.identifiers import IdentifierRule
from uploads.engine.atomic import create_private, sync_folder
from uploads.engine.reasons import REASONS, reason_text

VALUE_BYTES = 255
_BUFFER_ROWS = 2000
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class RejectionReport:
    """A CSV, gzipped when the path ends in .gz, that is published by `close` when it has a row and else is not made.

    The first column is the line number when `numbered`, and is left out otherwise. Values are cut to 255 bytes, and
    control characters in them are shown as pictures (U+2400 and on), so that a row of the report stays one line.
    """

    def __init__(self, path: Path, rule: IdentifierRule, *, numbered: bool = True) -> None:
        self._path = path
        self._numbered = numbered
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
        self._raw: BinaryIO | None = None
        self._stream: BinaryIO | None = None
        self._rows: list[str] = []
        self._tails = {
            code: f",{code},{_quoted(reason_text(code, rule))},{_quoted(reason.what_to_do)}"
            for code, reason in REASONS.items()
        }
        self.counts: Counter[str] = Counter()

    def add(self, code: str, value: bytes, line: int = 0) -> None:
        """One row that was not taken."""
        self.counts[code] += 1
        text = _CONTROLS.sub(_picture, value[:VALUE_BYTES].decode("utf-8", "ignore"))
        shown = _quoted(text)
        if self._numbered:
            self._rows.append(f"{line}{self._tails[code]},{shown}\n")
        else:
            self._rows.append(f"{shown}{self._tails[code]}\n")
        if len(self._rows) >= _BUFFER_ROWS:
            self._flush()

    def close(self) -> None:
        """Publish the report, if there is anything to report."""
        self._flush()
        if self._stream is None or self._raw is None:
            return
        self._stream.close()
        if not self._raw.closed:
            self._raw.flush()
            os.fsync(self._raw.fileno())
            self._raw.close()
        self._temporary.replace(self._path)
        sync_folder(self._path.parent)
        self._stream = self._raw = None

    def abort(self) -> None:
        """Drop what was written."""
        self._rows.clear()
        for stream in (self._stream, self._raw):
            if stream is not None:
                stream.close()
        self._stream = self._raw = None
        self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._rows:
            return
        text = "".join(self._rows).encode()
        self._rows.clear()
        (self._stream or self._open()).write(text)

    def _open(self) -> BinaryIO:
        self._raw = create_private(self._temporary)
        stream = self._raw
        if self._path.suffix == ".gz":
            packed = igzip.IGzipFile(fileobj=self._raw, mode="wb", compresslevel=1, mtime=0, filename="")  # type: ignore[no-untyped-call]
            stream = cast("BinaryIO", packed)
        header = "line,code,reason,what_to_do,value\n" if self._numbered else "value,code,reason,what_to_do\n"
        stream.write(header.encode())
        self._stream = stream
        return stream


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2421 if code == 0x7F else 0x2400 + code)


def _quoted(text: str) -> str:
    if '"' in text or "," in text or "\n" in text:
        return '"' + text.replace('"', '""') + '"'
    return text
