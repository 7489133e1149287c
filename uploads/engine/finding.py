"""Whether files hold one of a few identifiers: members, snapshots and change files by look-up, text by reading on; and
a membership without them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from uploads.engine import changes as ch
from uploads.engine import lines as ln
from uploads.engine import snapshot as sn
from uploads.engine.blocks import BlockReader
from uploads.engine.lines import Lines

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
# ASCII, which most identifiers keep to, is the same in all others.
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")


def members_hold(path: Path, identifiers: Collection[str]) -> bool:
    """Whether a members or snapshot file has one of them; one block is read for each."""
    return _holds(path, sn.KIND, identifiers)


def members_matching(path: Path, test: Callable[[Lines], npt.NDArray[np.bool_]]) -> list[str]:
    """The identifiers of a members or snapshot file that a test names; the file is read whole, block by block."""
    with sn.SnapshotReader(path) as reader:
        return [
            value.decode()
            for rows in reader.blocks()
            if (mask := test(rows.lines)).any()
            for value in ln.identifiers(ln.chosen(rows.lines, mask))
        ]


def members_without(path: Path, identifiers: Collection[str], out: Path) -> int:
    """Write a members or snapshot file once more without a few identifiers; how many members are left."""
    gone = [value.encode() + b"\n" for value in identifiers]
    with sn.SnapshotReader(path) as reader, sn.SnapshotWriter(out, reader.uploads) as writer:
        for rows in reader.blocks():
            kept = np.ones(len(rows), np.bool_)
            for line in gone:
                place = ln.count_up_to(rows.lines, line) - 1
                if place >= 0 and ln.line_at(rows.lines, place) == line:
                    kept[place] = False
            if kept.any():
                writer.write(rows.keep(kept))
        return writer.rows


def changes_hold(path: Path, identifiers: Collection[str]) -> bool:
    """Whether a change file has one of them, whatever it does to them."""
    return _holds(path, ch.KIND, identifiers)


def _holds(path: Path, kind: str, identifiers: Collection[str]) -> bool:
    reader = BlockReader(path, kind)
    try:
        return any(reader.find(value.encode()) is not None for value in identifiers)
    finally:
        reader.close()


def _needles(value: str) -> Iterator[bytes]:
    for encoding in _ENCODINGS:
        for text in (value, value.lower()):
            with suppress(UnicodeEncodeError):
                yield text.encode(encoding).lower()


def text_holds(path: Path, identifiers: Collection[str]) -> bool:
    """Whether a text file, packed or not, has one of them anywhere, letter case aside, in any encoding that uploads
    are read in. Reads block by block.

    A packed file that breaks off is searched as far as it goes.
    """
    needles = list({needle for value in identifiers if value for needle in _needles(value)})
    if not needles:
        return False
    keep = max(map(len, needles)) - 1
    with path.open("rb") as stored:
        packed = stored.read(2) == _GZIP
        stored.seek(0)
        stream = cast("BinaryIO", gzip.GzipFile(fileobj=stored)) if packed else stored
        rest = b""
        try:
            while block := stream.read(_BLOCK):
                text = rest + block.lower()
                if any(needle in text for needle in needles):
                    return True
                rest = text[-keep:] if keep else b""
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return False
    return False
