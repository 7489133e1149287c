"""One running stack a module; each test has a sandbox without faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .stack import Stack, started


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    with started(folder) as stack:
        stack.provision([stack.account("anonymised", minSecondsBetweenUploads=0)])
        yield stack


@pytest.fixture
def stack(running: Stack) -> Iterator[Stack]:
    yield running
    for name in list(running.box.context.faults.all()):
        running.box.context.faults.set(name, None)
