"""Which rows of two sorted blocks are the same identifier: exact, by the bytes themselves."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from uploads.engine import lines as ln
from uploads.engine.lines import Lines, Positions


def positions_in(lines: Lines, others: Lines) -> Positions:
    """For each line its place among the other lines, -1 where it is not one of them."""
    if not len(lines) or not len(others):
        return np.full(len(lines), -1, np.int64)
    if len(lines) == len(others) and ln.text_of(lines) == ln.text_of(others):
        return np.arange(len(lines), dtype=np.int64)
    found = pc.index_in(lines, value_set=others).fill_null(-1)
    places: Positions = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return places
