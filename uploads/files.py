"""Where uploads' files lie: names in Django's default storage, and local paths for the engine to work on.

With a local folder the engine reads and writes in place; with S3 a file is brought to the private spill folder, and
what was made there is sent to the bucket.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage

# Room that is never given away to an upload: the database and the spill need it.
RESERVED_BYTES = 200_000_000
# After so many bytes of a stream it is looked again whether there is room.
LOOK_EVERY = 16_000_000


class StorageFull(Exception):
    """The disk or the company's quota has no room; `text` says what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def is_local() -> bool:
    """Whether stored files are files of this machine."""
    return isinstance(default_storage, FileSystemStorage) or isinstance(
        getattr(default_storage, "_wrapped", None), FileSystemStorage
    )


@contextmanager
def local_file(name: str) -> Iterator[Path]:
    """A stored file as a local path, to be read only."""
    if is_local():
        yield Path(default_storage.path(name))
        return
    with spill_folder() as folder:
        path = folder / "file"
        with default_storage.open(name, "rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
        yield path


@contextmanager
def new_file(name: str) -> Iterator[Path]:
    """A path to write a new stored file to; it is kept when the block ends well, and gone when it raises."""
    if is_local():
        path = Path(default_storage.path(name))
        make_private_folder(path.parent)
        try:
            yield path
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return
    with spill_folder() as folder:
        path = folder / "file"
        yield path
        # Storage keeps a file that is there already and gives the new one another name: the one there is of an earlier
        # try, whose worker died before anybody was told of it.
        delete(name)
        with path.open("rb") as source:
            default_storage.save(name, File(source))


def delete(name: str) -> None:
    """Delete a stored file; one that is gone already is fine."""
    if name:
        default_storage.delete(name)


def exists(name: str) -> bool:
    """Whether a stored file is there."""
    return bool(name) and default_storage.exists(name)


def names_in(folder: str) -> list[str]:
    """The names of the files that lie in a folder of storage, without it; none where there is no such folder."""
    try:
        return list(default_storage.listdir(folder)[1])
    except FileNotFoundError:
        return []


def make_private_folder(path: Path) -> None:
    """A folder that only the service can enter, parents included."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def spill_folder() -> Iterator[Path]:
    """A private folder for working files, deleted afterwards."""
    make_private_folder(settings.SPILL_DIR)
    with tempfile.TemporaryDirectory(dir=settings.SPILL_DIR) as folder:
        yield Path(folder)


def drop_spilled(folder: str) -> None:
    """Delete what lies under this name in this machine's spill folder; what is gone already is fine."""
    shutil.rmtree(Path(settings.SPILL_DIR) / folder, ignore_errors=True)


def require_room(wanted: int) -> None:
    """Raise `StorageFull` when the data folder has no room for `wanted` bytes and the work on them."""
    make_private_folder(settings.DATA_DIR)
    free = shutil.disk_usage(settings.DATA_DIR).free
    # The original, its sorted set and a change file are each at most about the file's size.
    needed = 3 * wanted + RESERVED_BYTES
    if free < needed:
        raise StorageFull(
            f"There is no room for this file: {free / 1e6:,.0f} MB are free, about {needed / 1e6:,.0f} MB needed. "
            "Make room, or try again later."
        )


def within_room(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks, for as long as they leave the reserved room alone; `StorageFull` then."""
    unlooked = LOOK_EVERY
    for block in blocks:
        unlooked += len(block)
        if unlooked >= LOOK_EVERY:
            require_room(0)
            unlooked = 0
        yield block
