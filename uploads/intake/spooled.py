"""Files that come by the page's plain form: spooled by Django to a private file, then checked like any other."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest

from audsync_web.people.actors import Actor
from segments.models import Segment
from uploads import files
from uploads.engine.refusal import FileRefused
from uploads.models import Mode, Upload
from uploads.receiving import BLOCK_BYTES, kept_if_accepted, plain, receive
from uploads.rules import destinations_for_upload, require_taker
from uploads.services import (
    UploadWish,
    options_to_store,
    require_quota,
    require_uploadable,
    upload_accept,
    upload_folder,
)

LINES_A_BLOCK = 5000


class PrivateFileHandler(FileUploadHandler):
    """Spools a form's file to the private spill folder, and drops it as soon as it is larger than allowed."""

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self.too_large = False
        self._file: Any = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file in the spill folder."""
        super().new_file(*args, **kwargs)
        files.make_private_folder(settings.SPILL_DIR)
        self._file = tempfile.NamedTemporaryFile(dir=settings.SPILL_DIR, suffix=".form")  # noqa: SIM115  # ends with the request

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Store a piece."""
        if start + len(raw_data) > settings.MAX_UPLOAD_BYTES:
            self.too_large = True
            self._file.truncate(0)
            raise SkipFile
        self._file.write(raw_data)
        return None

    def file_complete(self, file_size: int) -> UploadedFile[Any] | None:
        """The whole file, at its beginning."""
        if not self.file_name and not file_size:
            return None
        self._file.seek(0)
        return UploadedFile(self._file, self.file_name, self.content_type, file_size, self.charset)


def blocks_of_file(file: UploadedFile[Any]) -> Iterator[bytes]:
    """A spooled file in blocks of 1 MB."""
    yield from cast("Iterable[bytes]", file.chunks(BLOCK_BYTES))


def blocks_of_lines(lines: list[str]) -> Iterator[bytes]:
    """Pasted identifiers as the bytes of a file."""
    for start in range(0, len(lines), LINES_A_BLOCK):
        yield ("\n".join(lines[start : start + LINES_A_BLOCK]) + "\n").encode()


def take(*, actor: Actor, segment: Segment, form: Any) -> Upload:
    """Take what a valid `UploadForm` brought; the upload is held until somebody has seen its preflight.

    Raises `FileRefused`, `StorageFull` or `UploadConflict`; nothing is kept then.
    """
    require_uploadable(segment)
    file: UploadedFile[Any] | None = form.uploaded()
    lines = [] if file is not None else form.pasted_lines()
    size = int(file.size or 0) if file is not None else sum(len(line.encode()) + 1 for line in lines)
    require_quota(actor.company, size)
    files.require_room(size)
    upload_id = uuid.uuid4()
    destinations = destinations_for_upload(segment)
    options = form.check_options(settings.MAX_UPLOAD_BYTES)
    received = receive(
        plain(blocks_of_file(file), max_bytes=settings.MAX_UPLOAD_BYTES)
        if file is not None
        else blocks_of_lines(lines),
        folder=upload_folder(actor.company.pk, upload_id),
        options=options,
        kind_is_taken=lambda kind: require_taker(destinations, kind),
    )
    wish = UploadWish(
        mode=Mode(form.cleaned_data["mode"]),
        hold=True,
        file_name=(file.name or "") if file is not None else "pasted identifiers",
        max_removed_share=form.removed_share(),
        check_options=options_to_store(options),
    )
    with kept_if_accepted(received):
        return upload_accept(actor=actor, segment=segment, upload_id=upload_id, received=received, wish=wish)


def too_large() -> FileRefused:
    """The refusal of a file beyond the limit."""
    limit = settings.MAX_UPLOAD_BYTES / 1e6
    return FileRefused("too_large", f"This file is larger than the {limit:,.0f} MB that AudSync takes.")
