"""Where in a file a few of its members stand: block by block, so that a file of millions is read in seconds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audsync_web.vendors.connectors.identifiers import IdentifierRule
from uploads.engine import lines as ln
from uploads.engine.reading import CheckOptions, RowReader
from uploads.engine.rows import TRIM
from uploads.engine.scanning import Bytes, Mask, Scan, Scanner

_BLOCK = 1 << 20


def locate(source: BinaryIO, options: CheckOptions, rule: IdentifierRule, wanted: Collection[str]) -> dict[str, int]:
    """The first line (from 1) of each wanted member that the file holds. Members are as `rule` leaves them: trimmed, in
    its letter case. What cannot be read as a row is passed over."""
    found: dict[str, int] = {}
    if not wanted:
        return found
    searched = _Searched(rule.pattern, rule.reason, rule.max_bytes, rule.case, wanted=frozenset(wanted))
    reader = RowReader(replace(options, rule=searched), scanner=_Finder)
    while block := source.read(_BLOCK):
        for scan in reader.feed(block):
            _note(scan, searched, found)
    for scan in reader.finish():
        _note(scan, searched, found)
    return found


@dataclass(frozen=True)
class _Searched(IdentifierRule):
    """A rule that refuses what is searched for: refused rows are told with their lines."""

    wanted: frozenset[str] = field(default_factory=frozenset)

    def accepts(self, value: str) -> bool:
        return self.brought_to_case(value) not in self.wanted


class _Finder(Scanner):
    """Looks at one row alone only where the array operations found something remarkable in it, or a wanted value."""

    def _even_lines(self, text: bytes, start: int, stop: int) -> int:
        return 0

    def _misfits(self, text: bytes, data: Bytes, ends: ln.Positions) -> Mask | None:
        assert isinstance(self.rule, _Searched)  # noqa: S101  # made by `locate` alone
        offsets = np.zeros(len(ends) + 1, np.int32)
        np.add(ends, 1, out=offsets[1:], casting="unsafe")
        lines = ln.from_offsets(offsets, self._normalised(text))
        wanted = pa.array([f"{value}\n".encode() for value in self.rule.wanted], lines.type)
        return np.asarray(pc.is_in(lines, value_set=wanted), np.bool_)


def _note(scan: Scan, searched: _Searched, found: dict[str, int]) -> None:
    for row in scan.rejected:
        value = searched.brought_to_case(row.value.decode("utf-8", "replace").strip(TRIM))
        if row.code == "not_kind" and value in searched.wanted:
            found.setdefault(value, row.line)
