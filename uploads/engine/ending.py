"""When members end: counts by day, and the rows of a snapshot that end within some days."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from uploads.engine import lines as ln
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, member_rows


def members_by_day(snapshot: Path) -> dict[int, int]:
    """How many members end on each day (0: never, or not known), in order of the days; memory stays that of a block."""
    found: Counter[int] = Counter()
    with SnapshotReader(snapshot) as reader:
        for values, each in reader.column("day"):
            days, counts = np.unique(values, return_counts=True)
            found.update(dict(zip(days.tolist(), (counts * each).tolist(), strict=True)))
    return dict(sorted(found.items()))


def members_ending(snapshot: Path, out: Path, *, first_day: int, before_day: int) -> int:
    """Write those whose day lies from `first_day` up to, not including, `before_day` as a members file; how many."""
    with SnapshotReader(snapshot) as reader, SnapshotWriter(out, [""]) as writer:
        for rows in reader.blocks(packed=True):
            days = rows.columns["day"]
            ending = rows.keep((days != 0) & (days >= first_day) & (days < before_day))
            if len(ending):
                writer.write(member_rows(ending.lines))
        return writer.rows


def write_members(identifiers: list[str], out: Path) -> int:
    """Write a few identifiers as a members file, sorted and without doubles; how many there are."""
    values = sorted({value.encode() for value in identifiers})
    with SnapshotWriter(out, [""]) as writer:
        if values:
            writer.write(member_rows(ln.from_text(b"".join(value + b"\n" for value in values))))
    return len(values)
