"""Several sorted files read side by side: windows of rows that belong together because no key is in two windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uploads.engine import lines as ln
from uploads.engine.blocks import Rows


class _Cursor:
    """What is loaded of one sorted source and not yet handed out."""

    def __init__(self, source: Iterator[Rows]) -> None:
        self._source = source
        self.rows: Rows | None = None
        self._start = 0
        self.last = b""
        self._load()

    def _load(self) -> None:
        self.rows = next((rows for rows in self._source if len(rows)), None)
        self._start = 0
        if self.rows is not None:
            self.last = ln.line_at(self.rows.lines, len(self.rows) - 1)

    def up_to(self, bound: bytes) -> Rows | None:
        """The rows that are not greater than the bound, out of the loaded block; None when there is none."""
        if self.rows is None:
            return None
        if self.last <= bound:
            piece = self.rows if not self._start else self.rows.slice(self._start, len(self.rows))
            self._load()
            return piece
        rest = self.rows.lines.slice(self._start)
        stop = self._start + ln.count_up_to(rest, bound)
        if stop == self._start:
            return None
        piece = self.rows.slice(self._start, stop)
        self._start = stop
        return piece


def windows(sources: Sequence[Iterator[Rows]]) -> Iterator[list[Rows | None]]:
    """Rows of all sources in step: each window holds, for every source, all its rows within one range of keys.

    The ranges follow one another and do not overlap, so a window can be worked on without the others. At most one
    block of each source is in memory. Rows of a source must be in order of their bytes.
    """
    cursors = [_Cursor(source) for source in sources]
    while live := [cursor.last for cursor in cursors if cursor.rows is not None]:
        bound = min(live)
        yield [cursor.up_to(bound) for cursor in cursors]
