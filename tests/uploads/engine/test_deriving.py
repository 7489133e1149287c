"""The set that a destination is fed with: what is told while it is made, and where it may lie."""

from __future__ import annotations

import errno
import os
from io import BytesIO
from pathlib import Path

import pytest

from audsync_web.vendors.connectors.identifiers import KINDS
from uploads.engine.checking import CheckOptions
from uploads.engine.members import build_members, derive_members
from uploads.engine.progress import Progress
from uploads.engine.snapshot import find

ADDRESS = "ann@mail.example"


@pytest.fixture
def members(tmp_path: Path) -> Path:
    made = tmp_path / "members"
    body = f"email\n{ADDRESS}\nben@mail.example\n".encode()
    build_members(lambda: BytesIO(body), CheckOptions(), "email", made, tmp_path)
    return made


def test_a_set_on_another_volume_than_the_file_is_a_copy(
    members: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    out, rule = tmp_path / "out", KINDS["email"].rule
    derived = derive_members(members, out, tmp_path / "held", tmp_path, conversion="as_is", rule=rule)
    assert (derived.members, derived.same) == (2, True)
    assert find(out, ADDRESS)
    assert not out.samefile(members)


def test_hashing_tells_how_far_it_is(members: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    derive_members(
        members,
        tmp_path / "out",
        tmp_path / "held",
        tmp_path,
        conversion="sha256",
        rule=KINDS["email_sha256"].rule,
        progress=told.append,
    )
    assert (told[-1].stage, told[-1].rows) == ("deriving", 2)
