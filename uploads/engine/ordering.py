"""Order and exact de-duplication of a block of lines: by eight bytes at a time, ties by the next eight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from uploads.engine import lines as ln
from uploads.engine.blocks import Rows, concat_rows
from uploads.engine.hexlines import HexLines, merge_order
from uploads.engine.lines import Keys, Lines, Positions

# Up to so many sorted runs in a row, a merge sort beats the quick sort.
_MERGEABLE_RUNS = 4


def sort_order(lines: Lines, *, runs: int = 0) -> tuple[Positions, npt.NDArray[np.bool_]]:
    """The order of the lines by bytes, and for each place in it whether the line equals the one before.

    `runs` says of how many sorted runs the block is made, 0 when it is not sorted at all.
    """
    if not len(lines):
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    depth = _shared_depth(lines)
    words = ln.keys(lines, depth)
    order: Positions = np.argsort(words, kind="stable" if 0 < runs <= _MERGEABLE_RUNS else "quicksort")
    tied = _equal_to_previous(words[order])
    if tied.any():
        _break_ties(lines, order, tied, depth + 8)
    return order, tied


def merged_rows(runs: Sequence[Rows]) -> Rows:
    """The rows of a few sorted runs in order of their bytes. At least one run, and no line is in two of them."""
    filled = [rows for rows in runs if len(rows)]
    if len(filled) < 2:
        return filled[0] if filled else runs[0]
    both = concat_rows(filled)
    if isinstance(both.lines, HexLines):
        return both.take(merge_order(both.lines))
    return both.take(sort_order(both.lines, runs=len(filled))[0])


def sorted_unique(lines: Lines, *, runs: int = 0) -> Lines:
    """The distinct lines in order of their bytes."""
    order, tied = sort_order(lines, runs=runs)
    if tied.any():
        order = order[~tied]
    return lines.take(pa.array(order))


def _shared_depth(lines: Lines) -> int:
    """A depth, in whole words, up to which all lines are the same."""
    depth, longest = 0, int(ln.lengths(lines).min())
    first, last = ln.line_at(lines, 0), ln.line_at(lines, len(lines) - 1)
    while depth + 8 <= longest and first[depth : depth + 8] == last[depth : depth + 8]:
        words = ln.keys(lines, depth)
        if not (words == words[0]).all():
            break
        depth += 8
    return depth


def _equal_to_previous(words: Keys) -> npt.NDArray[np.bool_]:
    equal = np.zeros(len(words), np.bool_)
    np.equal(words[1:], words[:-1], out=equal[1:])
    return equal


def _break_ties(lines: Lines, order: Positions, tied: npt.NDArray[np.bool_], depth: int) -> None:
    """Put lines whose words up to `depth` are equal in order, in place; `tied` ends true where all words are equal."""
    at = np.flatnonzero(tied | np.append(tied[1:], False))
    while len(at):
        rows = order[at]
        group = np.cumsum(~tied[at])
        block = lines.take(pa.array(rows))
        if depth >= int(ln.lengths(block).max()):
            return
        words = ln.keys(block, depth)
        inner = np.lexsort((words, group))
        order[at] = rows[inner]
        words = words[inner]
        tied[at[1:]] &= words[1:] == words[:-1]
        still = tied[at] | np.append(tied[at[1:]], False)
        at = at[still]
        depth += 8
