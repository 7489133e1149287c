"""What a vendor has to be told so that its membership becomes what an upload says: one merge of sorted files.

A member whose day at the vendor has passed (its day is before today) counts as absent. A member who stays and whose
day comes before `renew_before_day` is sent again, as is everyone who stays when `refresh_all` is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from audsync_web.vendors.connectors.formats import Op
from uploads.engine import changes as ch
from uploads.engine import lines as ln
from uploads.engine.blocks import PublishedWriter, Rows, concat_rows
from uploads.engine.hexlines import HexLines, merge_order
from uploads.engine.matching import positions_in
from uploads.engine.merging import windows
from uploads.engine.ordering import sort_order
from uploads.engine.pipeline import ordered_map
from uploads.engine.progress import Progress, ProgressCallback
from uploads.engine.snapshot import SnapshotReader

Mode = Literal["replace", "add", "remove"]
Mask = npt.NDArray[np.bool_]

MAX_NEIGHBOURS = 64


@dataclass(frozen=True)
class DifferenceCounts:
    """The difference in numbers. `expired` rows of the snapshot are not in the file and their day has passed: they are
    dropped without a word to the vendor. Replace and add: members = adds + renewed + unchanged; remove: members =
    removes + unchanged."""

    members: int = 0
    adds: int = 0
    renewed: int = 0
    removes: int = 0
    unchanged: int = 0
    expired: int = 0


@dataclass(frozen=True)
class Target:
    """One destination: its acknowledged snapshot (None: nothing yet), and its change file (None: counts only).

    `neighbours` are snapshots of other destinations; bit i of a change's `held_by` says that neighbour i has it.
    `unknown`: others than those in the snapshot may be members there, so everybody who is to be removed is named.
    """

    snapshot: Path | None
    mode: Mode
    today: int
    renew_before_day: int = 0
    upload_id: str = ""
    out: Path | None = None
    neighbours: Sequence[Path] = ()
    refresh_all: bool = False
    unknown: bool = False


def difference(
    members: Path,
    snapshot: Path | None,
    *,
    mode: Mode,
    today: int,
    renew_before_day: int = 0,
    upload_id: str = "",
    out: Path | None = None,
    neighbours: Sequence[Path] = (),
    refresh_all: bool = False,
    progress: ProgressCallback | None = None,
) -> DifferenceCounts:
    """The difference for one destination; see `Target` for the arguments."""
    target = Target(snapshot, mode, today, renew_before_day, upload_id, out, neighbours, refresh_all)
    return difference_many(members, [target], progress)[0]


def difference_many(
    members: Path, targets: Sequence[Target], progress: ProgressCallback | None = None
) -> list[DifferenceCounts]:
    """The differences for all destinations that take the same members, in one pass over them."""
    with ExitStack() as stack:
        mine = stack.enter_context(SnapshotReader(members))
        sources = [mine.blocks(packed=True)]
        jobs = []
        for target in targets:
            if len(target.neighbours) > MAX_NEIGHBOURS:
                raise ValueError(f"at most {MAX_NEIGHBOURS} neighbours can be told apart")
            paths = [path for path in (target.snapshot, *target.neighbours) if path is not None]
            readers = [stack.enter_context(SnapshotReader(path)) for path in paths]
            jobs.append(_Job(target, len(sources), stack.enter_context(_writer(target)) if target.out else None))
            sources += [reader.blocks(packed=True) for reader in readers]
        done = 0
        for size, outcomes in ordered_map(lambda window: _work(jobs, window), windows(sources)):
            for job, outcome in zip(jobs, outcomes, strict=True):
                job.collect(outcome)
            done += size
            if progress is not None:
                progress(Progress("comparing", done, mine.count, done))
        return [job.finish() for job in jobs]


def _writer(target: Target) -> PublishedWriter:
    if target.out is None:
        raise ValueError("a difference without a file has no writer")
    return PublishedWriter(target.out, ch.KIND, ch.COLUMNS)


@dataclass(frozen=True)
class _Outcome:
    """What one window holds for one destination."""

    changes: Rows | None
    counts: tuple[int, int, int, int, int, int]


@dataclass
class _Job:
    """One destination's part of the pass. `first_source` is its snapshot's place among the sources of the windows."""

    target: Target
    first_source: int
    writer: PublishedWriter | None
    totals: list[int] = field(default_factory=lambda: [0] * 6)

    def compare(self, window: Sequence[Rows | None]) -> _Outcome:
        """The changes within one window."""
        place = self.first_source
        snapshot = None
        if self.target.snapshot is not None:
            snapshot = window[place]
            place += 1
        neighbours = window[place : place + len(self.target.neighbours)]
        return _compare(self.target, window[0], snapshot, neighbours, self.writer is not None)

    def collect(self, outcome: _Outcome) -> None:
        """Add a window's outcome; windows come in order."""
        self.totals = [total + count for total, count in zip(self.totals, outcome.counts, strict=True)]
        if self.writer is not None and outcome.changes is not None:
            self.writer.write(outcome.changes)

    def finish(self) -> DifferenceCounts:
        """The totals, which the change file also keeps."""
        counts = DifferenceCounts(*self.totals)
        if self.writer is not None:
            self.writer.meta = {
                "adds": counts.adds,
                "renewed": counts.renewed,
                "removes": counts.removes,
                "today": self.target.today,
                "upload": self.target.upload_id,
            }
        return counts


def _work(jobs: Sequence[_Job], window: Sequence[Rows | None]) -> tuple[int, list[_Outcome]]:
    return len(window[0]) if window[0] is not None else 0, [job.compare(window) for job in jobs]


def _compare(
    target: Target, members: Rows | None, snapshot: Rows | None, neighbours: Sequence[Rows | None], wanted: bool
) -> _Outcome:
    mine = members.lines if members is not None else ln.empty()
    theirs = snapshot.lines if snapshot is not None else ln.empty()
    days = snapshot.columns["day"] if snapshot is not None else np.zeros(0, "<u2")
    places = positions_in(mine, theirs)
    present = (days == 0) | (days >= target.today)
    matched = places >= 0
    staying = matched.copy()
    staying[matched] = present[places[matched]]
    named = np.zeros(len(theirs), np.bool_)
    named[places[matched]] = True
    expired = int(np.count_nonzero(~present & ~named))
    if target.mode == "remove" and target.unknown:
        blind = Rows(mine, {"op": np.full(len(mine), int(Op.REMOVE), "u1")}) if wanted and len(mine) else None
        counts = (len(mine), 0, 0, len(mine), 0, expired)
        return _Outcome(None if blind is None else _with_holders(blind, neighbours, target.today), counts)
    due = _due(target, days, places, staying)
    removed = _removed(target, present, named)
    added = ~staying if target.mode != "remove" else np.zeros(len(mine), np.bool_)
    adds, renewed, removes = (int(np.count_nonzero(mask)) for mask in (added, due, removed))
    unchanged = len(mine) - adds - renewed - (removes if target.mode == "remove" else 0)
    counts = (len(mine), adds, renewed, removes, unchanged, expired)
    if not wanted or not adds + renewed + removes:
        return _Outcome(None, counts)
    changes = _changes(mine, added, due, theirs, removed)
    return _Outcome(_with_holders(changes, neighbours, target.today), counts)


def _due(target: Target, days: npt.NDArray[np.uint16], places: ln.Positions, staying: Mask) -> Mask:
    """Which staying members are to be sent again."""
    due = np.zeros(len(staying), np.bool_)
    if target.mode == "remove" or not len(days):
        return due
    ends = days[places[staying]]
    due[staying] = True if target.refresh_all else (ends != 0) & (ends < target.renew_before_day)
    return due


def _removed(target: Target, present: Mask, named: Mask) -> Mask:
    """Which rows of the snapshot are to leave."""
    if target.mode == "replace":
        return present & ~named
    if target.mode == "remove":
        return present & named
    return np.zeros(len(present), np.bool_)


def _changes(mine: ln.Lines, added: Mask, due: Mask, theirs: ln.Lines, removed: Mask) -> Rows:
    """The changes of a window in order of their bytes."""
    ops = np.where(added, int(Op.ADD), int(Op.RENEW)).astype("u1")
    sent = Rows(mine, {"op": ops}).keep(added | due)
    gone = Rows(theirs, {"op": np.full(len(theirs), int(Op.REMOVE), "u1")}).keep(removed)
    if not len(gone):
        return sent
    if not len(sent):
        return gone
    both = concat_rows([sent, gone])
    order = merge_order(both.lines) if isinstance(both.lines, HexLines) else sort_order(both.lines, runs=2)[0]
    return both.take(order)


def _with_holders(changes: Rows, neighbours: Sequence[Rows | None], today: int) -> Rows:
    held = np.zeros(len(changes), "<u8")
    for bit, rows in enumerate(neighbours):
        if rows is None:
            continue
        days = rows.columns["day"]
        present = rows.keep((days == 0) | (days >= today))
        found = pc.is_in(ln.plain(changes.lines), value_set=ln.plain(present.lines)).to_numpy(zero_copy_only=False)
        held[found] |= np.uint64(1 << bit)
    return Rows(changes.lines, {**changes.columns, "held": held})
