"""Order, de-duplication and matching of blocks of lines against plain Python."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from uploads.engine import lines as ln
from uploads.engine.matching import positions_in
from uploads.engine.ordering import sort_order, sorted_unique

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
