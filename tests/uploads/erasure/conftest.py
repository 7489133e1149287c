"""The segment that the tests of erasures bring people to."""

from __future__ import annotations

import pytest

from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from segments.models import Segment
from segments.services import DestinationWish, segment_create
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect, hurry


@pytest.fixture
def segment(box: Sandbox, actor: Actor) -> Segment:
    """A segment at mediarithmics, which is fed with hashes."""
    hurry(box, "mediarithmics")
    account = connect(box, actor, "mediarithmics", identifier="email_sha256")
    made = segment_create(actor=actor, name="Newsletter", destinations=[DestinationWish(account)])
    run_until_quiet()
    return made
