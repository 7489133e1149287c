"""A request body read as a stream, straight from the server: with a length or chunked, hashed on the way if wanted.

Django itself gives an empty body for a chunked request, and would read any other whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from django.http import HttpRequest

BLOCK_BYTES = 1024 * 1024
# A refused body is read to its end up to so much, so that the answer arrives (design section 7.3).
DRAIN_BYTES = 64 * 1024 * 1024


class BodyCut(Exception):
    """The connection ended before the body did: nobody is there to hear an answer, and nothing of it may be kept."""


class NoLength(Exception):
    """The body has no length and is not chunked (411)."""


class RequestBody:
    """The body of one request. `read` gives it in order, once; `sha256` is that of all that was read so far."""

    def __init__(self, request: HttpRequest, *, hashed: bool = False) -> None:
        self._stream: Any = request.environ["wsgi.input"]  # type: ignore[attr-defined]  # a WSGIRequest
        self._chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        self.length = None if self._chunked else _length(request)
        self._left = self.length
        self._ended = self._left == 0 or (self._left is None and not self._chunked)
        self._waits = request.headers.get("Expect", "").lower() == "100-continue"
        self._hash = hashlib.sha256() if hashed else None
        self._may_drain = DRAIN_BYTES
        self.alive: Callable[[], None] | None = None
        """Called after every block, so that a long body shows that its request still runs."""
        self.bytes_read = 0

    @property
    def is_empty(self) -> bool:
        """Whether no body came: none was announced, or one of no bytes."""
        return not self._chunked and not self.length

    def require_length(self) -> None:
        """Raise `NoLength` for a body that neither says its length nor is chunked."""
        if self.length is None and not self._chunked:
            raise NoLength

    @property
    def is_hashed(self) -> bool:
        """Whether `sha256` is there."""
        return self._hash is not None

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what was read; only of a `hashed` body."""
        if self._hash is None:
            raise TypeError("this body is not hashed")
        return self._hash.hexdigest()

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        """Up to `size` bytes, none at the end. Raises `BodyCut`."""
        if self._ended or size <= 0:
            return b""
        wanted = size if self._left is None else min(size, self._left)
        try:
            block: bytes = self._stream.read(wanted)
        except OSError as error:
            raise BodyCut from error
        if not block:
            self._ended = True
            if self._left:
                raise BodyCut
            return b""
        self._take(block)
        return block

    def _take(self, block: bytes) -> None:
        self.bytes_read += len(block)
        if self._left is not None:
            self._left -= len(block)
            self._ended = not self._left
        if self._hash is not None:
            self._hash.update(block)
        if self.alive is not None:
            self.alive()

    def blocks(self) -> Iterator[bytes]:
        """The rest in blocks of 1 MB. Raises `BodyCut`."""
        while block := self.read():
            yield block

    def drain(self) -> bool:
        """Read what is left, at most 64 MiB; True when the end was reached. A sender who still waits is let alone."""
        too_much = self._left is not None and self._left > DRAIN_BYTES
        if too_much and self._waits and not self.bytes_read:
            return False
        try:
            while self._may_drain > 0 and (block := self.read()):
                self._may_drain -= len(block)
        except BodyCut:
            return False
        return self._ended


def _length(request: HttpRequest) -> int | None:
    """The announced length; None where there is none or it is no number."""
    raw = request.META.get("CONTENT_LENGTH", "")
    return int(raw) if raw.isascii() and raw.isdigit() else None
