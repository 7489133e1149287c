"""The parts of a delivery, made from rows the slow and simple way."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from audsync_web.vendors.connectors.base import (
    Connector,
    DeliveryContext,
    PartRef,
    RemoteState,
)
from audsync_web.vendors.connectors.formats import LineFormat, Op

Row = tuple[Op, str]


@dataclass
class FilePayload:
    """A part from bytes or from a file."""

    content: bytes | Path
    number: int = 1
    lines: int = 0
    adds: int = 0
    removes: int = 0
    listed: Sequence[Row] = ()
    memory: Mapping[str, Any] = field(default_factory=dict)
    bytes: int = 0
    md5: str = ""

    def __post_init__(self) -> None:
        whole = self.content.read_bytes() if isinstance(self.content, Path) else self.content
        self.bytes = len(whole)
        self.md5 = hashlib.md5(whole, usedforsecurity=False).hexdigest()

    def open(self) -> BinaryIO:
        return self.content.open("rb") if isinstance(self.content, Path) else io.BytesIO(self.content)

    def rows(self) -> Sequence[Row]:
        return self.listed

    def ref(self, state: RemoteState, sent_at: datetime | None) -> PartRef:
        """The part as the engine knows it once it was sent."""
        return PartRef(
            self.number, state.job_id, sent_at, self.lines, self.adds, self.removes, self.bytes, self.md5, self.memory
        )


def additions(identifiers: Sequence[str]) -> list[Row]:
    """Rows that add, in byte order as the engine has them."""
    return [(Op.ADD, value) for value in sorted(identifiers, key=str.encode)]


def make_parts(
    connector: Connector, delivery: DeliveryContext, rows: Sequence[Row], held_by: Mapping[str, int] | None = None
) -> list[FilePayload]:
    """The parts of a delivery by the connector's rules and format: slow and simple, to compare with."""
    rules, shape = connector.part_rules(delivery), connector.line_format(delivery)
    groups = [list(rows)]
    if rules.split_operations and not rules.whole_list:
        removals = [row for row in rows if row[0] is Op.REMOVE]
        others = [row for row in rows if row[0] is not Op.REMOVE]
        groups = [removals, others] if rules.removals_first else [others, removals]
    parts: list[FilePayload] = []
    for group in groups:
        most = rules.max_lines
        if rules.split_operations and rules.max_removals and group and group[0][0] is Op.REMOVE:
            most = min(most or rules.max_removals, rules.max_removals)
        for chunk in _chunks(group, shape, None if rules.whole_list else most, rules.max_bytes, held_by or {}):
            parts.append(_payload(len(parts) + 1, chunk, shape, held_by or {}))
    return parts


def _line(row: Row, shape: LineFormat, held_by: Mapping[str, int]) -> bytes:
    wrap = shape.wrap(row[0], held_by.get(row[1], 0))
    text = json.dumps(row[1], ensure_ascii=False)[1:-1] if shape.escape == "json" else row[1]
    return wrap.prefix + text.encode(shape.encoding) + wrap.suffix


def _body(rows: Sequence[Row], shape: LineFormat, held_by: Mapping[str, int]) -> bytes:
    lines = shape.separator.join(_line(row, shape, held_by) for row in rows)
    return shape.opening + lines + (shape.separator if shape.final_separator and rows else b"") + shape.closing


def _chunks(
    rows: Sequence[Row], shape: LineFormat, most: int | None, largest: int | None, held_by: Mapping[str, int]
) -> Iterator[list[Row]]:
    empty = len(shape.opening) + len(shape.closing)
    chunk: list[Row] = []
    size = empty
    for row in rows:
        # The last separator may be absent; counting it for every line but the first gives the exact size either way.
        line = len(_line(row, shape, held_by)) + (len(shape.separator) if chunk or shape.final_separator else 0)
        full = most is not None and len(chunk) >= most
        if chunk and (full or (largest is not None and size + line > largest)):
            yield chunk
            chunk, size = [], empty
            line = len(_line(row, shape, held_by)) + (len(shape.separator) if shape.final_separator else 0)
        chunk.append(row)
        size += line
    if chunk:
        yield chunk


def _payload(number: int, rows: Sequence[Row], shape: LineFormat, held_by: Mapping[str, int]) -> FilePayload:
    plain = _body(rows, shape, held_by)
    removes = sum(1 for op, _ in rows if op is Op.REMOVE)
    return FilePayload(
        gzip.compress(plain, 1, mtime=0) if shape.gzip else plain,
        number=number,
        lines=len(rows),
        adds=len(rows) - removes,
        removes=removes,
        listed=list(rows),
    )
