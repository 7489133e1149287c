"""Gzip as it arrives: whole, in pieces, in several members, damaged, and made to burst us."""

from __future__ import annotations

import gzip

import pytest

from uploads.engine.checking import FileRefused
from uploads.engine.gunzip import STEP, Gunzip

TEXT = b"".join(b"member-%d\n" % number for number in range(50_000))
PACKED = gzip.compress(TEXT)


def unpack(packed: bytes, step: int, **options: int) -> bytes:
    gunzip = Gunzip(**options)
    pieces = [piece for at in range(0, len(packed), step) for piece in gunzip.feed(packed[at : at + step])]
    gunzip.finish()
    return b"".join(pieces)


@pytest.mark.parametrize("step", [1000, 1 << 20])
@pytest.mark.parametrize("members", [1, 3])
def test_a_gzip_file_is_unpacked_whatever_pieces_it_comes_in(step: int, members: int) -> None:
    packed = gzip.compress(TEXT, 1) * members
    assert unpack(packed, step) == TEXT * members
    assert unpack(packed + b"\0" * 512, step) == TEXT * members


def test_a_member_that_unpacks_to_much_comes_in_bounded_pieces() -> None:
    pieces = list(Gunzip().feed(gzip.compress(bytes(10 << 20))))
    assert sum(map(len, pieces)) == 10 << 20
    assert max(map(len, pieces)) <= STEP


def test_a_bomb_is_refused_before_it_bursts() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    gunzip = Gunzip()
    with pytest.raises(FileRefused) as refusal:
        for _ in gunzip.feed(bomb):
            pass
    assert refusal.value.code == "gzip_bomb"
    assert gunzip.bytes <= (16 << 20) + STEP


def test_a_file_over_the_limit_is_refused_in_the_words_of_the_vendor_page() -> None:
    with pytest.raises(FileRefused, match=r"^file size exceeds maximum allowed size$"):
        unpack(gzip.compress(TEXT), 1000, max_bytes=len(TEXT) - 1)


@pytest.mark.parametrize(
    "packed",
    [b"", PACKED[:-5], b"no gzip at all", PACKED + b"more", PACKED + b"\0\0more"],
    ids=["empty", "cut", "text", "rubbish behind", "rubbish behind padding"],
)
def test_a_damaged_gzip_file_is_refused(packed: bytes) -> None:
    with pytest.raises(FileRefused) as refusal:
        unpack(packed, 1000)
    assert refusal.value.code == "bad_gzip"
