"""Membership snapshots: what a vendor has acknowledged, ordered by bytes, and the members files made of uploads.

A row is an identifier, the upload that brought it (a number into the list of upload ids in the file's index) and the
day its membership ends at the vendor, in days since 1970-01-01; 0 means never, or not known. A members file is the
same with one upload, named by the empty string, and day 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from uploads.engine.blocks import BlockReader, Column, PublishedWriter, Rows
from uploads.engine.lines import Lines

KIND = "members"
COLUMNS: Mapping[str, str] = {"upload": "<u4", "day": "<u2"}


@dataclass(frozen=True)
class Row:
    """One member: the upload that brought it (None: no longer known) and the day it ends (0: never, or not known)."""

    identifier: str
    upload: str | None
    day: int


class SnapshotReader:
    """A snapshot or members file, open for reading; use it as a context."""

    def __init__(self, path: Path) -> None:
        self._blocks = BlockReader(path, KIND)
        self.count = self._blocks.count
        self.uploads: list[str | None] = self._blocks.meta["uploads"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._blocks.close()

    def blocks(self, *, packed: bool = False) -> Iterator[Rows]:
        """All rows in order of their bytes, block by block; `packed` lines may be `lines.PackedLines`."""
        return self._blocks.blocks(packed=packed)

    def column(self, name: str) -> Iterator[tuple[Column, int]]:
        """The values of one column, as `BlockReader.column` tells."""
        return self._blocks.column(name)

    def find(self, identifier: str | bytes) -> Row | None:
        """The row of one identifier, written as the snapshot has it, or None; reads one block of the file."""
        value = identifier.encode() if isinstance(identifier, str) else identifier
        found = self._blocks.find(value)
        if found is None:
            return None
        _, columns = found
        return Row(value.decode(), self.uploads[columns["upload"]], columns["day"])


class SnapshotWriter(PublishedWriter):
    """Writes a snapshot from rows in order; `uploads` is the list that the rows' upload numbers point into.

    Ids that no row points to are forgotten, so that the list does not grow with a destination's history.
    """

    def __init__(self, path: Path, uploads: list[str | None]) -> None:
        super().__init__(path, KIND, COLUMNS)
        self._uploads = uploads
        self._used = np.zeros(len(uploads), np.bool_)

    def write(self, rows: Rows) -> None:
        """Append rows in order."""
        self._used[rows.columns["upload"]] = True
        super().write(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.meta["uploads"] = [
            upload if used else None for upload, used in zip(self._uploads, self._used, strict=True)
        ]
        super().__exit__(kind, error, trace)


def member_rows(lines: Lines, *, upload: int = 0, day: int = 0) -> Rows:
    """Rows of one upload and one day."""
    return Rows(lines, constant_columns(len(lines), upload=upload, day=day))


def constant_columns(size: int, *, upload: int, day: int) -> dict[str, Column]:
    """A snapshot's columns with the same values in every row."""
    return {"upload": np.full(size, upload, "<u4"), "day": np.full(size, day, "<u2")}


def count(path: Path) -> int:
    """How many members the file holds; only its index is read."""
    with SnapshotReader(path) as reader:
        return reader.count


def find(path: Path, identifier: str | bytes) -> Row | None:
    """Whether the identifier is in the file, since which upload and until which day."""
    with SnapshotReader(path) as reader:
        return reader.find(identifier)
