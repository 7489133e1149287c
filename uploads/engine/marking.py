"""Keyed marks of identifiers, a block at a time: who may be among a few wanted ones, without a hash for every row.

A mark is 64 bits: a multilinear hash (Lemire and Kaser, 2013) with secret numbers, enciphered with AES under a secret
key. So a stored mark tells nothing to anybody without the key, and two identifiers share one about once in 2**64. Whom
a mark points out is looked at again by whoever asked.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from uploads.engine import lines as ln
from uploads.engine.lines import Lines

Marks = npt.NDArray[np.uint64]
TAIL_DIGITS = 7

_WORD = 8
# Longer lines are told apart by their first 264 bytes; an identifier has at most 255.
_WORDS = 33
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_ZERO, _NINE = ord("0"), ord("9")


class Marker:
    """Makes the marks of one secret key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        material = hashlib.shake_256(b"audsync:marks" + key).digest(32 + 2 * (2 * _WORDS + 1) * 8)
        self._cipher = Cipher(algorithms.AES(material[:32]), modes.ECB())  # noqa: S305  # one block a value
        self._secrets = np.frombuffer(material, "<u8", offset=32).reshape(2, -1)

    def of(self, lines: Lines) -> Marks:
        """The mark of every line, whatever block it stands in."""
        sums = [np.full(len(lines), secret[-1], np.uint64) for secret in self._secrets]
        sizes = ln.lengths(lines)
        for number in range(min(_WORDS, -(-int(sizes.max(initial=0)) // _WORD))):
            reach = np.flatnonzero(sizes > number * _WORD)
            every = len(reach) == len(lines)
            words = ln.keys(lines if every else ln.taken(lines, reach), number * _WORD)
            high, low = words >> _HALF, words & _LOW
            for one, secret in zip(sums, self._secrets, strict=True):
                one[slice(None) if every else reach] += (high + secret[2 * number]) * (low + secret[2 * number + 1])
        return self._enciphered(sums[0], sums[1])

    def of_value(self, value: bytes) -> int:
        """The mark of one identifier."""
        return int(self.of(ln.from_text(value + b"\n"))[0])

    def of_tails(self, lines: Lines) -> Marks:
        """The marks of the last digits of every line, whatever stands between them: telephone numbers are written in
        many ways, and all end alike."""
        tails = tails_of(lines)
        # No line's sum has this second half but by chance.
        return self._enciphered(tails, np.full(len(tails), self._secrets[0][-1], np.uint64))

    def of_tail(self, value: bytes) -> int:
        """The mark of the last digits of one number."""
        return int(self.of_tails(ln.from_text(value + b"\n"))[0])

    def _enciphered(self, first: Marks, second: Marks) -> Marks:
        blocks = np.empty((len(first), 2), "<u8")
        blocks[:, 0], blocks[:, 1] = first, second
        return np.frombuffer(self._cipher.encryptor().update(blocks.tobytes()), "<u8")[::2].astype(np.uint64)


def tails_of(lines: Lines) -> Marks:
    """The last `TAIL_DIGITS` digits of every line as a number; of all digits where there are fewer."""
    offsets = ln.offsets_of(lines).astype(np.int64)
    if not len(lines):
        return np.zeros(0, np.uint64)
    data = np.frombuffer(ln.text_of(lines), np.uint8)
    is_digit = (data >= _ZERO) & (data <= _NINE)
    before = np.concatenate(([0], np.cumsum(is_digit)))[offsets - offsets[0]]
    digits = np.concatenate((data[is_digit] - np.uint8(_ZERO), [0])).astype(np.uint64)
    found = np.zeros(len(lines), np.uint64)
    for place in range(TAIL_DIGITS):
        at = before[1:] - 1 - place
        found += np.where(at >= before[:-1], digits[np.maximum(at, 0)], np.uint64(0)) * np.uint64(10**place)
    return found
