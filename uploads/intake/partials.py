"""Resumable uploads that have not arrived whole yet: created, appended to at exact offsets, finished or dropped.

One request at a time may append. Its hold is short and renewed while bytes arrive, so that a client whose connection
broke can go on within seconds; the request that was left behind then changes nothing any more. What arrived before a
break is kept. Where storage is a local folder pieces are written in place; elsewhere each is an object of its own.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audsync_web.people.actors import Actor
from segments.models import Segment
from uploads import files
from uploads.models import PartialUpload, Upload
from uploads.services import UploadWish, require_quota, require_uploadable, upload_accept_unchecked, upload_folder

from .bodies import BodyCut

LIFETIME = timedelta(hours=24)
# However slowly it is sent: what lies about unfinished may hold people who were erased meanwhile.
LONGEST_LIFE = timedelta(days=7)
HOLD = timedelta(seconds=4)
PROGRESS_SECONDS = 0.5
COPY_BYTES = 1024 * 1024


class OffsetConflict(Exception):
    """Bytes do not belong where they were sent, or another request is sending now (409); the text says which."""


class TooManyBytes(Exception):
    """More bytes than were announced."""


def partial_create(*, actor: Actor, segment: Segment, length: int, metadata: dict[str, str]) -> PartialUpload:
    """Make room for a file of `length` bytes. Raises `UploadConflict` or `StorageFull`."""
    if actor.user is None:
        raise TypeError("a resumable upload belongs to a person")
    require_uploadable(segment)
    require_quota(actor.company, length)
    files.require_room(length)
    made: PartialUpload = PartialUpload.objects.create(
        company=actor.company,
        segment=segment,
        user=actor.user,
        length=length,
        metadata=metadata,
        expires_at=timezone.now() + LIFETIME,
    )
    return made


def partial_append(partial: PartialUpload, offset: int, blocks: Iterable[bytes]) -> None:
    """Append bytes at `offset`; what arrived is kept, whatever happens then. `partial.offset` tells how far it is.

    Raises `OffsetConflict`, `TooManyBytes`, `BodyCut` or `StorageFull`.
    """
    hold = _Hold(partial, offset)
    failure: Exception | None = None
    try:
        with _target(partial, offset) as target:
            failure = _write(hold, target, blocks, partial.length)
        hold.keep()
    finally:
        hold.leave()
    partial.offset = hold.offset
    if failure is not None:
        raise failure


def _write(hold: _Hold, target: BinaryIO, blocks: Iterable[bytes], length: int) -> Exception | None:
    """Write until the blocks end; an expected failure is given back, so that the bytes before it are kept."""
    try:
        for block in files.within_room(blocks):
            if hold.written + len(block) > length:
                return TooManyBytes()
            target.write(block)
            hold.advance(len(block), target)
        return None
    except (BodyCut, OffsetConflict, files.StorageFull) as failure:
        return failure
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return files.StorageFull("The disk is full. What has arrived so far is kept; go on later.")


class _Hold:
    """The right to append, in the row itself: whoever wrote `locked_until` last has it.

    `written` is how far the request has come, `offset` how far of it is kept whatever happens: the row tells of that.
    """

    def __init__(self, partial: PartialUpload, offset: int) -> None:
        now = timezone.now()
        self._pk = partial.pk
        self._ends_at = partial.created_at + LONGEST_LIFE
        self._until = now + HOLD
        self.offset = self.written = offset
        self._told = time.monotonic()
        free = Q(locked_until__isnull=True) | Q(locked_until__lt=now)
        rows = PartialUpload.objects.filter(free, pk=partial.pk, offset=offset, upload__isnull=True)
        if not rows.update(locked_until=self._until):
            raise OffsetConflict(_why_not(partial.pk, offset))

    def advance(self, count: int, target: BinaryIO) -> None:
        """Bytes were written. Renews the hold now and then; `OffsetConflict` when another request has taken it."""
        self.written += count
        if time.monotonic() - self._told < PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        if files.is_local():
            # Elsewhere a piece is kept as a whole, once the request has ended.
            target.flush()
            self.keep()
        self._store(timezone.now() + HOLD)

    def keep(self) -> None:
        """What was written so far is there to stay."""
        self.offset = self.written

    def leave(self) -> None:
        """Give the right back, with the offset that was reached; `OffsetConflict` when it was lost before."""
        self._store(None)

    def _store(self, until: datetime | None) -> None:
        mine = PartialUpload.objects.filter(pk=self._pk, locked_until=self._until)
        expires_at = min(timezone.now() + LIFETIME, self._ends_at)
        if not mine.update(offset=self.offset, locked_until=until, expires_at=expires_at):
            raise OffsetConflict("Another request took this upload over.")
        self._until = until or self._until


def _why_not(pk: Any, offset: int) -> str:
    row = PartialUpload.objects.filter(pk=pk).first()
    if row is not None and row.offset == offset and row.upload_id is None:
        return "Another request is sending to this upload. Ask for its offset in a moment."
    return f"This upload stands at byte {row.offset if row else 0}, not {offset}."


# --- where the bytes lie ---------------------------------------------------------------------------------------------


def _name(partial: PartialUpload) -> str:
    return f"company-{partial.company_id}/partial/{partial.pk}"


@contextmanager
def _target(partial: PartialUpload, offset: int) -> Iterator[BinaryIO]:
    if not files.is_local():
        with files.new_file(f"{_name(partial)}/{offset:020d}") as path, path.open("wb") as piece:
            yield piece
        return
    path = Path(default_storage.path(_name(partial)))
    files.make_private_folder(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.seek(offset)
        yield target
        target.flush()
        os.fsync(target.fileno())


def _move_whole(partial: PartialUpload, original: str) -> None:
    """Bring the finished file to its place. Safe to call again after a crash in between."""
    if not files.is_local():
        with files.new_file(original) as path, path.open("wb") as target:
            _join_pieces(partial, target)
        return
    source, goal = Path(default_storage.path(_name(partial))), Path(default_storage.path(original))
    files.make_private_folder(goal.parent)
    if source.exists() or not goal.exists():
        os.truncate(source, partial.length)
        source.replace(goal)


@contextmanager
def _moved_back_on_failure(partial: PartialUpload, original: str) -> Iterator[None]:
    """Where the file is not accepted, it lies as one that is on its way: to be handed over later, or dropped."""
    try:
        yield
    except BaseException:
        if files.is_local():
            Path(default_storage.path(original)).replace(default_storage.path(_name(partial)))
        else:
            files.delete(original)
        raise


@contextmanager
def arrived_bytes(partial: PartialUpload) -> Iterator[Path | None]:
    """What has arrived of an upload so far as one local file, to be read only; None where nothing has."""
    if files.is_local():
        path = Path(default_storage.path(_name(partial)))
        yield path if path.exists() else None
        return
    with files.spill_folder() as folder, (folder / "file").open("w+b") as target:
        _join_arrived(partial, target)
        target.flush()
        yield folder / "file"


def partial_sweep(partial: PartialUpload) -> bool:
    """Forget an upload that nobody is sending to; False while somebody is. A later try begins anew."""
    free = Q(locked_until__isnull=True) | Q(locked_until__lt=timezone.now())
    if not PartialUpload.objects.filter(free, pk=partial.pk, upload__isnull=True).delete()[0]:
        return False
    _delete_bytes(partial)
    return True


def _join_pieces(partial: PartialUpload, target: BinaryIO) -> None:
    if _join_arrived(partial, target) != partial.length:
        raise OffsetConflict("Parts of this upload are missing. Send it again.")


def _join_arrived(partial: PartialUpload, target: BinaryIO) -> int:
    """Pieces in the order of their offsets; one that was sent twice overlaps and is skipped as far as it does."""
    written = 0
    for number in sorted(default_storage.listdir(_name(partial))[1]):
        skip = written - int(number)
        with default_storage.open(f"{_name(partial)}/{number}", "rb") as piece:
            if skip < 0 or skip >= piece.size:
                continue
            piece.seek(skip)
            shutil.copyfileobj(piece, target, COPY_BYTES)
            written += piece.size - skip
    return written


def partial_finish(*, actor: Actor, partial: PartialUpload, wish: UploadWish) -> Upload:
    """The last byte is there: hand the file over to its inspection. Returns the one upload that it became.

    Raises `UploadConflict` when the segment takes no uploads any more, `StorageFull` when the quota is used up.
    """
    with transaction.atomic():
        # PostgreSQL locks no row that may be missing: the upload that it became.
        locked = PartialUpload.objects.select_for_update(of=("self",))
        row = locked.select_related("segment", "upload").get(pk=partial.pk)
        if row.upload is not None:
            return row.upload
        if row.offset != row.length:
            raise OffsetConflict(f"This upload stands at byte {row.offset} of {row.length}.")
        require_uploadable(row.segment)
        # Others may have used the company's quota up while this file was on its way.
        require_quota(actor.company, row.length)
        original = f"{upload_folder(row.company_id, row.pk)}/original"
        _move_whole(row, original)
        with _moved_back_on_failure(row, original):
            upload = upload_accept_unchecked(
                actor=actor, segment=row.segment, upload_id=row.pk, original=original, size=row.length, wish=wish
            )
        PartialUpload.objects.filter(pk=row.pk).update(upload=upload)
    if not files.is_local():
        _delete_bytes(row)
    return upload


def partial_drop(partial: PartialUpload) -> None:
    """Forget a resumable upload and what had arrived of it; an upload that it became stays."""
    if partial.upload_id is None:
        _delete_bytes(partial)
    partial.delete()


def _delete_bytes(partial: PartialUpload) -> None:
    name = _name(partial)
    if files.is_local():
        files.delete(name)
        return
    for number in default_storage.listdir(name)[1]:
        files.delete(f"{name}/{number}")
