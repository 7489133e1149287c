"""The next snapshot: what a vendor has after it acknowledged some, or all, of a delivery's changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from audsync_web.vendors.connectors.formats import Op
from uploads.engine import changes as ch
from uploads.engine.blocks import Rows
from uploads.engine.changes import ChangeReader
from uploads.engine.matching import positions_in
from uploads.engine.merging import windows
from uploads.engine.ordering import merged_rows
from uploads.engine.progress import Progress, ProgressCallback
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, constant_columns

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AckRange:
    """Acknowledged rows of a change file: both ends inclusive, and of them those with these operations.

    `without`: the numbers of rows between them that the vendor refused by name.
    """

    first_row: int
    last_row: int
    ops: tuple[Op, ...] = ch.EVERY_OP
    without: tuple[int, ...] = ()


class _Everything:
    """The whole change file was acknowledged."""


ALL: Final = _Everything()
Acknowledged = Sequence[AckRange] | _Everything


def apply_changes(
    base: Path | None,
    changes: Path,
    acknowledged: Acknowledged,
    *,
    upload_id: str,
    ends_day: int,
    out: Path,
    refresh_all: bool = False,
    progress: ProgressCallback | None = None,
) -> int:
    """Write the snapshot that says what the vendor has now; how many rows it has.

    Acknowledged additions enter with `upload_id` and `ends_day`, renewals keep their upload and get `ends_day`,
    removals leave; rows whose day had passed when the difference was made leave too. `refresh_all` gives every row
    `ends_day` (a whole list was taken anew). What was not acknowledged stays as it was.
    """
    merge = _Merge(base, changes, acknowledged, upload_id, ends_day, refresh_all)
    with closing(merge.blocks()) as blocks, SnapshotWriter(out, list(merge.uploads)) as writer:
        for rows in blocks:
            writer.write(rows)
            if progress is not None:
                progress(Progress("applying", 0, None, writer.rows))
    return writer.rows


def merged_blocks(base: Path | None, changes: Path | None, acknowledged: Acknowledged) -> Generator[Rows, None, None]:
    """The rows that `apply_changes` would write, in order; either file may be missing."""
    return _Merge(base, changes, acknowledged, "", 0, refresh_all=False).blocks()


class _Merge:
    """A base and the acknowledged ones of its changes, on the way to one sorted sequence of rows."""

    def __init__(
        self,
        base: Path | None,
        changes: Path | None,
        acknowledged: Acknowledged,
        upload_id: str,
        ends_day: int,
        refresh_all: bool,
    ) -> None:
        self._base = base
        self._changes = changes
        self._acknowledged = acknowledged
        old = _uploads_of(base)
        self.uploads, numbers = _renumbered(old, upload_id)
        today = 0
        if changes is not None:
            with ChangeReader(changes) as delta:
                today = delta.today
        self._step = _Step(numbers, self.uploads.index(upload_id), ends_day, today, refresh_all)

    def blocks(self) -> Generator[Rows, None, None]:
        """The rows of the merge, window by window."""
        with ExitStack() as stack:
            sources: list[Iterator[Rows]] = [iter(()), iter(())]
            if self._base is not None:
                sources[0] = stack.enter_context(SnapshotReader(self._base)).blocks(packed=True)
            if self._changes is not None:
                delta = stack.enter_context(ChangeReader(self._changes))
                sources[1] = acknowledged_rows(delta, self._acknowledged)
            for base_rows, change_rows in windows(sources):
                rows = self._step.merge(base_rows, change_rows)
                if rows is not None and len(rows):
                    yield rows


def _uploads_of(base: Path | None) -> list[str | None]:
    if base is None:
        return []
    with SnapshotReader(base) as reader:
        return reader.uploads


def _renumbered(uploads: Sequence[str | None], upload_id: str) -> tuple[list[str], npt.NDArray[np.uint32]]:
    """The upload ids still in use and the new one, and for each old number its new one."""
    kept = [upload for upload in uploads if upload is not None]
    merged = list(dict.fromkeys([*kept, upload_id]))
    numbers = [merged.index(upload) if upload is not None else 0 for upload in uploads]
    return merged, np.array(numbers, np.uint32)


def acknowledged_rows(delta: ChangeReader, acknowledged: Acknowledged) -> Iterator[Rows]:
    """The acknowledged ones of a change file's rows, block by block."""
    if isinstance(acknowledged, _Everything):
        yield from (rows for _, rows in delta.numbered_blocks())
        return
    coming = deque(sorted(acknowledged, key=lambda ack: ack.first_row))
    reaching: list[AckRange] = []
    for first, rows in delta.numbered_blocks():
        # There may be as many ranges as blocks and more: each is looked at only where it lies.
        while coming and coming[0].first_row < first + len(rows):
            reaching.append(coming.popleft())
        reaching = [ack for ack in reaching if ack.last_row >= first]
        mask = _mask(first, rows, reaching)
        if mask.any():
            yield rows.keep(mask)


def _mask(first: int, rows: Rows, acknowledged: Sequence[AckRange]) -> Mask:
    """Which of a block's rows, of which `first` is the number of the first one, are acknowledged."""
    mask = np.zeros(len(rows), np.bool_)
    for ack in acknowledged:
        start, stop = max(ack.first_row - first, 0), min(ack.last_row + 1 - first, len(rows))
        mask[start:stop] |= ch.op_mask(rows.slice(start, stop), ack.ops)
        mask[[row - first for row in ack.without if first <= row < first + len(rows)]] = False
    return mask


@dataclass(frozen=True)
class _Step:
    """How rows of the base and acknowledged changes become rows of the next snapshot."""

    numbers: npt.NDArray[np.uint32]
    upload: int
    ends_day: int
    today: int
    refresh_all: bool

    def merge(self, base: Rows | None, changes: Rows | None) -> Rows | None:
        """One window."""
        kept = self._kept(base, changes) if base is not None else None
        added = self._added(changes) if changes is not None else None
        if kept is None or added is None:
            return added if kept is None else kept
        return merged_rows([kept, added])

    def _kept(self, base: Rows, changes: Rows | None) -> Rows:
        days = base.columns["day"]
        stays = (days == 0) | (days >= self.today)
        if changes is not None:
            places = positions_in(base.lines, changes.lines)
            ops = np.where(places >= 0, changes.columns["op"][places], 255)
            days = np.where(ops == int(Op.RENEW), self.ends_day, days)
            # An addition of a row that is there replaces it, so that its upload is the new one.
            stays = (stays | (ops == int(Op.RENEW))) & (ops != int(Op.REMOVE)) & (ops != int(Op.ADD))
        if self.refresh_all:
            days = np.full(len(base), self.ends_day)
        columns = {"upload": self.numbers[base.columns["upload"]], "day": days.astype("<u2")}
        return Rows(base.lines, columns).keep(stays)

    def _added(self, changes: Rows) -> Rows:
        lines = ch.with_ops(changes, (Op.ADD,)).lines
        return Rows(lines, constant_columns(len(lines), upload=self.upload, day=self.ends_day))
