"""A linked segment may hold members that AudSync did not bring; what was brought or taken since changes nothing."""

from __future__ import annotations

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from segments.models import Destination, Segment
from segments.services import segment_create
from tests.api_world import delivered
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from uploads.membership.snapshots import current_snapshot
from uploads.models import Delivery, Snapshot

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def segment(box: Sandbox, actor: Actor) -> Segment:
    """A segment that is a linked tag of which nobody knows who has it."""
    connect(box, actor, "synerise", identifier="custom_id", sampleSize=0, graceMinutes=0)
    made = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    run_until_quiet()
    Destination.objects.update(linked=True, membership_known=False)
    Snapshot.objects.all().delete()
    return made


def deliver(api: Client, segment: Segment, mode: str, *members: str) -> Delivery:
    return delivered(api, segment, "custom_id", *members, mode=mode)


def test_whoever_is_to_be_removed_is_removed_though_nobody_knows_whether_they_are_there(
    api: Client, segment: Segment
) -> None:
    made = deliver(api, segment, "remove", "crm-1", "crm-2")
    assert (made.status, made.removes, made.accepted) == ("completed", 2, 2)
    assert not Destination.objects.get().membership_known


def test_an_addition_does_not_make_the_others_known_so_that_a_replace_would_leave_them(
    api: Client, segment: Segment
) -> None:
    assert deliver(api, segment, "add", "crm-1", "crm-2").status == "completed"
    again = deliver(api, segment, "add", "crm-2", "crm-3")
    assert (again.status, again.adds, again.unchanged) == ("completed", 1, 1)
    refused = deliver(api, segment, "replace", "crm-3")
    assert (refused.status, refused.error_code) == ("failed", "membership_unknown")
    known = current_snapshot(Destination.objects.get())
    assert known is not None
    assert known.members == 3
