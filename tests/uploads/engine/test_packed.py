"""Identifiers that are kept as numbers behave in every step as they do as text."""

from __future__ import annotations

import gzip
import hashlib
import random
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audsync_web.vendors.connectors.formats import LineFormat, Op, PartRules, Wrap
from audsync_web.vendors.connectors.identifiers import KINDS, OPAQUE, PLAIN, SHA256, UUID, IdentifierRule
from uploads.engine import hexlines
from uploads.engine import lines as ln
from uploads.engine.applying import ALL, apply_changes
from uploads.engine.difference import difference
from uploads.engine.ending import members_by_day
from uploads.engine.parts import plan_parts, write_list, write_part
from uploads.engine.scanning import misfits
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, member_rows
from uploads.engine.sorting import SetSorter

NUMBERS = st.lists(st.integers(0, 300) | st.integers(0, 300).map(lambda n: n << 64) | st.integers(0, 2**128 - 1))
FORMS: list[Callable[[int], str]] = [
    lambda number: str(uuid.UUID(int=number)),
    lambda number: f"{number:032x}",
    lambda number: f"{number:064x}",
    lambda number: str(uuid.UUID(int=number)).upper(),
    lambda number: f"crm-{number}",
]


def text(values: list[str]) -> bytes:
    return "".join(f"{value}\n" for value in values).encode()


@given(first=NUMBERS, second=NUMBERS, forms=st.tuples(st.sampled_from(FORMS), st.sampled_from(FORMS)))
@settings(deadline=None, max_examples=150)
def test_any_mixture_of_forms_is_sorted_and_freed_of_doubles(
    first: list[int], second: list[int], forms: tuple[Callable[[int], str], Callable[[int], str]]
) -> None:
    values = [*map(forms[0], first), *map(forms[1], second)]
    with tempfile.TemporaryDirectory() as folder, SetSorter(Path(folder), 1 << 20) as sorter:
        sorter._run_bytes = 400  # a run for every few lines, so that there is much to merge
        texts = iter([text(values[start : start + 7]) for start in range(0, len(values), 7)])
        found = [name.decode() for lines in sorter.sort(texts) for name in ln.identifiers(lines)]
    assert found == sorted(set(values))


def test_runs_of_many_blocks_are_merged(tmp_path: Path) -> None:
    chance = random.Random(7)
    values = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(120_000)]
    with SetSorter(tmp_path, 3 << 20) as sorter:
        texts = iter([text(values[start : start + 5_000]) for start in range(0, len(values), 5_000)] * 2)
        found = [name.decode() for lines in sorter.sort(texts) for name in ln.identifiers(lines)]
    assert found == sorted(values)


NEVER = IdentifierRule(OPAQUE.pattern, "", never=(FORMS[0](7**30), "last", ".."))


@pytest.mark.parametrize(
    "rule", [OPAQUE, PLAIN, UUID, SHA256, KINDS["xandr_id"].rule, IdentifierRule("[a-f]+", ""), NEVER]
)
@pytest.mark.parametrize("form", FORMS[:3])
def test_a_rule_says_the_same_of_packed_lines(rule: IdentifierRule, form: Callable[[int], str]) -> None:
    values = sorted(form(number * 7**30 % 2**128) for number in range(1, 40))
    packed = hexlines.packed_lines(text(values))
    assert packed is not None
    assert misfits(packed, rule).tolist() == [not rule.accepts(value) for value in values]


@pytest.mark.parametrize("odd", ["plain", "two words", "comma,", 'quote"', "é", "", "x" * 256, "..", "...", "a.."])
def test_a_rule_about_characters_says_the_same_of_blocks_as_of_one_value(odd: str) -> None:
    values = ["first", odd, "last"]
    for rule in (OPAQUE, PLAIN, NEVER):
        assert misfits(ln.from_text(text(values)), rule).tolist() == [not rule.accepts(value) for value in values]


@pytest.mark.parametrize("form", FORMS[:3])
@pytest.mark.parametrize("packing", [False, True])
def test_parts_lists_and_days_of_packed_members(tmp_path: Path, form: Callable[[int], str], packing: bool) -> None:
    values = sorted({form(number * 7**30 % 2**128) for number in range(1, 9_000)})
    old, new = values[:6_000], values[2_000:]
    for name, members, day in (("old", old, 20_100), ("new", new, 0)):
        with SnapshotWriter(tmp_path / name, [name]) as writer:
            writer.write(member_rows(ln.from_text(text(members)), day=day))
    wrap = {Op.ADD: Wrap(b'"+', b'"'), Op.REMOVE: Wrap(b'"-', b'"')}
    form_of_lines = LineFormat(lambda op, _held: wrap[op], separator=b"\n", gzip=packing, md5=True, escape="json")
    difference(tmp_path / "new", tmp_path / "old", mode="replace", today=20_000, out=tmp_path / "changes")
    sent = b""
    rules = PartRules(max_lines=3_000, max_wire_bytes=40_000 if packing else None)
    for part in plan_parts(tmp_path / "changes", form_of_lines, rules):
        written = write_part(tmp_path / "changes", part, form_of_lines, tmp_path / "part")
        data = (tmp_path / "part").read_bytes()
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == written.md5
        unpacked = gzip.decompress(data) if packing else data
        assert len(unpacked) == part.bytes == written.unpacked_bytes
        sent += unpacked
    gone, come = set(old) - set(new), set(new) - set(old)
    assert sent.decode().splitlines() == [f'"{"+" if v in come else "-"}{v}"' for v in values if v in gone | come]

    apply_changes(tmp_path / "old", tmp_path / "changes", ALL, upload_id="u", ends_day=20_200, out=tmp_path / "next")
    bare = LineFormat(lambda _op, _held: Wrap(b"", b""))
    write_list(tmp_path / "next", None, bare, tmp_path / "list")
    assert (tmp_path / "list").read_bytes() == text(new)
    assert members_by_day(tmp_path / "next") == {20_100: 4_000, 20_200: len(come)}
    with SnapshotReader(tmp_path / "next") as reader:
        found = reader.find(values[-1])
        assert found is not None
        assert (found.upload, found.day) == ("u", 20_200)
