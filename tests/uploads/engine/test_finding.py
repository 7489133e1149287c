"""A membership is written once more without a few who were in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from uploads.engine import lines as ln
from uploads.engine.finding import members_without
from uploads.engine.snapshot import Row, SnapshotReader, SnapshotWriter, member_rows


def snapshot(path: Path) -> Path:
    with SnapshotWriter(path, ["first", "second"]) as writer:
        for number in range(40):
            writer.write(member_rows(ln.from_text(b"id-%03d\n" % number), upload=number % 2, day=number))
    return path


@pytest.mark.parametrize("gone", [["id-000"], ["id-039", "id-017"], ["id-0", "nobody", "id-0171"], []])
def test_the_others_stay_as_they_were(tmp_path: Path, gone: list[str]) -> None:
    source, out = snapshot(tmp_path / "before"), tmp_path / "after"
    members = [f"id-{number:03d}" for number in range(40)]
    left = [value for value in members if value not in gone]
    assert members_without(source, gone, out) == len(left)
    with SnapshotReader(out) as reader:
        held = [value.decode() for rows in reader.blocks() for value in ln.identifiers(rows.lines)]
        assert held == left
        assert reader.find("id-021") == Row("id-021", "second", 21)


def test_nobody_may_be_left(tmp_path: Path) -> None:
    everybody = [f"id-{number:03d}" for number in range(40)]
    assert members_without(snapshot(tmp_path / "before"), everybody, tmp_path / "after") == 0
