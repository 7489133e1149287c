"""One running stack a module; each test has a sandbox without faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audsync_web.sandbox.server import Sandbox

from .stack import Stack


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    with Sandbox() as box:
        stack = Stack(folder, box)
        stack.start()
        stack.provision([stack.account("anonymised", minSecondsBetweenUploads=0)])
        yield stack
        stack.stop()


@pytest.fixture
def stack(running: Stack) -> Iterator[Stack]:
    yield running
    for name in list(running.box.context.faults.all()):
        running.box.context.faults.set(name, None)
