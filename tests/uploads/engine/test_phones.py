"""Telephone numbers become E.164 where a destination asks for it; impossible ones are held, spellings meet."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.connectors.telephone import e164
from uploads.engine.checking import CheckOptions
from uploads.engine.members import build_members, derive_members
from uploads.engine.snapshot import SnapshotReader, find


@pytest.mark.parametrize(
    ("written", "region", "number"),
    [
        ("+48 601 234 567", "", "+48601234567"),
        ("601-234-567", "PL", "+48601234567"),
        ("(0171) 123456", "DE", "+49171123456"),
        ("601234567", "", None),
        ("12", "PL", None),
    ],
)
def test_a_number_is_brought_to_e164(written: str, region: str, number: str | None) -> None:
    assert e164(written, region) == number


def test_spellings_of_one_number_meet_and_impossible_ones_are_held(tmp_path: Path) -> None:
    body = b"phone\n601 234 567\n601-234-567\n+48601234567\n602234567\n+48 1 2 3 4 5\n"
    members, out, held = tmp_path / "members", tmp_path / "out", tmp_path / "held.csv"
    build_members(lambda: BytesIO(body), CheckOptions(), "phone", members, tmp_path)
    rule = KINDS["phone"].rule
    derived = derive_members(members, out, held, tmp_path, conversion="e164", rule=rule, region="PL")
    assert all(find(out, number) for number in ("+48601234567", "+48602234567"))
    assert (derived.members, derived.held) == (2, 1)
    with SnapshotReader(members) as reader:
        assert reader.count == 5
