"""A part's file while it is written: gzip and the MD5 of the bytes on the wire where the format wants it, sizes.

gzip is made of pieces that are packed each on its own (as pigz does it), so that several threads can work on one part,
and a plan can tell the exact size of a part without writing it. The same pieces always give the same bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

from uploads.engine.hashing import StreamHash

# ISA-L's level 1 is quicker than gzip -1 by far and packs identifiers no worse.
_LEVEL = 1
_RAW_DEFLATE = -15
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"
_TRAILER = struct.Struct("<II")
GZIP_FRAME = len(_HEADER) + len(_LAST_BLOCK) + _TRAILER.size
# What is hashed in one go: enough for a thread of its own.
_HASH_UNIT = 512 << 10


@dataclass(frozen=True)
class WrittenPart:
    """A finished part: bytes on the wire, bytes unpacked, lines, and, where asked, the MD5 of the wire bytes in hex."""

    bytes: int
    unpacked_bytes: int
    lines: int
    md5: str


def packed(piece: bytes | memoryview) -> bytes:
    """One piece as deflate that depends on no other and ends at a whole byte."""
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW_DEFLATE)
    data: bytes = packer.compress(piece) + packer.flush(isal_zlib.Z_FULL_FLUSH)
    return data


class WireWriter:
    """Writes a part's pieces to a stream, counting and hashing what goes over the wire."""

    def __init__(self, stream: BinaryIO, *, gzip: bool, md5: bool) -> None:
        self._stream = stream
        self._hash = StreamHash("md5") if md5 else None
        self._gzip = gzip
        self._crc = 0
        self._unhashed: list[bytes | memoryview] = []
        self._unhashed_bytes = 0
        self.bytes = 0
        self.unpacked_bytes = 0
        if gzip:
            self._send(_HEADER)

    def write(self, piece: bytes | memoryview, packed_piece: bytes | None = None) -> None:
        """Append a piece of the unpacked part; `packed_piece` is it packed, when that was done already."""
        if not len(piece):
            return
        self.unpacked_bytes += len(piece)
        if not self._gzip:
            self._send(piece)
            return
        self._crc = isal_zlib.crc32(piece, self._crc)
        self._send(packed(piece) if packed_piece is None else packed_piece)

    def finish(self, lines: int) -> WrittenPart:
        """Write what is left; the figures."""
        if self._gzip:
            self._send(_LAST_BLOCK + _TRAILER.pack(self._crc, self.unpacked_bytes & 0xFFFFFFFF))
        self._hash_gathered()
        md5 = "" if self._hash is None else self._hash.digests()[0]
        return WrittenPart(self.bytes, self.unpacked_bytes, lines, md5)

    def close(self) -> None:
        """Stop the threads."""
        if self._hash is not None:
            self._hash.close()

    def _send(self, data: bytes | memoryview) -> None:
        self._stream.write(data)
        self.bytes += len(data)
        if self._hash is None:
            return
        self._unhashed.append(data)
        self._unhashed_bytes += len(data)
        if self._unhashed_bytes >= _HASH_UNIT:
            self._hash_gathered()

    def _hash_gathered(self) -> None:
        gathered, self._unhashed, self._unhashed_bytes = self._unhashed, [], 0
        if gathered and self._hash is not None:
            self._hash.update(gathered[0] if len(gathered) == 1 else b"".join(gathered))
