"""What the tests of one vendor of the sandbox are given; nothing here is Django's."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox

from . import mediarithmics_kit


@pytest.fixture
def client(box: Sandbox) -> mediarithmics_kit.Client:
    """Of mediarithmics."""
    return mediarithmics_kit.Client(box)
