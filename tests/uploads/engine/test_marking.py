"""Marks find wanted identifiers in blocks of any size and say nothing about them without the key."""

from __future__ import annotations

import random

import numpy as np

from uploads.engine import lines as ln
from uploads.engine.marking import Marker, tails_of

KEY = b"k" * 32


def block(values: list[bytes]) -> ln.Lines:
    return ln.from_text(b"".join(value + b"\n" for value in values))


def test_a_mark_is_the_same_in_every_block_and_differs_for_every_value() -> None:
    chance = random.Random(7)
    values = list({bytes(chance.choices(b"abcABC019@.", k=chance.randint(1, 255))) for _ in range(3000)})
    values += [value + b"!" for value in values[:500]] + [b"%064x" % number for number in range(500)]
    marker = Marker(KEY)
    whole = marker.of(block(values))
    assert len(set(whole.tolist())) == len(set(values))
    lines = block(values)
    parts = [marker.of(lines.slice(start, 700)) for start in range(0, len(values), 700)]
    assert (np.concatenate(parts) == whole).all()
    assert [marker.of_value(value) for value in values[:50]] == whole[:50].tolist()


def test_other_keys_make_other_marks() -> None:
    values = block([b"person-%d@example.invalid" % number for number in range(200)])
    assert not np.isin(Marker(KEY).of(values), Marker(b"j" * 32).of(values)).any()


def test_numbers_that_end_alike_have_one_tail() -> None:
    spelt = block([b"+44 (0)20 7946-0018", b"02079460018", b"79460018", b"0018", b"+44 20 7946 0019", b"no digit"])
    assert tails_of(spelt).tolist() == [9460018, 9460018, 9460018, 18, 9460019, 0]
    marks = Marker(KEY).of_tails(spelt)
    assert marks[0] == marks[1] == marks[2] == Marker(KEY).of_tail(b"0044 20 7946 0018")
    assert len(set(marks.tolist())) == 4


def test_an_empty_block_has_no_marks() -> None:
    assert len(Marker(KEY).of(ln.empty())) == len(Marker(KEY).of_tails(ln.empty())) == 0
