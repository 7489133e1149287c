"""gzip unpacked as a stream, in steps of bounded size, with a guard against files made to burst their reader."""

from __future__ import annotations

from collections.abc import Iterator

from isal import isal_zlib

from uploads.engine.refusal import TOO_LARGE, FileRefused

STEP = 1 << 20
# Identifiers seldom pack better than 10:1; sequential numbers reach about 100:1, deflate's own limit is 1032:1.
MAX_RATIO = 200.0
# Below this size the ratio does not matter.
_HARMLESS = 16 << 20
_GZIP = 31


class Gunzip:
    """Unpacks gzip that is fed to it in blocks of any size; several members one after the other are one file.

    Raises `FileRefused`: too_large beyond `max_bytes` unpacked, gzip_bomb beyond `max_ratio`, bad_gzip for the rest.
    """

    def __init__(self, max_bytes: int | None = None, max_ratio: float = MAX_RATIO) -> None:
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self._member = isal_zlib.decompressobj(_GZIP)
        self._begun = False
        self._padding = False
        self.packed_bytes = 0
        self.bytes = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Take packed bytes; yields what they unpack to, at most `STEP` bytes at a time."""
        self.packed_bytes += len(block)
        while block:
            if self._member.eof:
                block = self._next_member(block)
                if not block:
                    return
            self._begun = True
            yield from self._guarded(self._unpack(block))
            while not self._member.eof and self._member.unconsumed_tail:
                yield from self._guarded(self._unpack(self._member.unconsumed_tail))
            block = self._member.unused_data if self._member.eof else b""

    def finish(self) -> None:
        """The packed bytes have ended: the last member must have, too."""
        if not self._begun or not self._member.eof:
            raise FileRefused("bad_gzip", "The gzip file is cut short. Send it again.")

    def _unpack(self, block: bytes) -> bytes:
        try:
            data: bytes = self._member.decompress(block, STEP)
        except isal_zlib.error as error:  # type: ignore[misc]  # typed as an instance, is a class
            raise FileRefused("bad_gzip", "The gzip file is damaged. Pack and send it again.") from error
        return data

    def _next_member(self, block: bytes) -> bytes:
        """Begin another member; zeros behind the last one are padding (tape blocks) and mean nothing."""
        rest = block.lstrip(b"\0")
        if rest and (self._padding or len(rest) != len(block)):
            raise FileRefused("bad_gzip", "Bytes that are no gzip follow the gzip file. Pack and send it again.")
        if not rest:
            self._padding = True
            return b""
        self._member = isal_zlib.decompressobj(_GZIP)
        return rest

    def _guarded(self, data: bytes) -> Iterator[bytes]:
        self.bytes += len(data)
        if self._max_bytes is not None and self.bytes > self._max_bytes:
            raise FileRefused("too_large", TOO_LARGE)
        if self.bytes > _HARMLESS and self.bytes > self.packed_bytes * self._max_ratio:
            raise FileRefused(
                "gzip_bomb",
                f"The gzip file unpacks to more than {self._max_ratio:.0f} times its size. Send it unpacked.",
            )
        if data:
            yield data
