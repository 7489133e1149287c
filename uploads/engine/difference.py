"""What a vendor has to be told so that its membership becomes what an upload says: one merge of sorted files.

A member whose day at the vendor has passed (its day is before today) counts as absent. A member who stays and whose
day comes before `renew_before_day` is sent again, as is everyone who stays when `refresh_all` is asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from audsync_web.vendors.connectors.formats import Op
from uploads.engine import changes as ch
from uploads.engine import lines as ln
from uploads.engine.blocks import PublishedWriter, Rows
from uploads.engine.matching import positions_in
from uploads.engine.merging import windows
from uploads.engine.ordering import merged_rows
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
    removes + unchanged. `doubtful` of the removals are of identifiers that are not in the snapshot and perhaps there;
    `again` of the additions are of members in it who perhaps are not. `present` are there now, `after` once all of it
    has been acknowledged: after = present + (adds - again) - (removes - doubtful), but where others than those in the
    snapshot may be members."""

    members: int = 0
    adds: int = 0
    renewed: int = 0
    removes: int = 0
    unchanged: int = 0
    expired: int = 0
    doubtful: int = 0
    after: int = 0
    present: int = 0
    again: int = 0


@dataclass(frozen=True)
class Target:
    """One destination: its acknowledged snapshot (None: nothing yet), and its change file (None: counts only).

    `neighbours` are snapshots of other destinations; bit i of a change's `held_by` says that neighbour i has it.
    `unknown`: others than those in the snapshot may be members there, so everybody who is to be removed is named.
    `uncertain` (a members file): those of whom nobody knows whether they are there, whatever the snapshot says of them.
    Who is in the file is sent again; who is neither in it nor, where the file only adds, in the snapshot is removed.
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
    uncertain: Path | None = None


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
            paths = [path for path in (target.snapshot, target.uncertain, *target.neighbours) if path is not None]
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
    counts: tuple[int, ...]


@dataclass
class _Job:
    """One destination's part of the pass. `first_source` is the place of its own among the sources of the windows."""

    target: Target
    first_source: int
    writer: PublishedWriter | None
    totals: list[int] = field(default_factory=lambda: [0] * len(fields(DifferenceCounts)))

    def compare(self, window: Sequence[Rows | None]) -> _Outcome:
        """The changes within one window."""
        own = iter(window[self.first_source :])
        snapshot = next(own) if self.target.snapshot is not None else None
        uncertain = next(own) if self.target.uncertain is not None else None
        neighbours = list(itertools.islice(own, len(self.target.neighbours)))
        return _compare(self.target, window[0], snapshot, uncertain, neighbours, self.writer is not None)

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
    target: Target,
    members: Rows | None,
    snapshot: Rows | None,
    uncertain: Rows | None,
    neighbours: Sequence[Rows | None],
    wanted: bool,
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
    after, before = _after(target, staying, present, named), int(np.count_nonzero(present))
    if target.mode == "remove" and target.unknown:
        blind = Rows(mine, {"op": np.full(len(mine), int(Op.REMOVE), "u1")}) if wanted and len(mine) else None
        counts: tuple[int, ...] = (len(mine), 0, 0, len(mine), 0, expired, 0, after, before, 0)
        return _Outcome(None if blind is None else _with_holders(blind, neighbours, target.today), counts)
    due = _due(target, days, places, staying)
    removed = _removed(target, present, named)
    added = ~staying if target.mode != "remove" else np.zeros(len(mine), np.bool_)
    gone = [(theirs, removed)]
    doubtful = 0
    if uncertain is not None:
        perhaps = uncertain.lines
        if target.mode != "remove":
            added |= positions_in(mine, perhaps) >= 0
            due &= ~added
        swept = _swept(target, mine, perhaps, theirs, present if target.mode == "add" else removed)
        doubtful = int(np.count_nonzero(swept))
        gone.append((perhaps, swept))
    adds, renewed = int(np.count_nonzero(added)), int(np.count_nonzero(due))
    removes = int(np.count_nonzero(removed)) + doubtful
    unchanged = len(mine) - adds - renewed - (removes if target.mode == "remove" else 0)
    again = int(np.count_nonzero(added & staying))
    counts = (len(mine), adds, renewed, removes, unchanged, expired, doubtful, after, before, again)
    if not wanted or not adds + renewed + removes:
        return _Outcome(None, counts)
    return _Outcome(_with_holders(_changes(mine, added, due, gone), neighbours, target.today), counts)


def _after(target: Target, staying: Mask, present: Mask, named: Mask) -> int:
    """How many are there once the window's changes have been acknowledged."""
    if target.mode == "replace":
        return len(staying)
    if target.mode == "add":
        return int(np.count_nonzero(present)) + int(np.count_nonzero(~staying))
    return int(np.count_nonzero(present & ~named))


def _swept(target: Target, mine: ln.Lines, perhaps: ln.Lines, theirs: ln.Lines, settled: Mask) -> Mask:
    """Which of the uncertain are to be removed besides the snapshot's rows; of `settled` rows there it is decided."""
    if target.mode == "add" and target.unknown:
        # They may have been there before anybody was brought.
        return np.zeros(len(perhaps), np.bool_)
    in_file = positions_in(perhaps, mine) >= 0
    places = positions_in(perhaps, theirs)
    decided = places >= 0
    decided[decided] = settled[places[decided]]
    return (in_file if target.mode == "remove" else ~in_file) & ~decided


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


def _changes(mine: ln.Lines, added: Mask, due: Mask, gone: Sequence[tuple[ln.Lines, Mask]]) -> Rows:
    """The changes of a window in order of their bytes."""
    ops = np.where(added, int(Op.ADD), int(Op.RENEW)).astype("u1")
    runs = [Rows(mine, {"op": ops}).keep(added | due)]
    runs += [Rows(lines, {"op": np.full(len(lines), int(Op.REMOVE), "u1")}).keep(mask) for lines, mask in gone]
    return merged_rows(runs)


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
