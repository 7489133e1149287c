"""Which rows of two sorted blocks are the same identifier: exact, by the bytes themselves.

Eight bytes behind what all rows have in common find the candidates, comparing whole identifiers decides. Only where
several of the other lines share these bytes, their identifiers are looked up in a hash table.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from uploads.engine import hexlines
from uploads.engine import lines as ln
from uploads.engine.hexlines import HexLines
from uploads.engine.lines import Lines, Positions

Mask = npt.NDArray[np.bool_]


def positions_in(lines: Lines, others: Lines) -> Positions:
    """For each line its place among the other lines, -1 where it is not one of them. Both must be in order."""
    if not len(lines) or not len(others):
        return np.full(len(lines), -1, np.int64)
    if isinstance(lines, HexLines) and isinstance(others, HexLines) and hexlines.alike(lines, others):
        quick = hexlines.positions_in(lines, others)
        if quick is not None:
            return quick
    return _positions_of_text(ln.plain(lines), ln.plain(others))


def _positions_of_text(lines: Lines, others: Lines) -> Positions:
    if ln.same_text(lines, others):
        return np.arange(len(lines), dtype=np.int64)
    depth = _shared_prefix(lines, others)
    words, other_words = ln.keys(lines, depth), ln.keys(others, depth)
    places = np.searchsorted(other_words, words)
    # A line beyond the last of the others has no candidate; the last one stands in and differs.
    places[places == len(others)] = len(others) - 1
    found = other_words[places] == words
    shared = np.zeros(len(others), np.bool_)
    np.equal(other_words[1:], other_words[:-1], out=shared[1:])
    if shared.any():
        shared[:-1] |= shared[1:]
        ambiguous = found & shared[places]
        places[ambiguous] = _looked_up(lines, others, ambiguous, shared)
        found &= ~ambiguous
        unfound = ~found & ~ambiguous
    else:
        unfound = ~found
    _confirm(lines, others, places, found)
    places[unfound] = -1
    return places


def _shared_prefix(lines: Lines, others: Lines) -> int:
    """How many bytes all lines of both blocks begin with."""
    ends = [ln.line_at(block, place) for block in (lines, others) for place in (0, len(block) - 1)]
    lowest, highest = min(ends), max(ends)
    return next((place for place, (low, high) in enumerate(zip(lowest, highest, strict=False)) if low != high), 0)


def _looked_up(lines: Lines, others: Lines, wanted: Mask, among: Mask) -> Positions:
    """The places of some lines among some of the others, -1 where there is none."""
    places = np.flatnonzero(among)
    found = pc.index_in(lines.filter(pa.array(wanted)), value_set=others.filter(pa.array(among)))
    numbers = found.fill_null(-1).to_numpy(zero_copy_only=False)
    looked_up: Positions = np.where(numbers >= 0, places[numbers], -1)
    return looked_up


def _confirm(lines: Lines, others: Lines, places: Positions, candidates: Mask) -> None:
    """Compare candidates with the lines at their places as a whole; the place of those that differ becomes -1."""
    mine, theirs = _picked(lines, candidates), _gathered(others, places[candidates])
    if ln.same_text(mine, theirs):
        return
    differ = np.flatnonzero(candidates)[~np.asarray(pc.equal(mine, theirs), np.bool_)]
    places[differ] = -1


def _picked(lines: Lines, mask: Mask) -> Lines:
    return lines if mask.all() else lines.filter(pa.array(mask))


def _gathered(lines: Lines, places: Positions) -> Lines:
    """The lines at these places, which mostly rise by one: a filter is then quicker than a gathering."""
    if len(places) < 2 or not (places[1:] > places[:-1]).all():
        return lines.take(pa.array(places))
    mask = np.zeros(len(lines), np.bool_)
    mask[places] = True
    return _picked(lines, mask)
