"""A segment that a file can go to, and a worker that lives."""

from __future__ import annotations

from typing import Any

import pytest

from audsync_web.jobs.models import WorkerHeartbeat
from tests.uploads.kit import make_destination, make_segment


@pytest.fixture
def segment(company: Any) -> Any:
    """Northwind's, with one destination."""
    made = make_segment(company)
    make_destination(made)
    return made


@pytest.fixture
def worker(db: None) -> None:
    """One that was heard of just now."""
    WorkerHeartbeat.objects.create(worker="here:1")
