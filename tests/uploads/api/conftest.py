"""A segment and the files that are there before a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from audsync_web.vendors.models import VendorAccount
from tests.api_world import make_segment

from .kit import stored_files


@pytest.fixture
def segment(api: Client, account: VendorAccount) -> dict[str, Any]:
    """At Anonymised; made by the API."""
    return make_segment(api)


@pytest.fixture
def before() -> list[Path]:
    """What was in storage before the test began its requests."""
    return stored_files()
