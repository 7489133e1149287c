"""Files for Xandr as they come: two spellings of a device, letters that Latin-1 lacks, a limit lower than ours."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.jobs.kinds import all_kinds
from audsync_web.jobs.models import Quota
from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.runtime import connector_for
from segments.models import Destination, Segment
from segments.services import segment_create, segment_publish
from tests.api_world import delivered, upload
from tests.jobs_helper import run_due, run_until_quiet
from tests.sandbox_accounts import connect
from uploads.delivery.payload import make_payload
from uploads.delivery.run import part_holder
from uploads.models import Delivery, Part, PartStatus

pytestmark = pytest.mark.django_db(transaction=True)

IDFA = "6F1C2A90-3B7D-4E58-9A41-0D5C7BE2F813"
OTHER, THIRD = "7a1c2a90-3b7d-4e58-9a41-0d5c7be2f813", "8B1C2A90-3B7D-4E58-9A41-0D5C7BE2F813"


def live_segment(box: Sandbox, actor: Actor, **settings: Any) -> Segment:
    for name in ("propagation_seconds", "upload_interval_seconds", "validating_seconds", "processing_seconds"):
        box.context.faults.set(f"xandr.{name}", "0")
    connect(box, actor, "xandr", minSecondsBetweenUploads=0, newSegmentWaitMinutes=0, **settings)
    segment = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    segment_publish(actor=actor, segment=segment)
    run_until_quiet(wait=2)
    return segment


def deliver(api: Client, segment: Segment, mode: str, *rows: str) -> Delivery:
    delivery = delivered(api, segment, "provider_id", *rows, mode=mode)
    assert delivery.status == "completed", (delivery.status, delivery.error_text)
    return delivery


def first_part(**state: object) -> Part:
    """The first part that has come to such a state."""
    for _ in range(10):
        if part := Part.objects.filter(**state).first():
            return part
        for kind in all_kinds():
            run_due(kind)
    raise AssertionError(f"no part came to {state}")


def members(box: Sandbox) -> set[str]:
    found = box.vendors["xandr"].control("members", {"segment": Destination.objects.get().remote_id})
    return set(found)


def test_two_spellings_of_one_device_are_one_member_from_file_to_file(box: Sandbox, actor: Actor, api: Client) -> None:
    segment = live_segment(box, actor, identifier="idfa")
    first = deliver(api, segment, "replace", IDFA, IDFA.lower(), OTHER)
    assert (first.members, first.adds, first.accepted) == (2, 2, 2)
    assert members(box) == {IDFA, OTHER}
    spelt_otherwise = deliver(api, segment, "replace", IDFA.lower(), OTHER.upper(), THIRD)
    assert (spelt_otherwise.adds, spelt_otherwise.removes, spelt_otherwise.unchanged) == (1, 0, 2)
    gone = deliver(api, segment, "remove", IDFA.lower())
    assert gone.removes == 1
    assert members(box) == {OTHER, THIRD}
    assert box.context.ledger.violations("xandr") == []


def test_an_id_that_latin_1_cannot_express_is_held_and_the_others_arrive(
    box: Sandbox, actor: Actor, api: Client
) -> None:
    segment = live_segment(box, actor, identifier="windowsadid")
    made = deliver(api, segment, "replace", "gerät-1", "gerät-€", "plain")
    assert (made.members, made.held, made.accepted) == (3, 1, 2)
    assert members(box) == {"gerät-1", "plain"}
    assert box.context.ledger.violations("xandr") == []


def test_a_file_is_cut_as_often_as_the_vendor_says_that_it_is_too_large(
    box: Sandbox, actor: Actor, api: Client
) -> None:
    segment = live_segment(box, actor, identifier="xandr_id")
    ids = [str(7_314_159_265_358_900_000 + 7919 * number * number) for number in range(400)]
    box.context.faults.set("xandr.most_file_bytes", "1000")
    made = deliver(api, segment, "replace", *ids)
    assert made.parts_total == made.parts_done >= 4
    assert (made.sent, made.accepted) == (400, 400)
    assert members(box) == set(ids)


def test_a_file_found_after_its_worker_died_lets_the_members_other_uploads_pass(
    box: Sandbox, actor: Actor, api: Client
) -> None:
    segment = live_segment(box, actor, identifier="xandr_id", pollFirstSeconds=300, pollMaxSeconds=300)
    box.context.faults.set("xandr.processing_seconds", "3600")
    box.context.faults.set("xandr.drop_after_upload", "1x")
    upload(api, segment, "provider_id\n7314159265358979323\n")
    part = first_part(intent__step="upload")
    gate = f"{part.quota_scope}:upload"
    # A worker that was killed in the call is still inside.
    quotas.enter(gate, part_holder(part.pk), keep=timedelta(hours=2))
    run_until_quiet(wait=3)
    part.refresh_from_db()
    assert (part.status, part.intent, Quota.objects.get(key=gate).holder) == (PartStatus.SUBMITTED, None, "")


def test_what_the_vendor_has_is_followed_while_a_quota_holds_the_rest_back(
    box: Sandbox, actor: Actor, api: Client
) -> None:
    segment = live_segment(box, actor, identifier="xandr_id", maxPartLines=1, quotaPauseMinutes=60)
    box.context.faults.set("xandr.validating_seconds", "1")
    box.vendors["xandr"].control("configure", {"hourly_num_lines_limit": 1})
    upload(api, segment, "provider_id\n7314159265358979323\n7314159265358979324\n")
    run_until_quiet(wait=3)
    assert list(Part.objects.order_by("number").values_list("status", flat=True)) == ["acknowledged", "planned"]
    delivery = Delivery.objects.get()
    assert delivery.next_action_at is not None
    assert timedelta(minutes=55) < delivery.next_action_at - timezone.now() <= timedelta(minutes=60)
    assert box.context.ledger.violations("xandr") == []


def test_a_delivery_that_has_ended_does_not_say_what_it_waited_for(box: Sandbox, actor: Actor, api: Client) -> None:
    segment = live_segment(box, actor, identifier="xandr_id")
    box.context.faults.set("xandr.validating_seconds", "1")
    upload(api, segment, "provider_id\n7314159265358979323\n")
    first_part(status=PartStatus.SUBMITTED)
    Delivery.objects.update(details="Waiting for the vendor's request pace.")
    run_until_quiet(wait=5)
    assert Delivery.objects.values_list("status", "details").get() == ("completed", "")


def test_a_file_that_was_held_until_publish_says_how_long_is_left(box: Sandbox, actor: Actor, api: Client) -> None:
    connect(box, actor, "xandr", minSecondsBetweenUploads=0, newSegmentWaitMinutes=0, identifier="xandr_id")
    box.context.faults.set("xandr.propagation_seconds", "0")
    segment = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    run_until_quiet(wait=2)
    upload(api, segment, "provider_id\n7314159265358979323\n")
    run_until_quiet(wait=2)
    held = Delivery.objects.get()
    assert held.status == "staged"
    assert held.planned_at
    assert held.ends_at
    lain = timedelta(days=10)
    Delivery.objects.update(planned_at=held.planned_at - lain, ends_at=held.ends_at - lain)
    box.context.faults.set("xandr.drop_after_upload", "1x")
    segment_publish(actor=actor, segment=segment)
    run_until_quiet(wait=20)
    assert Delivery.objects.get().status == "completed"
    vendor: Any = box.vendors["xandr"]
    stored = vendor.world.segments[int(Destination.objects.get().remote_id)].members
    ((_, ends),) = stored.values()
    left = timedelta(seconds=ends - box.context.clock.now().timestamp())
    assert timedelta(days=29, hours=23) < left < timedelta(days=30, minutes=5)


def test_a_part_is_made_again_as_it_was_sent(box: Sandbox, actor: Actor, api: Client) -> None:
    segment = live_segment(box, actor, identifier="xandr_id")
    box.context.faults.set("xandr.drop_after_upload", "1x")
    upload(api, segment, "provider_id\n7314159265358979323\n")
    part = first_part(intent__step="upload")
    delivery = part.delivery
    assert delivery.planned_at
    assert delivery.ends_at
    assert part.sent_at
    lain = timedelta(days=3, seconds=7)
    Delivery.objects.update(planned_at=delivery.planned_at - lain, ends_at=delivery.ends_at - lain)
    Part.objects.update(sent_at=part.sent_at - timedelta(hours=30))
    delivery, part = Delivery.objects.get(), Part.objects.get()
    assert delivery.ends_at
    assert part.sent_at
    with connector_for(delivery.destination.vendor_account) as connector:
        made = make_payload(delivery, delivery.destination, part, connector)
    left = -((part.sent_at - delivery.ends_at) // timedelta(minutes=1))
    with made.open() as stream:
        assert f":{left}:" in gzip.decompress(stream.read()).decode()
