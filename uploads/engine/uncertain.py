"""Those of whom nobody knows whether a vendor has them: a members file beside the snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from uploads.engine import lines as ln
from uploads.engine.applying import Acknowledged, acknowledged_rows
from uploads.engine.blocks import Rows
from uploads.engine.changes import ChangeReader
from uploads.engine.lines import Lines
from uploads.engine.matching import positions_in
from uploads.engine.merging import windows
from uploads.engine.ordering import sorted_unique
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, member_rows


def uncertain_after(
    before: Path | None, changes: Path, acknowledged: Acknowledged, unknown: Acknowledged, out: Path
) -> int:
    """Write who is uncertain after a delivery; how many there are.

    Who was uncertain `before` stays so unless a change about them was `acknowledged`; those whose change has an
    outcome that is `unknown` join them. Memory stays that of a block of each file.
    """
    with ExitStack() as stack, SnapshotWriter(out, [""]) as writer:
        sources = [_members(stack, before)]
        for ranges in (acknowledged, unknown):
            sources.append(acknowledged_rows(stack.enter_context(ChangeReader(changes)), ranges))
        for old, settled, joining in windows(sources):
            kept = _without(old, settled)
            lines = _together([*kept, *([] if joining is None else [joining.lines])])
            if len(lines):
                writer.write(member_rows(lines))
    return writer.rows


def together(members: Path, uncertain: Path | None, out: Path) -> int:
    """Write everybody who is in either file as a members file; how many there are."""
    with ExitStack() as stack, SnapshotWriter(out, [""]) as writer:
        for window in windows([_members(stack, members), _members(stack, uncertain)]):
            writer.write(member_rows(_together([rows.lines for rows in window if rows is not None])))
    return writer.rows


def _members(stack: ExitStack, path: Path | None) -> Iterator[Rows]:
    return iter(()) if path is None else stack.enter_context(SnapshotReader(path)).blocks()


def _without(rows: Rows | None, others: Rows | None) -> list[Lines]:
    if rows is None or others is None:
        return [] if rows is None else [rows.lines]
    return [ln.chosen(rows.lines, positions_in(rows.lines, others.lines) < 0)]


def _together(blocks: Sequence[Lines]) -> Lines:
    filled = [ln.plain(lines) for lines in blocks if len(lines)]
    if len(filled) < 2:
        return filled[0] if filled else ln.empty()
    return sorted_unique(ln.concat(filled), runs=len(filled))
