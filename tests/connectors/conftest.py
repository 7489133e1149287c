"""What the tests of one vendor are given beside the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses

from audsync_web.sandbox.server import Sandbox

from .anonymised_kit import Bench


@pytest.fixture
def bench(box: Sandbox) -> Bench:
    """Anonymised in the sandbox, and a connector to it."""
    return Bench(box)


@pytest.fixture
def vendor() -> Iterator[responses.RequestsMock]:
    """A vendor of canned answers."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock
