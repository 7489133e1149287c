"""Files as request bodies: sent in blocks with a known length, never held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from .errors import Permanent

BLOCK_BYTES = 1024 * 1024


class SizedStream:
    """A file as a request body: blocks of 1 MB with a known length, so that nothing is held in memory.

    `on_block` is called after each block (to renew a lease, or to stop the transfer by raising), `on_sent` once all of
    them are out, while the vendor works on its answer. It may be sent again, from where the file stood at first.
    """

    def __init__(
        self,
        source: BinaryIO,
        length: int,
        on_block: Callable[[], None] | None = None,
        on_sent: Callable[[], None] | None = None,
    ) -> None:
        self._source = source
        self._start = source.tell()
        self._length = length
        self._on_block = on_block
        self._on_sent = on_sent

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        self._source.seek(self._start)
        left = self._length
        while left:
            block = self._source.read(min(BLOCK_BYTES, left))
            if not block:  # the vendor would wait for the rest until it gives up
                raise Permanent(
                    "The prepared file is shorter than it was when it was made.",
                    code="part_damaged",
                    next_step="Retry: the file is made anew.",
                )
            left -= len(block)
            yield block
            if self._on_block is not None:
                self._on_block()
        if self._on_sent is not None:
            self._on_sent()
