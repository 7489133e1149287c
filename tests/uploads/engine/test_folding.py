"""Two spellings of one device are one member, whoever spelt it first."""

from __future__ import annotations

from pathlib import Path

import pytest

from uploads.engine import lines as ln
from uploads.engine.ending import write_members
from uploads.engine.folding import fold_members
from uploads.engine.snapshot import SnapshotReader


def fold(folder: Path, members: list[str], *held: list[str]) -> list[str] | None:
    write_members(members, folder / "members")
    paths = [folder / f"held-{number}" for number in range(len(held))]
    for path, values in zip(paths, held, strict=True):
        write_members(values, path)
    count = fold_members(folder / "members", paths, folder / "out", folder, memory_bytes=1 << 20)
    if count is None:
        assert not (folder / "out").exists()
        return None
    with SnapshotReader(folder / "out") as reader:
        found = [value.decode() for rows in reader.blocks() for value in ln.identifiers(rows.lines)]
    assert len(found) == count
    return found


@pytest.mark.parametrize(
    ("members", "held", "expected"),
    [
        (["Ab", "aB", "cd"], [], ["Ab", "cd"]),
        (["ab", "cd"], [["AB", "EF"]], ["AB", "cd"]),
        (["AB", "ab", "Ab"], [["aB"]], ["aB"]),
        (["ab", "cd"], [["X"], ["AB"]], ["AB", "cd"]),
        (["Zz"], [["zz a", "b b"]], ["Zz"]),
        (["ger\u00e4t a", "GER\u00e4T A"], [], ["GER\u00e4T A"]),
    ],
)
def test_one_spelling_stays_and_it_is_the_one_that_the_vendor_has(
    tmp_path: Path, members: list[str], held: list[list[str]], expected: list[str]
) -> None:
    assert fold(tmp_path, members, *held) == expected


@pytest.mark.parametrize("members", [["ab", "cd-1"], ["AB", "CD-1"], ["1-2"]])
def test_files_of_one_letter_case_are_left_alone(tmp_path: Path, members: list[str]) -> None:
    assert fold(tmp_path, members, members) is None


def test_many_are_folded_in_order_and_in_little_memory(tmp_path: Path) -> None:
    values = [f"{number:06x}-ab" for number in range(60_000)]
    found = fold(tmp_path, [value.upper() for value in values] + values[::2], values[::3])
    assert found is not None
    assert [value.lower() for value in sorted(found, key=str.lower)] == values
    assert found == sorted(found)
    assert set(values[::3]) <= set(found)
