"""The set of members that an upload names, and the sets that single destinations can take of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from audsync_web.vendors.connectors.identifiers import IdentifierRule
from audsync_web.vendors.connectors.telephone import e164
from uploads.engine import lines as ln
from uploads.engine.converting import Conversion, converted
from uploads.engine.lines import Lines
from uploads.engine.progress import Progress, ProgressCallback
from uploads.engine.reading import CheckOptions, RowReader
from uploads.engine.report import RejectionReport
from uploads.engine.scanning import Scan, misfits
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, member_rows
from uploads.engine.sorting import SetSorter

MEMORY = 256 << 20
_READ = 1 << 20
Encoding = Literal["utf-8", "latin-1"]
Erased = Callable[[Lines], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class MembersResult:
    """What became of a file's rows: records = members + duplicates + rejected. Blank lines are no records."""

    records: int
    members: int
    duplicates: int
    rejected: int
    blank_lines: int


@dataclass(frozen=True)
class DerivedResult:
    """What a destination can take of an upload: `members` in the file, `held` in the report, `erased` of them because
    they were erased.

    `merged` members became equal to others by the conversion. `same`: the file is a hard link of the upload's set.
    """

    members: int
    held: int
    merged: int
    same: bool
    erased: int = 0


def build_members(
    source: Callable[[], BinaryIO],
    options: CheckOptions,
    kind: str,
    out: Path,
    spill_dir: Path,
    *,
    conversion: Conversion = "as_is",
    memory_bytes: int = MEMORY,
    total_bytes: int | None = None,
    progress: ProgressCallback | None = None,
) -> MembersResult:
    """Make the sorted, exactly de-duplicated set of a checked file; normalised, and hashed if `conversion` says so.

    `source` opens the stored original for reading; `options` and `kind` are those it was checked with. Memory stays
    near `memory_bytes` however large the file is; what does not fit is spilled into a private folder in `spill_dir`.
    """
    reading = _Reading(RowReader(_with_kind(options, kind), keep=True), conversion, total_bytes, progress)
    with source() as stream, SetSorter(spill_dir, memory_bytes) as sorter, SnapshotWriter(out, [""]) as writer:
        for lines in sorter.sort(reading.texts(stream)):
            writer.write(member_rows(lines))
            reading.tell("sorting", writer.rows)
    records = reading.accepted + reading.rejected
    return MembersResult(records, writer.rows, reading.accepted - writer.rows, reading.rejected, reading.blank)


def _with_kind(options: CheckOptions, kind: str) -> CheckOptions:
    values = {**options.__dict__, "kind": kind, "expected_md5": None, "max_bytes": None}
    return CheckOptions(**values)


class _Reading:
    """The accepted values of a file, counted on the way."""

    def __init__(
        self, reader: RowReader, conversion: Conversion, total: int | None, progress: ProgressCallback | None
    ) -> None:
        self._reader = reader
        self._conversion: Conversion = conversion
        self._total = total
        self._progress = progress
        self._bytes = 0
        self.accepted = self.rejected = self.blank = 0

    def texts(self, stream: BinaryIO) -> Iterator[bytes]:
        """The values as texts of lines, in no particular order."""
        while block := stream.read(_READ):
            self._bytes += len(block)
            for scan in self._reader.feed(block):
                yield from self._taken(scan)
                self.tell("reading", self.accepted)
        for scan in self._reader.finish():
            yield from self._taken(scan)

    def _taken(self, scan: Scan) -> Iterator[bytes]:
        self.accepted += scan.accepted
        self.rejected += len(scan.rejected)
        self.blank += scan.blank
        for text in scan.taken:
            yield converted(text, self._conversion)

    def tell(self, stage: str, rows: int) -> None:
        """Report progress, if anybody listens."""
        if self._progress is not None:
            self._progress(Progress(stage, self._bytes, self._total, rows))


def derive_members(
    members: Path,
    out: Path,
    held_report: Path,
    spill_dir: Path,
    *,
    conversion: Conversion,
    rule: IdentifierRule,
    encoding: Encoding = "utf-8",
    erased: Erased | None = None,
    region: str = "",
    memory_bytes: int = MEMORY,
    progress: ProgressCallback | None = None,
) -> DerivedResult:
    """The set for one destination: an upload's members in the form that this destination is fed with.

    Identifiers that do not fit `rule`, that `encoding` cannot express, or that `erased` knows, are held: they stay out
    of the set and go to `held_report`. As they are, values pass byte for byte; when none is held, `out` becomes a hard
    link of `members`, or a copy where there can be none. `erased` is asked about the upload's own identifiers, before a
    conversion. `region` is the country of telephone numbers that name none, for the conversion to E.164; impossible
    numbers are held.
    """
    with SnapshotReader(members) as reader:
        report = RejectionReport(held_report, rule, numbered=False)
        numbers = region if conversion == "e164" else None
        fitting = rule if conversion == "as_is" else None
        sieve = _Sieve(fitting, encoding, erased, report, reader, progress, numbers)
        try:
            if conversion == "as_is":
                written = _filtered(sieve, out)
            else:
                written = _reordered(sieve, out, conversion, region, spill_dir, memory_bytes)
            same = conversion == "as_is" and not report.counts.total()
            if same:
                _link(members, out)
            report.close()
        except BaseException:
            report.abort()
            raise
        held = report.counts.total()
        return DerivedResult(written, held, reader.count - held - written, same, report.counts["erased"])


def _filtered(sieve: _Sieve, out: Path) -> int:
    """Write the rows that pass; nothing is written while all pass, since the upload's own file then serves."""
    if sieve.passes_all():
        return sieve.rows
    with SnapshotWriter(out, [""]) as writer:
        for lines in sieve.passed():
            writer.write(member_rows(lines))
    return writer.rows


def _reordered(
    sieve: _Sieve, out: Path, conversion: Conversion, region: str, spill_dir: Path, memory_bytes: int
) -> int:
    with SetSorter(spill_dir, memory_bytes) as sorter, SnapshotWriter(out, [""]) as writer:
        texts = (converted(bytes(ln.text_of(ln.plain(lines))), conversion, region) for lines in sieve.passed())
        for lines in sorter.sort(texts):
            writer.write(member_rows(lines))
    return writer.rows


def _link(members: Path, out: Path) -> None:
    out.unlink(missing_ok=True)
    try:
        os.link(members, out)
    except OSError:  # on another volume, or one that knows no links
        shutil.copyfile(members, out)


@dataclass
class _Sieve:
    """Parts the members that a destination can take from those that it cannot."""

    rule: IdentifierRule | None
    encoding: Encoding
    erased: Erased | None
    report: RejectionReport
    reader: SnapshotReader
    progress: ProgressCallback | None
    region: str | None = None
    """Country of telephone numbers that are to become E.164; None where none are."""
    rows: int = 0

    def passes_all(self) -> bool:
        """Whether every member can be taken; looks no further than to the first that cannot."""
        self.rows = 0
        for rows in self.reader.blocks(packed=True):
            if any(mask.any() for mask in self._faults(rows.lines).values()):
                return False
            self._tell(len(rows))
        return True

    def passed(self) -> Iterator[Lines]:
        """The members that can be taken; the others are reported on the way."""
        self.rows = 0
        for rows in self.reader.blocks(packed=True):
            held = np.zeros(len(rows), np.bool_)
            for code, mask in self._faults(rows.lines).items():
                self._hold(rows.lines, code, mask & ~held)
                held |= mask
            self._tell(len(rows))
            yield ln.chosen(rows.lines, ~held) if held.any() else rows.lines

    def _faults(self, lines: Lines) -> dict[str, npt.NDArray[np.bool_]]:
        faults = {}
        if self.erased is not None:
            faults["erased"] = self.erased(ln.plain(lines))
        if self.rule is not None:
            faults["not_kind"] = misfits(lines, self.rule)
        if self.region is not None:
            numbers = [e164(value.decode(), self.region) for value in ln.identifiers(lines)]
            faults["not_kind"] = np.array([number is None for number in numbers], np.bool_)
        if self.encoding != "utf-8":
            faults["not_encodable"] = _not_encodable(lines, self.encoding)
        return faults

    def _hold(self, lines: Lines, code: str, mask: npt.NDArray[np.bool_]) -> None:
        if mask.any():
            for value in ln.identifiers(ln.chosen(lines, mask)):
                self.report.add(code, value)

    def _tell(self, rows: int) -> None:
        self.rows += rows
        if self.progress is not None:
            self.progress(Progress("deriving", 0, None, self.rows))


def _not_encodable(lines: Lines, encoding: Encoding) -> npt.NDArray[np.bool_]:
    if isinstance(lines, ln.PackedLines) or (text := bytes(ln.text_of(lines))).isascii():
        return np.zeros(len(lines), np.bool_)
    values = text.decode().split("\n")[:-1]
    return np.array([not _encodable(value, encoding) for value in values], np.bool_)


def _encodable(value: str, encoding: Encoding) -> bool:
    try:
        value.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
