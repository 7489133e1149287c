"""The API's world, and vendors that no rule of theirs may be broken at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from audsync_web.sandbox.server import Sandbox
from tests.api_world import account, api, marketer_api, stranger_api

__all__ = ["account", "api", "marketer_api", "stranger_api"]


@pytest.fixture
def box(box: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, whose ledger of broken rules has to stay empty."""
    yield box
    assert box.context.ledger.violations() == []
