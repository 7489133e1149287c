"""The API's world, and a segment for its page."""

from __future__ import annotations

import pytest

from audsync_web.people.actors import Actor
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, Segment
from segments.services import DestinationWish, segment_create
from tests.api_world import account, api, marketer_api, stranger_api

__all__ = ["account", "api", "marketer_api", "stranger_api"]


@pytest.fixture
def segment(account: VendorAccount, actor: Actor) -> Segment:
    """A segment at Anonymised that nobody has created there yet."""
    return segment_create(actor=actor, name="Lapsed buyers", destinations=[DestinationWish(account)])


@pytest.fixture
def destination(segment: Segment) -> Destination:
    found: Destination = segment.destinations.get()
    return found
