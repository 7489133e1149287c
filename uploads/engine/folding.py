"""One member for one identifier however it is spelt: kinds whose letter case a vendor keeps and may not tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from uploads.engine import lines as ln
from uploads.engine.members import MEMORY
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, member_rows
from uploads.engine.sorting import SetSorter

_HELD, _NAMED = b"0", b"1"
_GATHERED = 50_000


def fold_members(
    members: Path, held: Sequence[Path], out: Path, spill_dir: Path, *, memory_bytes: int = MEMORY
) -> int | None:
    """Write `members` with one spelling of each: the one that a file of `held` has, else the first of their own.

    So a member that a vendor has is neither sent nor removed because a newer file spells it otherwise. How many were
    written; None, and no file, where all files are of one letter case, so that no two spellings can meet.
    """
    if not _mixed([members, *held]):
        return None
    with (
        SetSorter(spill_dir, memory_bytes // 2) as by_meaning,
        SetSorter(spill_dir, memory_bytes // 2) as by_bytes,
        SnapshotWriter(out, [""]) as writer,
    ):
        marked = by_meaning.sort(_marked(members, held))
        for lines in by_bytes.sort(_chosen(line for block in marked for line in ln.identifiers(block))):
            writer.write(member_rows(lines))
    return writer.rows


def _mixed(paths: Sequence[Path]) -> bool:
    """Whether letters of both cases stand in these files; looks no further than it must."""
    upper = lower = False
    for text in _texts(paths):
        upper = upper or text != text.lower()
        lower = lower or text != text.upper()
        if upper and lower:
            return True
    return False


def _texts(paths: Sequence[Path]) -> Iterator[bytes]:
    for path in paths:
        with SnapshotReader(path) as reader:
            for rows in reader.blocks():
                yield bytes(ln.text_of(rows.lines))


def _marked(members: Path, held: Sequence[Path]) -> Iterator[bytes]:
    """Each identifier as a line of its lower case, whose it is, and its spelling: sorted, all spellings meet."""
    for paths, mark in ((held, _HELD), ([members], _NAMED)):
        for text in _texts(paths):
            yield b"".join(line.lower() + b"\t" + mark + line + b"\n" for line in text.split(b"\n")[:-1])


def _chosen(marked: Iterator[bytes]) -> Iterator[bytes]:
    """The spelling to go on with, of everybody whom the file names, as texts of lines."""
    gathered: list[bytes] = []
    meaning, known, named = b"", b"", False
    for line in marked:
        lowered, _, rest = line.partition(b"\t")
        if lowered != meaning:
            meaning, known, named = lowered, b"", False
        if rest[:1] == _HELD:
            known = known or rest[1:]
        elif not named:
            named = True
            gathered.append(known or rest[1:])
        if len(gathered) >= _GATHERED:
            yield b"\n".join(gathered) + b"\n"
            gathered = []
    if gathered:
        yield b"\n".join(gathered) + b"\n"
