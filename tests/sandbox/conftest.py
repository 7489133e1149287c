"""What the tests of one vendor of the sandbox are given; nothing here is Django's."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox

from . import anonymised_kit, mediarithmics_kit, xandr_kit


@pytest.fixture
def partner(box: Sandbox) -> anonymised_kit.Partner:
    """Of Anonymised, logged in."""
    return anonymised_kit.Partner(box)


@pytest.fixture
def client(box: Sandbox) -> mediarithmics_kit.Client:
    """Of mediarithmics."""
    return mediarithmics_kit.Client(box)


@pytest.fixture
def caller(box: Sandbox) -> xandr_kit.Caller:
    """Of Xandr, logged in."""
    return xandr_kit.Caller(box)


@pytest.fixture
def target(caller: xandr_kit.Caller) -> int:
    """A segment at Xandr that can be fed."""
    return int(caller.control("segment", code="target"))
