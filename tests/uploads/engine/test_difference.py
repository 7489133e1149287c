"""Differences, acknowledged changes and parts against plain Python sets."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audsync_web.vendors.connectors.formats import LineFormat, Op, PartRules, Wrap
from uploads.engine import lines as ln
from uploads.engine.applying import ALL, AckRange, apply_changes
from uploads.engine.changes import changes_of, rows_of
from uploads.engine.difference import Mode, Target, difference, difference_many
from uploads.engine.parts import PartRenderer, PartTooLarge, plan_parts, write_list, write_part
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, find, member_rows

TODAY, SOON, LATER = 20_000, 20_010, 20_300

IDENTIFIERS = st.text(alphabet='abé"\\z0', min_size=1, max_size=20)
MEMBERSHIP = st.dictionaries(IDENTIFIERS, st.sampled_from([0, TODAY - 1, TODAY, TODAY + 3, LATER]), max_size=40)


def write(path: Path, members: dict[str, int], upload: str = "old") -> Path:
    with SnapshotWriter(path, [upload]) as writer:
        for name in sorted(members, key=str.encode):
            writer.write(member_rows(ln.from_text(f"{name}\n".encode()), day=members[name]))
    return path


def read(path: Path) -> dict[str, tuple[str | None, int]]:
    found = {}
    with SnapshotReader(path) as reader:
        for rows in reader.blocks():
            names = [value.decode() for value in ln.identifiers(rows.lines)]
            uploads = [reader.uploads[number] for number in rows.columns["upload"]]
            found.update(dict(zip(names, zip(uploads, rows.columns["day"].tolist(), strict=True), strict=True)))
    assert list(found) == sorted(found, key=str.encode)
    return found


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def expected_changes(
    new: set[str], old: dict[str, int], mode: str, refresh_all: bool, perhaps: set[str]
) -> dict[str, Op]:
    alive = {name: day for name, day in old.items() if day == 0 or day >= TODAY}
    if mode == "remove":
        return {name: Op.REMOVE for name in new if name in alive or name in perhaps}
    changes = {name: Op.ADD for name in new if name not in alive or name in perhaps}
    for name in new & set(alive) - perhaps:
        if refresh_all or (alive[name] and alive[name] < SOON):
            changes[name] = Op.RENEW
    wanted = new if mode == "replace" else new | set(alive)
    changes.update(dict.fromkeys(perhaps - wanted, Op.REMOVE))
    if mode == "replace":
        changes.update({name: Op.REMOVE for name in alive if name not in new})
    return changes


@given(
    new=st.sets(IDENTIFIERS, max_size=40),
    old=MEMBERSHIP,
    mode=st.sampled_from(["replace", "add", "remove"]),
    refresh_all=st.booleans(),
    neighbour=st.sets(IDENTIFIERS, max_size=20),
    perhaps=st.none() | st.sets(IDENTIFIERS, max_size=20),
)
@settings(deadline=None, max_examples=150)
def test_a_difference_is_what_sets_say_and_its_counts_balance(
    new: set[str], old: dict[str, int], mode: Mode, refresh_all: bool, neighbour: set[str], perhaps: set[str] | None
) -> None:
    with folder() as tmp:
        members = write(tmp / "members", dict.fromkeys(new, 0), "")
        snapshot = write(tmp / "old", old)
        beside = write(tmp / "beside", dict.fromkeys(neighbour, 0))
        target = Target(
            snapshot,
            mode,
            TODAY,
            SOON,
            "new",
            tmp / "changes",
            [beside],
            refresh_all,
            uncertain=None if perhaps is None else write(tmp / "perhaps", dict.fromkeys(perhaps, 0)),
        )
        (counts,) = difference_many(members, [target])
        found = changes_of(tmp / "changes", 0, 10_000)
        wanted = expected_changes(new, old, mode, refresh_all, perhaps or set())
        assert {row.identifier: row.op for row in found} == wanted
        assert [row.identifier for row in found] == sorted(wanted, key=str.encode)
        assert all(row.held_by == (row.identifier in neighbour) for row in found)
        assert counts.members == len(new)
        if mode == "remove":
            assert counts.members == counts.removes + counts.unchanged
        else:
            assert counts.members == counts.adds + counts.renewed + counts.unchanged
        assert difference_many(members, [replace(target, out=None, neighbours=())]) == [counts]
        alive = {name for name, day in old.items() if day == 0 or day >= TODAY}
        after = {"replace": new, "add": alive | new, "remove": alive - new}[mode]
        assert counts.after == len(after)
        assert counts.after == len(alive) + len(new - alive) * (mode != "remove") - (counts.removes - counts.doubtful)


@given(new=st.sets(IDENTIFIERS, max_size=40), old=MEMBERSHIP, data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_snapshot_advances_by_exactly_what_was_acknowledged(
    new: set[str], old: dict[str, int], data: st.DataObject
) -> None:
    with folder() as tmp:
        members, snapshot = write(tmp / "members", dict.fromkeys(new, 0), ""), write(tmp / "old", old)
        difference(
            members, snapshot, mode="replace", today=TODAY, renew_before_day=SOON, upload_id="new", out=tmp / "changes"
        )
        changes = changes_of(tmp / "changes", 0, 10_000)
        first = data.draw(st.integers(0, max(len(changes) - 1, 0)))
        last = data.draw(st.integers(first, max(len(changes) - 1, first)))
        ops = data.draw(st.sampled_from([tuple(Op), (Op.ADD, Op.RENEW), (Op.REMOVE,)]))
        count = apply_changes(
            snapshot,
            tmp / "changes",
            [AckRange(first, last, ops)],
            upload_id="new",
            ends_day=LATER,
            out=tmp / "next",
        )
        wanted = {name: ("old", day) for name, day in old.items() if day == 0 or day >= TODAY}
        for row in changes[first : last + 1]:
            if row.op not in ops:
                continue
            if row.op is Op.REMOVE:
                wanted.pop(row.identifier)
            else:
                wanted[row.identifier] = ("new" if row.op is Op.ADD else "old", LATER)
        assert read(tmp / "next") == wanted
        assert count == len(wanted)


@given(new=st.sets(IDENTIFIERS, min_size=1, max_size=40), old=MEMBERSHIP)
@settings(deadline=None, max_examples=100)
def test_after_a_replace_was_acknowledged_the_membership_is_the_file(new: set[str], old: dict[str, int]) -> None:
    with folder() as tmp:
        members, snapshot = write(tmp / "members", dict.fromkeys(new, 0), ""), write(tmp / "old", old)
        compare = partial(difference, members, mode="replace", today=TODAY, renew_before_day=SOON)
        compare(snapshot, upload_id="new", out=tmp / "changes")
        apply_changes(snapshot, tmp / "changes", ALL, upload_id="new", ends_day=LATER, out=tmp / "next")
        assert set(read(tmp / "next")) == new
        again = compare(tmp / "next")
        assert (again.adds, again.renewed, again.removes) == (0, 0, 0)
        written = write_list(snapshot, tmp / "changes", LineFormat(lambda _op, _held: Wrap(b"", b"")), tmp / "list")
        assert (tmp / "list").read_text() == "".join(f"{name}\n" for name in sorted(new, key=str.encode))
        assert written.lines == len(new)


def test_uuids_are_compared_as_exactly_as_text(tmp_path: Path) -> None:
    names = [str(uuid.UUID(int=number * 7**40 % 2**128)) for number in range(3000)]
    new, old = names[500:], [*names[:2500], "not-a-uuid", names[7].upper()]
    beside = write(tmp_path / "beside", dict.fromkeys(names[:1000], 0))
    members = write(tmp_path / "members", dict.fromkeys(new, 0), "")
    for gone, other in ((names[:500], names[:2500]), ([*names[:500], "not-a-uuid", names[7].upper()], old)):
        snapshot = write(tmp_path / "old", dict.fromkeys(other, 0))
        difference(members, snapshot, mode="replace", today=TODAY, out=tmp_path / "changes", neighbours=[beside])
        found = changes_of(tmp_path / "changes", 0, 10_000)
        wanted = {**dict.fromkeys(names[2500:], Op.ADD), **dict.fromkeys(gone, Op.REMOVE)}
        assert [(row.identifier, row.op) for row in found] == sorted(wanted.items())
        assert {row.identifier for row in found if row.held_by} == set(names[:500])
        apply_changes(snapshot, tmp_path / "changes", ALL, upload_id="new", ends_day=LATER, out=tmp_path / "next")
        assert set(read(tmp_path / "next")) == set(new)


def test_several_destinations_are_compared_in_one_pass_as_if_each_were_alone(tmp_path: Path) -> None:
    members = write(tmp_path / "members", {f"id-{n}": 0 for n in range(0, 3000, 2)}, "")
    snapshots = [write(tmp_path / f"old-{step}", {f"id-{n}": 0 for n in range(0, 3000, step)}) for step in (3, 5)]
    targets = [Target(None, "replace", TODAY), *(Target(path, "replace", TODAY) for path in snapshots)]
    together = difference_many(members, targets)
    assert together == [difference(members, target.snapshot, mode="replace", today=TODAY) for target in targets]
    assert together[1].adds == len(set(range(0, 3000, 2)) - set(range(0, 3000, 3)))


BARE = LineFormat(lambda _op, _held: Wrap(b"", b""))
NDJSON = LineFormat(
    lambda op, held: Wrap(b'{"id":"', b'","n":%d,"op":%d}' % (held, op == Op.REMOVE)),
    opening=b"[",
    separator=b",\n",
    closing=b"]",
    final_separator=False,
    escape="json",
)
LATIN = LineFormat(lambda op, _held: Wrap(b"7:", b":-1" if op == Op.REMOVE else b":0"), encoding="latin-1")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("changed")
    new = {f'é{n}"\\{"x" * (n % 17)}': 0 for n in range(0, 3000, 2)}
    old = {f'é{n}"\\{"x" * (n % 17)}': 0 for n in range(0, 3000, 3)}
    write(tmp / "members", new, "")
    difference(
        tmp / "members",
        write(tmp / "old", old),
        mode="replace",
        today=TODAY,
        upload_id="new",
        out=tmp / "changes",
        neighbours=[write(tmp / "beside", dict.fromkeys(list(new)[::7], 0))],
    )
    return tmp / "changes"


@pytest.mark.parametrize("form", [NDJSON, LATIN], ids=["json", "latin-1"])
@pytest.mark.parametrize(
    "rules",
    [
        PartRules(),
        PartRules(max_lines=100),
        PartRules(max_bytes=3000),
        PartRules(max_lines=70, max_bytes=3000, split_operations=True),
        PartRules(split_operations=True, removals_first=True, max_removals=10),
    ],
)
def test_parts_have_the_planned_size_keep_the_limits_and_hold_every_change_once(
    changed: Path, tmp_path: Path, form: LineFormat, rules: PartRules
) -> None:
    rows: list[tuple[str, Op]] = []
    for number, part in enumerate(plan_parts(changed, form, rules), 1):
        written = write_part(changed, part, form, tmp_path / f"{number}")
        body = (tmp_path / f"{number}").read_bytes()
        assert part.number == number
        assert written.unpacked_bytes == written.bytes == part.bytes == len(body)
        assert written.lines == part.lines == part.adds + part.removes
        assert part.bytes <= (rules.max_bytes or part.bytes)
        assert part.lines <= (rules.max_lines or part.lines)
        assert part.removes <= (rules.max_removals or part.removes)
        with PartRenderer(changed, form) as renderer:
            assert renderer.render(part) == body
        within = changes_of(changed, part.first_row, part.last_row)
        held = [row for row in within if row.op in part.ops]
        assert (held[0], held[-1]) == (within[0], within[-1])
        assert rows_of(changed, part.first_row, part.last_row, part.ops) == [row.identifier for row in held]
        rows += [(row.identifier, row.op) for row in held]
        if form is NDJSON:
            sent = [(line["id"], line["op"], line["n"]) for line in json.loads(body)]
            assert sent == [(row.identifier, row.op == Op.REMOVE, row.held_by) for row in held]
        else:
            sent_lines = [f"7:{row.identifier}:{-1 if row.op == Op.REMOVE else 0}\n" for row in held]
            assert body == "".join(sent_lines).encode("latin-1")
    every = [(row.identifier, row.op) for row in changes_of(changed, 0, 10_000)]
    assert sorted(rows) == sorted(every)
    if rules.removals_first:
        assert rows[0][1] is Op.REMOVE


def test_gzipped_parts_keep_the_limit_on_the_wire_and_are_made_again_identically(tmp_path: Path) -> None:
    names = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(50_000)]
    write(tmp_path / "members", dict.fromkeys(names, 0), "")
    difference(tmp_path / "members", None, mode="add", today=TODAY, out=tmp_path / "changes")
    form = LineFormat(lambda _op, _held: Wrap(b"", b":4410021:1440"), gzip=True, md5=True)
    parts = list(plan_parts(tmp_path / "changes", form, PartRules(max_wire_bytes=600_000)))
    text = b""
    for part in parts:
        first = write_part(tmp_path / "changes", part, form, tmp_path / "part")
        body = (tmp_path / "part").read_bytes()
        assert len(body) == first.bytes <= 600_000
        assert first.md5 == hashlib.md5(body, usedforsecurity=False).hexdigest()
        assert write_part(tmp_path / "changes", part, form, tmp_path / "part") == first
        assert len(gzip.decompress(body)) == part.bytes
        text += gzip.decompress(body)
    assert text == "".join(f"{name}:4410021:1440\n" for name in sorted(names)).encode()
    assert 1 < len(parts) < 6


def test_of_many_parts_over_many_blocks_all_but_one_are_acknowledged(tmp_path: Path) -> None:
    names = sorted(hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest() for number in range(70_000))
    write(tmp_path / "members", dict.fromkeys(names[::2], 0), "")
    write(tmp_path / "snapshot", dict.fromkeys(names[1::2], 0))
    difference(tmp_path / "members", tmp_path / "snapshot", mode="replace", today=TODAY, out=tmp_path / "changes")
    parts = list(plan_parts(tmp_path / "changes", BARE, PartRules(max_lines=1_000, split_operations=True)))
    assert len(parts) == 70
    for lost in (None, *parts[::23]):
        taken = [AckRange(part.first_row, part.last_row, part.ops) for part in parts if part is not lost]
        base, changes = tmp_path / "snapshot", tmp_path / "changes"
        apply_changes(base, changes, taken, upload_id="new", ends_day=0, out=tmp_path / "after")
        unsent = set() if lost is None else set(rows_of(changes, lost.first_row, lost.last_row, lost.ops))
        assert set(read(tmp_path / "after")) == set(names[::2]) ^ unsent


def test_a_line_that_fits_in_no_part_is_refused(changed: Path) -> None:
    with pytest.raises(PartTooLarge):
        list(plan_parts(changed, NDJSON, PartRules(max_bytes=20)))


@given(
    new=st.sets(IDENTIFIERS, max_size=40),
    old=MEMBERSHIP,
    perhaps=st.none() | st.sets(IDENTIFIERS, max_size=40),
    mode=st.sampled_from(["replace", "add", "remove"]),
)
@settings(deadline=None, max_examples=150)
def test_who_is_there_and_joins_and_does_not_leave_is_who_is_there_afterwards(
    new: set[str], old: dict[str, int], perhaps: set[str] | None, mode: Mode
) -> None:
    there = {name for name, day in old.items() if day == 0 or day >= TODAY}
    afterwards = {"replace": new, "add": there | new, "remove": there - new}[mode]
    with folder() as tmp:
        members, snapshot = write(tmp / "new", dict.fromkeys(new, 0)), write(tmp / "old", old)
        beside = None if perhaps is None else write(tmp / "perhaps", dict.fromkeys(perhaps, 0))
        target = Target(snapshot, mode=mode, today=TODAY, uncertain=beside)
        counts = difference_many(members, [target])[0]
    assert (counts.present, counts.after) == (len(there), len(afterwards))
    assert counts.after == counts.present + (counts.adds - counts.again) - (counts.removes - counts.doubtful)


def test_an_identifier_is_found_with_its_upload_and_day(tmp_path: Path) -> None:
    write(tmp_path / "members", {f"id-{n}": n % 50 for n in range(500)}, "upload-1")
    row = find(tmp_path / "members", "id-77")
    assert row is not None
    assert (row.identifier, row.upload, row.day) == ("id-77", "upload-1", 27)
    assert find(tmp_path / "members", "id-") is None
    assert find(tmp_path / "members", "zz") is None


def test_a_write_that_is_stopped_leaves_no_file(tmp_path: Path) -> None:
    write(tmp_path / "members", {"a": 0, "b": 0}, "")

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        difference(tmp_path / "members", None, mode="add", today=TODAY, out=tmp_path / "changes", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["members"]
