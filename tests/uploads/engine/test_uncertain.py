"""Of whom nobody knows whether the vendor has them, against plain Python sets."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from audsync_web.vendors.connectors.formats import Op
from uploads.engine import lines as ln
from uploads.engine.applying import ALL, AckRange
from uploads.engine.changes import changes_of
from uploads.engine.difference import difference
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, member_rows
from uploads.engine.uncertain import together, uncertain_after

IDENTIFIERS = st.text(alphabet="abz0", min_size=1, max_size=8)
PEOPLE = st.sets(IDENTIFIERS, max_size=40)


def write(path: Path, members: set[str]) -> Path:
    with SnapshotWriter(path, [""]) as writer:
        if members:
            writer.write(member_rows(ln.from_text("".join(f"{name}\n" for name in sorted(members)).encode())))
    return path


def read(path: Path) -> list[str]:
    with SnapshotReader(path) as reader:
        return [value.decode() for rows in reader.blocks() for value in ln.identifiers(rows.lines)]


@given(new=PEOPLE, old=PEOPLE, before=st.none() | PEOPLE, data=st.data())
@settings(deadline=None, max_examples=100)
def test_who_is_acknowledged_is_certain_again_and_who_has_no_outcome_is_not(
    new: set[str], old: set[str], before: set[str] | None, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        difference(write(tmp / "new", new), write(tmp / "old", old), mode="replace", today=20_000, out=tmp / "changes")
        changes = changes_of(tmp / "changes", 0, 10_000)
        first = data.draw(st.integers(0, len(changes)))
        last = data.draw(st.integers(first, len(changes)))
        adds = (Op.ADD, Op.RENEW)
        count = uncertain_after(
            None if before is None else write(tmp / "before", before),
            tmp / "changes",
            [AckRange(0, first - 1)] if first else [],
            [AckRange(first, last - 1, adds)],
            tmp / "after",
        )
        settled = {row.identifier for row in changes[:first]}
        unknown = {row.identifier for row in changes[first:last] if row.op in adds}
        assert read(tmp / "after") == sorted(((before or set()) - settled) | unknown)
        assert count == len(((before or set()) - settled) | unknown)


@given(before=PEOPLE)
@settings(deadline=None, max_examples=20)
def test_a_whole_list_that_was_taken_leaves_nobody_uncertain_whom_it_told_of(before: set[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        members = write(tmp / "members", before)
        difference(members, None, mode="replace", today=20_000, out=tmp / "changes")
        assert uncertain_after(members, tmp / "changes", ALL, [], tmp / "after") == 0


@given(members=PEOPLE, others=st.none() | PEOPLE)
@settings(deadline=None, max_examples=50)
def test_members_and_uncertain_together_are_everybody_once(members: set[str], others: set[str] | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        beside = None if others is None else write(tmp / "others", others)
        assert together(write(tmp / "members", members), beside, tmp / "out") == len(members | (others or set()))
        assert read(tmp / "out") == sorted(members | (others or set()))
