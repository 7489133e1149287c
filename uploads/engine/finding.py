"""Whether files hold one of a few identifiers: members, snapshots and change files by look-up, text by reading on."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, cast

from uploads.engine import changes as ch
from uploads.engine import snapshot as sn
from uploads.engine.blocks import BlockReader

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"


def members_hold(path: Path, identifiers: Collection[str]) -> bool:
    """Whether a members or snapshot file has one of them; one block is read for each."""
    return _holds(path, sn.KIND, identifiers)


def changes_hold(path: Path, identifiers: Collection[str]) -> bool:
    """Whether a change file has one of them, whatever it does to them."""
    return _holds(path, ch.KIND, identifiers)


def _holds(path: Path, kind: str, identifiers: Collection[str]) -> bool:
    reader = BlockReader(path, kind)
    try:
        return any(reader.find(value.encode()) is not None for value in identifiers)
    finally:
        reader.close()


def text_holds(path: Path, identifiers: Collection[str]) -> bool:
    """Whether a text file, packed or not, has one of them anywhere, letter case aside. Reads block by block.

    A packed file that breaks off is searched as far as it goes.
    """
    needles = [value.lower().encode() for value in identifiers if value]
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
