"""A part's file while it is written: gzip where the format wants it, both digests of the bytes on the wire, sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

from uploads.engine.hashing import StreamHash

# Level 1 of ISA-L is quicker than gzip -1 by far and packs identifiers no worse.
GZIP_LEVEL = 1


@dataclass(frozen=True)
class WrittenPart:
    """A finished part: bytes as they go over the wire, bytes unpacked, lines, and the wire bytes' digests in hex."""

    bytes: int
    unpacked_bytes: int
    lines: int
    md5: str
    sha256: str


class WireWriter:
    """Writes a part's bytes to a stream. The same pieces always give the same bytes on the wire."""

    def __init__(self, stream: BinaryIO, *, gzip: bool) -> None:
        self._stream = stream
        self._hash = StreamHash()
        self._packer = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31) if gzip else None
        self.bytes = 0
        self.unpacked_bytes = 0

    def write(self, piece: bytes) -> None:
        """Append bytes of the unpacked part."""
        self.unpacked_bytes += len(piece)
        self._send(self._packer.compress(piece) if self._packer else piece)

    def finish(self, lines: int) -> WrittenPart:
        """Write what is left; the figures."""
        if self._packer:
            self._send(self._packer.flush())
        md5, sha256 = self._hash.digests()
        return WrittenPart(self.bytes, self.unpacked_bytes, lines, md5, sha256)

    def close(self) -> None:
        """Stop the threads."""
        self._hash.close()

    def _send(self, data: bytes) -> None:
        if data:
            self._hash.update(data)
            self._stream.write(data)
            self.bytes += len(data)
