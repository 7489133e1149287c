"""How large a part gets when it is gzipped, found out while it is planned."""

from __future__ import annotations

from isal import isal_zlib

from audsync_web.vendors.connectors.formats import LineFormat
from uploads.engine.blocks import Rows
from uploads.engine.rendering import Rendering
from uploads.engine.wire import GZIP_LEVEL

# Rows packed at a time: many, or the packer does worse than when the part is written; few beside a small limit.
_MOST_ROWS, _FEWEST_ROWS = 8192, 128
_LIMIT_BYTES_PER_ROW = 4096
# gzip header and trailer, the end of the last deflate block, and what the packer holds back unseen.
_OVERHEAD = 512
# What deflate can add to bytes that do not pack at all, by 64 KiB stored block.
_STORED_BLOCK = 5


class PackedSize:
    """Counts the wire bytes of the part being planned and says how many more rows certainly fit.

    While the part's unpacked bytes are below the limit it certainly fits, and nothing is packed. Beyond, rows are
    packed as they will be when the part is written. Each step is taken only if it fit even when it did not pack at all.
    """

    def __init__(self, form: LineFormat, limit: int) -> None:
        self._form = form
        self._step = min(max(limit // _LIMIT_BYTES_PER_ROW, _FEWEST_ROWS), _MOST_ROWS)
        self._limit = limit - _OVERHEAD - len(form.opening) - len(form.closing)
        self.reset()

    def reset(self) -> None:
        """A new part begins."""
        self._packed = 0
        self._packer = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31)

    def take(self, rendering: Rendering, rows: Rows) -> int:
        """Add as many of the rows, from the first on, as fit; how many that were."""
        taken = 0
        while taken < len(rows):
            piece = rows.slice(taken, min(taken + self._step, len(rows)))
            text = rendering.body(piece) + self._form.separator
            worst = len(text) + _STORED_BLOCK * (len(text) // 65_535 + 1)
            if self._packed + worst > self._limit:
                return taken + self._last_rows(rendering, piece)
            self._add(text)
            taken += len(piece)
        return taken

    def _last_rows(self, rendering: Rendering, rows: Rows) -> int:
        """Fewer rows than a step, as far as they fit unpacked."""
        room = self._limit - self._packed
        sizes = rendering.sizes(rows).cumsum()
        fitting = int(sizes.searchsorted(max(room - _STORED_BLOCK * 2, 0), side="right"))
        if fitting:
            self._add(rendering.body(rows.slice(0, fitting)) + self._form.separator)
            self._packed = self._limit
        return fitting

    def _add(self, text: bytes) -> None:
        self._packed += len(self._packer.compress(text)) + len(self._packer.flush(isal_zlib.Z_SYNC_FLUSH))
