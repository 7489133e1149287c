"""Who ends when, by the snapshot alone."""

from __future__ import annotations

from pathlib import Path

from uploads.engine import lines as ln
from uploads.engine.ending import members_by_day, members_ending, write_members
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, count, member_rows


def members(path: Path) -> list[bytes]:
    with SnapshotReader(path) as reader:
        return [value for rows in reader.blocks() for value in ln.identifiers(rows.lines)]


def test_members_that_end_soon_are_counted_and_written(tmp_path: Path) -> None:
    with SnapshotWriter(tmp_path / "snapshot", ["upload"]) as writer:
        for number in range(100):
            writer.write(member_rows(ln.from_text(b"id-%03d\n" % number), day=number % 4 * 10))
    assert members_by_day(tmp_path / "snapshot") == {0: 25, 10: 25, 20: 25, 30: 25}
    assert members_ending(tmp_path / "snapshot", tmp_path / "soon", first_day=5, before_day=20) == 25
    assert members(tmp_path / "soon") == [b"id-%03d" % number for number in range(1, 100, 4)]


def test_a_few_identifiers_become_a_members_file(tmp_path: Path) -> None:
    assert write_members(["b", "a", "b"], tmp_path / "few") == 2
    assert members(tmp_path / "few") == [b"a", b"b"]
    assert write_members([], tmp_path / "none") == count(tmp_path / "none") == 0
