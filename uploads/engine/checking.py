"""The verdict on a file while its bytes arrive: checked, counted and hashed when the last one is there."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from uploads.engine.hashing import StreamHash
from uploads.engine.progress import Progress, ProgressCallback
from uploads.engine.reading import CheckOptions, RowReader
from uploads.engine.refusal import TOO_LARGE, FileRefused
from uploads.engine.report import RejectionReport
from uploads.engine.scanning import Scan

__all__ = ["CheckOptions", "CheckResult", "Checker", "FileRefused"]

# What is hashed in one go, so that small network blocks do not cost a thread's wake-up each.
_HASH_UNIT = 1 << 20


@dataclass(frozen=True)
class CheckResult:
    """What a file holds. `records` are its rows without header and blank lines: accepted and rejected ones.

    `rejected_by_reason` maps the codes of `reasons.REASONS` to counts. `plain` files are UTF-8 without a mark, quotes
    or lone CRs. `md5` and `sha256` are over the bytes that were fed, in hexadecimal.
    """

    kind: str
    header: str
    encoding: str
    byte_order_mark: bool
    delimiter: str
    line_end: str
    records: int
    accepted: int
    blank_lines: int
    rejected: int
    rejected_by_reason: dict[str, int]
    bytes: int
    md5: str
    sha256: str
    plain: bool


class Checker:
    """Checks a file that is fed to it in blocks of any size. Raises `FileRefused` as soon as the file cannot be taken.

    Use it as a context, or call `abort` when the file is given up. Rejected rows go to `report_path` (see
    `report.RejectionReport`), which exists afterwards only when there is one.
    """

    def __init__(
        self,
        options: CheckOptions,
        report_path: Path,
        progress: ProgressCallback | None = None,
        *,
        block_wise: bool = True,
    ) -> None:
        self._options = options
        self._reader = RowReader(options, block_wise=block_wise)
        self._report_path = report_path
        self._report: RejectionReport | None = None
        self._hash = StreamHash("md5", "sha256")
        self._unhashed: list[bytes] = []
        self._unhashed_bytes = 0
        self._progress = progress
        self._quotes = False
        self._accepted = 0
        self._blank = 0
        self.bytes = 0
        self.rejected = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    @property
    def kind(self) -> str | None:
        """The identifier kind; None until the header is read."""
        return self._reader.kind

    @property
    def records(self) -> int:
        """Rows seen so far."""
        return self._accepted + self.rejected

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the file."""
        self.bytes += len(block)
        if self._options.max_bytes is not None and self.bytes > self._options.max_bytes:
            raise FileRefused("too_large", TOO_LARGE)
        self._unhashed.append(block)
        self._unhashed_bytes += len(block)
        if self._unhashed_bytes >= _HASH_UNIT:
            self._hash_gathered()
        for scan in self._reader.feed(block):
            self._count(scan)

    def finish(self) -> CheckResult:
        """The file has ended: the verdict."""
        self._hash_gathered()
        for scan in self._reader.finish():
            self._count(scan)
        md5, sha256 = self._hash.digests()
        expected = self._options.expected_md5
        if expected is not None and not hmac.compare_digest(expected, bytes.fromhex(md5)):
            raise FileRefused(
                "wrong_md5",
                "The MD5 of the file is not the one announced: it was changed or cut on the way. Send it again.",
            )
        if not self._accepted and not self._options.allow_empty:
            raise FileRefused("no_member", "The file holds no member: there is no row that can be taken.")
        if self._report is not None:
            self._report.close()
        return self._result(md5, sha256)

    def abort(self) -> None:
        """Give the file up: stop the threads and drop a report that is not finished."""
        self._hash.close()
        if self._report is not None:
            self._report.abort()

    def _hash_gathered(self) -> None:
        if self._unhashed:
            self._hash.update(b"".join(self._unhashed) if len(self._unhashed) > 1 else self._unhashed[0])
        self._unhashed, self._unhashed_bytes = [], 0

    def _count(self, scan: Scan) -> None:
        self._accepted += scan.accepted
        self._blank += scan.blank
        self._quotes = self._quotes or scan.quotes
        if scan.rejected:
            if self._report is None:
                self._report = RejectionReport(self._report_path, self._reader.rule)
            for row in scan.rejected:
                self._report.add(row.code, row.value, row.line)
            self.rejected += len(scan.rejected)
        if self._progress is not None:
            self._progress(Progress("checking", self.bytes, None, self.records))

    def _result(self, md5: str, sha256: str) -> CheckResult:
        reader = self._reader
        return CheckResult(
            kind=reader.kind or "",
            header=reader.header,
            encoding=reader.encoding,
            byte_order_mark=reader.byte_order_mark,
            delimiter=reader.delimiter,
            line_end=reader.line_end,
            records=self.records,
            accepted=self._accepted,
            blank_lines=self._blank,
            rejected=self.rejected,
            rejected_by_reason=dict(self._report.counts) if self._report is not None else {},
            bytes=self.bytes,
            md5=md5,
            sha256=sha256,
            plain=not (self._quotes or reader.byte_order_mark or reader.line_end == "cr" or reader.encoding != "utf-8"),
        )
