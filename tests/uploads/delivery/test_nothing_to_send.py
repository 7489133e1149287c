"""A file that changes nothing is done at once, where the vendor still has its segment."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.registry import connector_class
from segments.models import Destination, Segment
from segments.services import segment_create, segment_publish
from tests.api_world import delivered
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect, hurry
from uploads.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS: dict[str, dict[str, Any]] = {
    "anonymised": {"identifier": "provider_id", "minSecondsBetweenUploads": 0},
    "mediarithmics": {"identifier": "user_agent_id"},
    "synerise": {"identifier": "custom_id", "graceMinutes": 0},
    "xandr": {"identifier": "idfa", "minSecondsBetweenUploads": 0, "newSegmentWaitMinutes": 0},
}
PEOPLE = {"mediarithmics": "vec:1", "xandr": "6F1C2A90-3B7D-4E58-9A41-0D5C7BE2F813"}


def live_segment(box: Sandbox, actor: Actor, vendor: str) -> Segment:
    if vendor in {"anonymised", "mediarithmics"}:
        hurry(box, vendor)
    for name in ("propagation_seconds", "upload_interval_seconds", "validating_seconds", "processing_seconds"):
        box.context.faults.set(f"xandr.{name}", "0")
    connect(box, actor, vendor, **SETTINGS[vendor])
    segment = segment_create(actor=actor, name="Lapsed buyers", duration_days=90)
    segment_publish(actor=actor, segment=segment)
    run_until_quiet(wait=2)
    return segment


def deliver(api: Client, segment: Segment, vendor: str) -> Delivery:
    """The whole list, which is one member."""
    return delivered(api, segment, SETTINGS[vendor]["identifier"], PEOPLE.get(vendor, "crm-1"))


def test_who_stays_is_not_taken_for_granted_where_some_only_leave(box: Sandbox, actor: Actor, api: Client) -> None:
    segment = live_segment(box, actor, "synerise")
    assert delivered(api, segment, "custom_id", "crm-1", "crm-2").status == "completed"
    Destination.objects.update(remote_id="gone")  # its tag was deleted at the vendor
    last = delivered(api, segment, "custom_id", "crm-1")
    assert (last.status, last.error_code) == ("failed", "segment_missing")


@pytest.mark.parametrize("vendor", SETTINGS)
def test_what_changes_nothing_is_done_unless_the_segment_was_deleted(
    box: Sandbox, actor: Actor, api: Client, vendor: str
) -> None:
    segment = live_segment(box, actor, vendor)
    first, second = deliver(api, segment, vendor), deliver(api, segment, vendor)
    assert (first.status, first.sent) == ("completed", 1), first.error_text
    assert (second.status, second.sent, second.unchanged) == ("completed", 0, 1), second.error_text

    Destination.objects.update(remote_id="999999")  # as good as deleted: the vendor has none of that name
    third = deliver(api, segment, vendor)
    assert (third.status, third.error_code) == ("failed", "segment_missing")
    assert connector_class(vendor).short_label in third.error_text
    assert third.next_step
