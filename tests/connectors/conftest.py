"""What the tests of one vendor are given beside the sandbox."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox

from .anonymised_kit import Bench


@pytest.fixture
def bench(box: Sandbox) -> Bench:
    """Anonymised in the sandbox, and a connector to it."""
    return Bench(box)
