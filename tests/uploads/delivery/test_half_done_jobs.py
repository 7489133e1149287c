"""A vendor job that broke off half-way leaves members whom the next delivery mends, whoever its file names."""

from __future__ import annotations

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from segments.models import Segment
from segments.services import DestinationWish, segment_create
from tests.api_world import BASE, delivered
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect, hurry
from uploads.models import Delivery, Part, PartStatus

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def segment(box: Sandbox, actor: Actor) -> Segment:
    """A segment at mediarithmics, where jobs that do not succeed have worked half of their lines."""
    hurry(box, "mediarithmics")
    box.context.faults.set("mediarithmics.half_done", "0.5")
    account = connect(box, actor, "mediarithmics", identifier="user_agent_id")
    made = segment_create(actor=actor, name="Lapsed buyers", destinations=[DestinationWish(account)])
    run_until_quiet()
    return made


def deliver(api: Client, segment: Segment, *members: str) -> Delivery:
    return delivered(api, segment, "user_agent_id", *members, wait=8)


def at_vendor(box: Sandbox, segment: Segment) -> set[str]:
    destination = segment.destinations.get()
    return set(box.vendors["mediarithmics"].control("members", {"segment": destination.remote_id}))


@pytest.mark.parametrize("ending", ["failed", "lost"])
def test_who_came_half_way_leaves_again_though_no_later_file_names_them(
    box: Sandbox, api: Client, segment: Segment, ending: str
) -> None:
    deliver(api, segment, "vec:a", "vec:b", "vec:c", "vec:d")
    box.context.faults.set(f"mediarithmics.{ending}", "1x")
    broken = deliver(api, segment, "vec:c", "vec:d", "vec:e", "vec:f", "vec:g", "vec:h")
    assert (broken.status, Part.objects.get(delivery=broken).status) == ("failed", PartStatus.UNCERTAIN)
    shown = api.get(f"{BASE}/segment/{segment.pk}/membership/upload/{broken.upload_id}").json()
    assert "The outcome of 6 identifiers is not known" in shown["deliveries"][0]["details"]
    half_done = at_vendor(box, segment)
    assert half_done not in ({"vec:a", "vec:b", "vec:c", "vec:d"}, {f"vec:{one}" for one in "cdefgh"})

    assert deliver(api, segment, "vec:a", "vec:z").status == "completed"
    assert at_vendor(box, segment) == {"vec:a", "vec:z"}
    assert box.context.ledger.violations("mediarithmics") == []


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("failed", "The vendor failed to import the file."),
        ("lost", "Lost by the vendor."),
        ("canceled", "Cancelled at the vendor; nothing of it was applied."),
    ],
)
def test_the_reason_is_that_of_the_part_that_did_not_arrive(
    box: Sandbox, actor: Actor, api: Client, ending: str, reason: str
) -> None:
    hurry(box, "mediarithmics")
    account = connect(box, actor, "mediarithmics", identifier="user_agent_id", maxPartLines=3)
    segment = segment_create(actor=actor, name="Lapsed buyers", destinations=[DestinationWish(account)])
    run_until_quiet()
    box.context.faults.set("mediarithmics.partial", "1")
    box.context.faults.set(f"mediarithmics.{ending}", "1x")
    broken = deliver(api, segment, *(f"vec:{one}" for one in "abcdef"))
    arrived = broken.parts.get(status=PartStatus.ACKNOWLEDGED)
    assert (broken.status, arrived.details[:26]) == ("partial", "1 of 3 lines failed again.")
    assert broken.error_text.startswith(reason)
