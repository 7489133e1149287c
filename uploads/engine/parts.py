"""Parts and whole lists on disk: written block by block, made again identically from the same change file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from audsync_web.vendors.connectors.formats import LineFormat, Op
from uploads.engine import changes as ch
from uploads.engine.applying import ALL, merged_blocks
from uploads.engine.atomic import published
from uploads.engine.blocks import Rows
from uploads.engine.changes import ChangeReader
from uploads.engine.pipeline import ordered_map
from uploads.engine.planning import PartRange, PartTooLarge, plan_parts
from uploads.engine.progress import Progress, ProgressCallback
from uploads.engine.rendering import Rendering
from uploads.engine.wire import WireWriter, WrittenPart, packed

__all__ = ["PartRange", "PartRenderer", "PartTooLarge", "WrittenPart", "plan_parts", "write_list", "write_part"]


def write_part(
    changes: Path, part: PartRange, form: LineFormat, out: Path, progress: ProgressCallback | None = None
) -> WrittenPart:
    """Write one part. Only `first_row`, `last_row` and `ops` of the part are looked at."""
    with ChangeReader(changes) as reader:
        return _write(_rows_of(reader, part), form, out, progress)


class PartRenderer:
    """Makes small parts in memory, not packed, one after the other: batches of a thousand rows, say. Use as a
    context: the change file stays open."""

    def __init__(self, changes: Path, form: LineFormat) -> None:
        self._form = form
        self._rendering = Rendering(form)
        self._reader = ChangeReader(changes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()

    def render(self, part: PartRange) -> bytes:
        """The bytes of a part."""
        form = self._form
        bodies = [self._rendering.body(rows) for rows in _rows_of(self._reader, part)]
        end = form.separator if form.final_separator and bodies else b""
        return form.opening + form.separator.join(bodies) + end + form.closing


def write_list(
    base: Path | None,
    changes: Path | None,
    form: LineFormat,
    out: Path,
    *,
    progress: ProgressCallback | None = None,
) -> WrittenPart:
    """Write the whole membership: what `base` (a snapshot or members file) becomes by the changes. Every line is
    wrapped as an addition that no neighbour holds."""
    with closing(merged_blocks(base, changes, ALL)) as blocks:
        return _write((_as_additions(rows) for rows in blocks), form, out, progress)


def _rows_of(reader: ChangeReader, part: PartRange) -> Iterator[Rows]:
    for _, block in reader.rows_between(part.first_row, part.last_row):
        rows = ch.with_ops(block, part.ops)
        if len(rows):
            yield rows


def _as_additions(rows: Rows) -> Rows:
    return Rows(rows.lines, {"op": np.full(len(rows), int(Op.ADD), "u1"), "held": np.zeros(len(rows), "<u8")})


def _write(blocks: Iterator[Rows], form: LineFormat, out: Path, progress: ProgressCallback | None) -> WrittenPart:
    rendering = Rendering(form)
    lines = 0
    with published(out) as stream, closing(WireWriter(stream, gzip=form.gzip, md5=form.md5)) as wire:
        wire.write(form.opening)
        for rendered in ordered_map(lambda piece: _rendered(rendering, *piece), _pieces(rendering, blocks)):
            wire.write(rendered.text, rendered.packed)
            lines += rendered.lines
            if progress is not None:
                progress(Progress("writing", wire.unpacked_bytes, None, lines))
        wire.write((form.separator if form.final_separator and lines else b"") + form.closing)
        return wire.finish(lines)


@dataclass(frozen=True)
class _Rendered:
    """A piece of a part: its text, the same packed (None: the format is not gzip), its lines."""

    text: memoryview
    packed: bytes | None
    lines: int


def _pieces(rendering: Rendering, blocks: Iterator[Rows]) -> Iterator[tuple[Rows, bool]]:
    """The rows in pieces; each with whether it is the first."""
    first = True
    for rows in blocks:
        for piece in rendering.pieces(rows):
            yield piece, first
            first = False


def _rendered(rendering: Rendering, rows: Rows, first: bool) -> _Rendered:
    text = rendering.piece(rows)[len(rendering.form.separator) if first else 0 :]
    return _Rendered(text, packed(text) if rendering.form.gzip else None, len(rows))
