"""Several sorted files read side by side: windows of rows that belong together because no key is in two windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from uploads.engine import lines as ln
from uploads.engine.blocks import Rows, concat_rows


class _Cursor:
    """What is loaded of one sorted source and not yet handed out: up to `depth` blocks."""

    def __init__(self, source: Iterator[Rows], depth: int) -> None:
        self._source = source
        self._depth = depth
        self._blocks: deque[Rows] = deque()
        self.last = b""
        self._load()

    @property
    def is_empty(self) -> bool:
        """Whether everything was handed out."""
        return not self._blocks

    def _load(self) -> None:
        while len(self._blocks) < self._depth:
            rows = next((rows for rows in self._source if len(rows)), None)
            if rows is None:
                return
            self._blocks.append(rows)
            self.last = ln.line_at(rows.lines, len(rows) - 1)

    def up_to(self, bound: bytes) -> Rows | None:
        """The rows that are not greater than the bound, out of what is loaded; None when there is none."""
        pieces = []
        while self._blocks:
            rows = self._blocks[0]
            stop = len(rows) if self.last <= bound else ln.count_up_to(rows.lines, bound)
            if stop < len(rows):
                if stop:
                    pieces.append(rows.slice(0, stop))
                    self._blocks[0] = rows.slice(stop, len(rows))
                break
            pieces.append(self._blocks.popleft())
        self._load()
        return concat_rows(pieces) if pieces else None


def windows(sources: Sequence[Iterator[Rows]], depth: int = 1) -> Iterator[list[Rows | None]]:
    """Rows of all sources in step: each window holds, for every source, all its rows within one range of keys.

    The ranges follow one another and do not overlap, so a window can be worked on without the others. At most `depth`
    blocks of each source are in memory: with one, a window holds about as much as a block; with two, each source gives
    at least about a block to every window, which pays where there are many. Rows of a source must be in order of
    their bytes.
    """
    cursors = [_Cursor(source, depth) for source in sources]
    while live := [cursor.last for cursor in cursors if not cursor.is_empty]:
        bound = min(live)
        yield [cursor.up_to(bound) for cursor in cursors]
