"""Order, de-duplication and matching of blocks of lines against plain Python."""

from __future__ import annotations

import resource
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uploads.engine import lines as ln
from uploads.engine.hexlines import HexLines, joined, merge_order, packed_text
from uploads.engine.matching import positions_in
from uploads.engine.ordering import sort_order, sorted_unique
from uploads.engine.sorting import SetSorter

# Few letters and long common beginnings, so that ties at every depth are frequent.
BEGINNINGS = st.sampled_from(["", "same-begin", "same-beginning-", "é" * 9])
VALUES = st.lists(st.tuples(BEGINNINGS, st.text(alphabet="ab,é", max_size=12)).map("".join), max_size=60)


def block(values: list[str]) -> ln.Lines:
    return ln.from_text("".join(f"{value}\n" for value in values).encode())


def texts(lines: ln.Lines) -> list[str]:
    return [value.decode() for value in ln.identifiers(lines)]


@given(values=VALUES)
@settings(deadline=None, max_examples=300)
def test_the_distinct_lines_come_in_order_of_their_bytes(values: list[str]) -> None:
    assert texts(sorted_unique(block(values))) == sorted(set(values), key=str.encode)


@given(first=VALUES, second=VALUES)
@settings(deadline=None, max_examples=200)
def test_two_sorted_runs_are_merged(first: list[str], second: list[str]) -> None:
    runs = [*sorted(set(first), key=str.encode), *sorted(set(second) - set(first), key=str.encode)]
    order, equal = sort_order(block(runs), runs=2)
    assert [runs[place] for place in order] == sorted(runs, key=str.encode)
    assert not equal.any()


@given(lines=VALUES, others=VALUES)
@settings(deadline=None, max_examples=400)
def test_lines_are_found_among_others_exactly(lines: list[str], others: list[str]) -> None:
    mine, theirs = (sorted(set(values), key=str.encode) for values in (lines, others))
    places = positions_in(block(mine), block(theirs)).tolist()
    assert places == [theirs.index(value) if value in theirs else -1 for value in mine]


def test_slices_of_a_block_are_blocks() -> None:
    lines = block([f"{number:04}" for number in range(100)])
    part = lines.slice(40, 20)
    assert texts(sorted_unique(part)) == [f"{number:04}" for number in range(40, 60)]
    assert positions_in(part, lines).tolist() == list(range(40, 60))
    assert positions_in(lines, part).tolist()[38:42] == [-1, -1, 0, 1]


DIGESTS = st.sets(st.integers(0, 2**128 - 1) | st.integers(0, 300) | st.integers(0, 300).map(lambda n: n << 64))
FORMS: list[Callable[[int], str]] = [
    lambda number: str(uuid.UUID(int=number)),
    lambda number: f"{number:032x}",
    lambda number: f"{number:064x}",
]


@given(numbers=DIGESTS, others=DIGESTS, form=st.sampled_from(FORMS))
@settings(deadline=None, max_examples=200)
def test_packed_lines_are_the_same_lines(numbers: set[int], others: set[int], form: Callable[[int], str]) -> None:
    mine, theirs = (sorted(map(form, values)) for values in (numbers | {1, 7}, others | {7}))
    packed, packed_others = map(pack, (mine, theirs))
    assert texts(packed.plain()) == mine
    assert [packed.line_at(place).decode() for place in range(len(mine))] == [f"{value}\n" for value in mine]
    places = [theirs.index(value) if value in theirs else -1 for value in mine]
    assert positions_in(packed, packed_others).tolist() == places
    assert positions_in(packed, block(theirs)).tolist() == places
    news = np.array([place < 0 for place in places])
    both = joined([packed_others, packed.chosen(news)])
    assert texts(both.taken(merge_order(both)).plain()) == sorted({*mine, *theirs})


def pack(values: list[str]) -> HexLines:
    text = "".join(f"{value}\n" for value in values).encode()
    data = packed_text(memoryview(text), len(values[0]) + 1)
    assert data is not None
    assert len(data) * 2 <= len(text)
    return HexLines.read(data, len(values[0]) + 1)


@pytest.mark.parametrize(
    "line",
    [
        "ABCDEF00-0000-4000-8000-000000000000",
        "abcdef00-0000-4000-8000-00000000000g",
        "abcdef000-000-4000-8000-000000000000",
        "abcdef00-0000-4000-8000-0000000-0000",
        "-" * 36,
        "A" * 64,
    ],
)
def test_only_lines_that_come_back_unchanged_are_packed(line: str) -> None:
    good = "abcdef00-0000-4000-8000-000000000000" if len(line) < 40 else "a" * 64
    text = f"{good}\n{line}\n".encode()
    assert packed_text(memoryview(text), len(line) + 1) is None


def test_very_short_lines_take_no_more_memory_than_long_ones(tmp_path: Path) -> None:
    text = b"".join(b"%d\n" % (number % 10) for number in range(250_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with SetSorter(tmp_path, 64 << 20) as sorter:
        found = [value for lines in sorter.sort(text for _ in range(80)) for value in ln.identifiers(ln.plain(lines))]
    assert found == [b"%d" % number for number in range(10)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
