"""How large a part gets when it is gzipped, found out to the byte while it is planned."""

from __future__ import annotations

from audsync_web.vendors.connectors.formats import LineFormat
from uploads.engine.blocks import Rows
from uploads.engine.rendering import Rendering
from uploads.engine.wire import GZIP_FRAME, packed


class PackedSize:
    """Counts the wire bytes of the part being planned, by packing the very pieces that writing it will pack."""

    def __init__(self, form: LineFormat, limit: int) -> None:
        self._separator = form.separator
        ends = [form.opening, (form.separator if form.final_separator else b"") + form.closing]
        self._room = limit - GZIP_FRAME - sum(len(packed(end)) for end in ends if end)
        self.reset()

    def reset(self) -> None:
        """A new part begins."""
        self._used = 0
        self._begun = False
        self.full = False

    def take(self, rendering: Rendering, rows: Rows) -> int:
        """Add as many of the rows, from the first on, as fit; how many that were. Fewer than all make the part full."""
        taken = 0
        for piece in rendering.pieces(rows):
            size = self._packed(rendering, piece)
            if self._used + size > self._room:
                self.full = True
                return taken + self._fitting(rendering, piece)
            self._used += size
            self._begun = True
            taken += len(piece)
        return taken

    def _packed(self, rendering: Rendering, rows: Rows) -> int:
        return len(packed(rendering.piece(rows)[0 if self._begun else len(self._separator) :]))

    def _fitting(self, rendering: Rendering, rows: Rows) -> int:
        """How many of the rows fit as the part's last piece; that many were tried, so the answer is exact."""
        fits, too_many = 0, len(rows)
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            if self._used + self._packed(rendering, rows.slice(0, middle)) <= self._room:
                fits = middle
            else:
                too_many = middle
        return fits
