"""A file's rows from blocks of any size: decoding, line ends, the header, then scans of whole lines.

Both who checks a file while it arrives and who makes a set of it later read it through here, so they see the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audsync_web.vendors.connectors.identifiers import KINDS, IdentifierRule, kind_of_header
from uploads.engine.decoding import Decoder, LineEnds, looks_like
from uploads.engine.refusal import ONE_COLUMN, FileRefused
from uploads.engine.rows import MAX_LINE, TRIM, Incomplete, read_record
from uploads.engine.scanning import Rejected, Scan, Scanner

# Rows are scanned in units of this size: large enough for array operations, small enough for a core's own cache.
UNIT = 512 << 10
_DEFAULT_KIND = "provider_id"
_OTHER_DELIMITERS = (";", "\t", "|")


@dataclass(frozen=True)
class CheckOptions:
    """How a file is to be read, as far as the sender says.

    `kind` and `rule` override what the header means. `any_header` takes any single column (its kind: `kind`, else the
    header's when known, else provider_id). `encoding` None demands UTF-8. `column` (from 0) chooses one of several
    columns parted by `delimiter`; None demands that there is one. `has_header` False: the first line is a row.
    `expected_md5` are 16 bytes, `max_bytes` the limit for the whole file, `allow_empty` takes a file without a member.
    """

    kind: str | None = None
    rule: IdentifierRule | None = None
    any_header: bool = False
    has_header: bool = True
    encoding: str | None = None
    column: int | None = None
    delimiter: str | None = None
    expected_md5: bytes | None = None
    max_bytes: int | None = None
    allow_empty: bool = False


class RowReader:
    """Takes the bytes of a file in blocks of any size and yields scans of its rows. Raises `FileRefused`.

    `keep`: scans carry the accepted values. `block_wise` False judges all rows one by one (for comparison).
    `scanner` looks at the rows. What is held never exceeds one unit and two records, whatever the file looks like.
    """

    def __init__(
        self,
        options: CheckOptions,
        *,
        keep: bool = False,
        block_wise: bool = True,
        scanner: type[Scanner] = Scanner,
    ) -> None:
        self._options = options
        self._scanner_type = scanner
        self._keep = keep
        self._block_wise = block_wise
        self._unit = UNIT
        self._decoder = Decoder(options.encoding)
        self._line_ends = LineEnds()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._tail = b""
        self._skipping = False
        self._line = 1
        self._scanner: Scanner | None = None
        self.delimiter = options.delimiter or ","
        self.header = ""
        self.kind: str | None = None
        if not options.has_header:
            self._settle(options.kind or _DEFAULT_KIND)

    @property
    def encoding(self) -> str:
        """The encoding that the file is read in."""
        return self._decoder.encoding

    @property
    def byte_order_mark(self) -> bool:
        """Whether the file began with a byte-order mark."""
        return self._decoder.byte_order_mark

    @property
    def line_end(self) -> str:
        """How the first line ends: lf, crlf or cr (lf when there was none)."""
        return self._line_ends.first or "lf"

    @property
    def rule(self) -> IdentifierRule:
        """The rule that values must fit; known once the header is read."""
        if self._scanner is None:
            raise LookupError("the header is not read yet")
        return self._scanner.rule

    def feed(self, block: bytes) -> Iterator[Scan]:
        """Take a block; yields a scan whenever enough was gathered."""
        self._pending.append(block)
        self._pending_bytes += len(block)
        due = self._pending_bytes >= self._unit
        if self._scanner is None and not due:
            due = self._pending_bytes >= 4 and (b"\n" in block or b"\r" in block or self._pending_bytes > MAX_LINE)
        if due:
            yield from self._advance(final=False)

    def finish(self) -> Iterator[Scan]:
        """The file has ended: yields what is left."""
        yield from self._advance(final=True)
        if self._scanner is None:
            raise FileRefused(
                "no_header", "The file is empty. It needs a header such as provider_id and a row for every member."
            )

    def _advance(self, *, final: bool) -> Iterator[Scan]:
        raw = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        lines_before = self._line - 1 + self._tail.count(b"\n")
        block = self._line_ends.normalise(self._decoder.decode(raw, lines_before, final=final), final=final)
        if self._skipping:
            block = self._skip(block, final)
        start = 0
        if self._tail and self._scanner is not None and len(block) > MAX_LINE:
            # Only the line that the blocks share is joined; the rest is read where it lies.
            start = block.find(b"\n") + 1
            yield from self._scan(self._scanner, self._tail + block[:start], 0, final=False)
        if self._tail:
            block, start = self._tail + block[start:], 0
        if final and block and not block.endswith(b"\n"):
            block += b"\n"
        if self._scanner is None:
            start = self._read_header(block, final)
        if self._scanner is None:
            self._tail = block
        else:
            yield from self._scan(self._scanner, block, start, final=final)

    def _scan(self, scanner: Scanner, text: bytes, start: int, *, final: bool) -> Iterator[Scan]:
        """Scan the whole lines of a text from `start` on, unit by unit; what is left becomes the tail."""
        whole = text.rfind(b"\n", start) + 1
        over_long = len(text) - max(whole, start) > MAX_LINE
        unit = UNIT
        while start < whole:
            stop = text.rfind(b"\n", start, start + unit) + 1 or text.find(b"\n", start + unit) + 1
            last = (final or over_long) and stop == whole
            scan = scanner.scan(text, self._line, final=last, start=start, stop=stop)
            self._line += scan.lines
            start += scan.consumed
            yield scan
            if stop == whole:
                break
            unit = UNIT if scan.consumed else 2 * unit
        self._tail = text[start:]
        if over_long:
            yield Scan(rejected=[Rejected(self._line, "too_long", self._tail[:MAX_LINE])])
            self._tail = b""
            self._skipping = True

    def _skip(self, block: bytes, final: bool) -> bytes:
        end = block.find(b"\n")
        if end < 0:
            return b""
        self._skipping = False
        self._line += 1
        return block[end + 1 :]

    def _read_header(self, text: bytes, final: bool) -> int:
        """Read the first line that is not blank; where the rows begin, or 0 when it is not complete yet."""
        start = 0
        while (end := text.find(b"\n", start)) >= 0:
            record = read_record(text[: text.rfind(b"\n") + 1], start, self.delimiter.encode(), final=final)
            if isinstance(record, Incomplete):
                return 0
            if text[start:end].decode().strip(TRIM):
                self._line += text.count(b"\n", 0, record.next_start)
                self._accept_header([field.decode() for field in record.fields], record.problem)
                return record.next_start
            start = end + 1
        if len(text) - start > MAX_LINE:
            raise FileRefused(
                "no_header", "The first line is longer than any header. Put the column name in the first line."
            )
        return 0

    def _accept_header(self, fields: list[str], problem: str) -> None:
        options = self._options
        if any("\0" in field for field in fields):
            raise looks_like("UTF-16")
        if problem:
            raise FileRefused(
                "no_header", "The first line has a quotation mark that is not closed. Correct the header."
            )
        if options.column is None and (len(fields) > 1 or self._other_columns(fields[0])):
            raise FileRefused("several_columns", ONE_COLUMN)
        if (options.column or 0) >= len(fields):
            raise FileRefused(
                "unknown_header", f"There is no column {(options.column or 0) + 1}: the header has {len(fields)}."
            )
        self.header = fields[options.column or 0].strip(TRIM)
        known = kind_of_header(self.header)
        if known is None and not options.any_header:
            raise FileRefused(
                "unknown_header",
                "The first line is no column name that is known here, so the header seems to be missing. "
                "Put provider_id, or the name of another identifier kind, in the first line.",
            )
        self._settle(options.kind or known or _DEFAULT_KIND)

    def _other_columns(self, header: str) -> bool:
        """Whether a header that is one column by the delimiter is several by another one."""
        if self._options.delimiter is not None:
            return False
        return any(len([name for name in header.split(mark) if name.strip()]) > 1 for mark in _OTHER_DELIMITERS)

    def _settle(self, kind: str) -> None:
        self.kind = kind
        rule = self._options.rule or KINDS[kind].rule
        self._scanner = self._scanner_type(
            rule, self.delimiter, self._options.column, keep=self._keep, block_wise=self._block_wise
        )
