"""Files that are either there and whole or not there at all, and readable by the service alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def create_private(path: Path) -> BinaryIO:
    """Open a new file for writing with mode 0600; it must not exist yet."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")


@contextmanager
def published(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under `path` when the block ends well, in one rename, and leaves nothing when it does not."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    stream = create_private(temporary)
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
