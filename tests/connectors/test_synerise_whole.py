"""Synerise, the whole way: files in, tags at the vendor, under both tag semantics and with lost answers."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audsync_web.jobs.kinds import kind_named
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company, User
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.synerise.connector import SyneriseConnector
from audsync_web.vendors.connectors.synerise.singles import Singles
from audsync_web.vendors.services import account_change
from segments import api as segments_api
from segments.models import Destination
from tests.api_world import BASE, bearer_client, csv_of, make_segment, upload
from tests.conftest import LoggedIn
from tests.jobs_helper import run_due, run_until_quiet
from tests.sandbox_accounts import connect
from uploads.delivery import journal, planning, sending
from uploads.delivery.job import BEHIND_ANOTHER
from uploads.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [f"crm-{number:04d}" for number in range(60)]


@pytest.fixture(autouse=True)
def publish_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_api, "PUBLISH_WAIT_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def second_looks_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECOND_LOOK", timedelta(seconds=0.3))


@pytest.fixture
def api(manager: User, company: Company) -> Client:
    return bearer_client(manager, company)


def deliver(api: Client, segment: dict[str, Any], people: list[str], mode: str = "replace") -> dict[str, Any]:
    """Upload a file and follow it to its end."""
    made = upload(api, segment, csv_of(*people), f"?mode={mode}")
    assert made.status_code == 201, made.content
    run_until_quiet(wait=20)
    seen = api.get(f"{BASE}/segment/{segment['id']}/membership/upload/{made.json()['id']}").json()
    return dict(seen)


def rejections_of(api: Client, segment: dict[str, Any]) -> list[dict[str, str]]:
    """What the newest upload's report tells."""
    newest = api.get(f"{BASE}/segment/{segment['id']}/membership/upload").json()[0]
    answer: Any = api.get(f"{BASE}/segment/{segment['id']}/membership/upload/{newest['id']}/rejections")
    text = answer.getvalue().decode()
    return list(csv.DictReader(io.StringIO(text)))


def tag_of(api: Client, segment: dict[str, Any]) -> str:
    run_until_quiet(wait=3)
    found = api.get(f"{BASE}/segment/{segment['id']}").json()
    return str(found["destinations"][0]["remoteId"])


def members_of(box: Sandbox, tag: str) -> set[str]:
    box.context.clock.advance(1)
    return set(box.vendors["synerise"].control("members", {"segment": tag}))


@pytest.mark.parametrize("semantics", ["replace", "append"])
def test_replace_add_and_remove_end_with_the_files_membership(box: Sandbox, actor: Actor, api: Client, semantics: str):
    box.context.faults.set("synerise.tags_mode", semantics)
    box.context.faults.set("synerise.apply_seconds", "0.05")
    connect(box, actor, "synerise", batchItems=25, singleItems=10)
    first, second = make_segment(api, name="First"), make_segment(api, name="Second")
    one, two = tag_of(api, first), tag_of(api, second)
    assert deliver(api, first, PEOPLE[:40])["status"] == "completed"
    assert deliver(api, second, PEOPLE[20:50])["status"] == "completed"
    box.context.faults.set("synerise.drop_after_batch", "1x")
    box.context.faults.set("synerise.drop_after_unassign", "1x")
    replaced = deliver(api, first, PEOPLE[15:60])
    assert replaced["status"] == "completed", replaced
    assert (replaced["deliveries"][0]["adds"], replaced["deliveries"][0]["removes"]) == (20, 15)
    assert replaced["deliveries"][0]["details"] == "Seen at Synerise: 35 members read back agree."
    assert deliver(api, second, PEOPLE[:5], "add")["status"] == "completed"
    assert deliver(api, first, PEOPLE[30:35], "remove")["status"] == "completed"
    assert members_of(box, one) == set(PEOPLE[15:60]) - set(PEOPLE[30:35])
    assert members_of(box, two) == set(PEOPLE[20:50]) | set(PEOPLE[:5])
    assert box.context.ledger.violations("synerise") == []


def test_two_uploads_at_once_do_not_take_each_others_tags_away(box: Sandbox, actor: Actor, api: Client):
    """Where tags replace, the later batch must know what the earlier delivery of the account has written."""
    box.context.faults.set("synerise.tags_mode", "replace")
    box.context.faults.set("synerise.apply_seconds", "1")
    connect(box, actor, "synerise")
    first, second = make_segment(api, name="First"), make_segment(api, name="Second")
    one, two = tag_of(api, first), tag_of(api, second)
    for segment in (first, second):
        assert upload(api, segment, csv_of(*PEOPLE)).status_code == 201
    run_until_quiet(kinds=("uploads.inspection",))
    run_due(kind_named("uploads.delivery"))
    assert Delivery.objects.get(is_live=True).parts_done == 1
    assert Delivery.objects.get(is_live=False).details == BEHIND_ANOTHER
    run_until_quiet(wait=20)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"completed"}
    assert not Delivery.objects.filter(details__contains=BEHIND_ANOTHER).exists()
    assert members_of(box, one) == members_of(box, two) == set(PEOPLE)


def test_refused_rows_are_counted_and_the_rest_is_live(box: Sandbox, actor: Actor, api: Client):
    box.context.faults.set("synerise.refuse_rows", "1,3")
    box.context.faults.set("synerise.apply_seconds", "0.05")
    connect(box, actor, "synerise")
    segment = make_segment(api)
    tag = tag_of(api, segment)
    done = deliver(api, segment, PEOPLE[:10])
    assert done["status"] == "completed", done
    delivery = done["deliveries"][0]
    assert (delivery["sent"], delivery["accepted"], delivery["rejected"]) == (10, 8, 2)
    assert members_of(box, tag) == set(PEOPLE[:10]) - {PEOPLE[1], PEOPLE[3]}


@pytest.mark.parametrize(("size", "said"), [(3, "3 members read back agree."), (25, "25 members read back agree.")])
def test_as_many_members_are_read_back_as_the_account_says(
    box: Sandbox, actor: Actor, api: Client, size: int, said: str
):
    connect(box, actor, "synerise", sampleSize=size, batchItems=10)
    segment = make_segment(api)
    tag_of(api, segment)
    assert deliver(api, segment, PEOPLE[:40])["deliveries"][0]["details"] == f"Seen at Synerise: {said}"


def test_members_that_are_one_in_the_form_that_is_sent_are_told_beside_the_balance(
    box: Sandbox, actor: Actor, api: Client, logged_in: LoggedIn, manager: User
):
    connect(box, actor, "synerise", identifier="phone", phoneRegion="PL", graceMinutes=0)
    segment = make_segment(api)
    tag_of(api, segment)
    people = ("+48 600 100 200", "600100200", "600-100-200", "600100201")
    made = upload(api, segment, "\n".join(("phone", *people, "")))
    run_until_quiet(wait=20)
    path = f"{BASE}/segment/{segment['id']}/membership/upload/{made.json()['id']}"
    seen = api.get(path).json()
    delivery = seen["deliveries"][0]
    assert (seen["uniqueCount"], delivery["adds"], delivery["merged"], delivery["held"]) == (4, 2, 2, 0)
    told = "2 more members of the file equal another one in the form that is sent here, and count once."
    pages = logged_in(manager)
    for page in ("upload_one", "upload_receipt"):
        assert told in pages.get(reverse(page, args=[seen["id"]])).content.decode()


def test_nobody_is_read_back_where_the_account_says_so(box: Sandbox, actor: Actor, api: Client):
    connect(box, actor, "synerise", sampleSize=0, graceMinutes=0)
    segment = make_segment(api)
    tag_of(api, segment)
    done = deliver(api, segment, PEOPLE[:40])["deliveries"][0]
    assert done["details"] == "Accepted, not verified: there was nothing to read back."


def test_a_delivery_of_which_everybody_was_refused_ends_at_once_also_where_nobody_is_read_back(
    box: Sandbox, actor: Actor, api: Client
):
    box.context.faults.set("synerise.refuse_rows", "0,1,2")
    connect(box, actor, "synerise", sampleSize=0, graceMinutes=15)
    segment = make_segment(api)
    tag_of(api, segment)
    done = deliver(api, segment, PEOPLE[:3])
    assert (done["status"], done["deliveries"][0]["rejected"]) == ("failed", 3), done


def test_the_count_of_a_linked_segmentation_leaves_out_who_was_refused(box: Sandbox, actor: Actor, api: Client):
    box.context.faults.set("synerise.apply_seconds", "0.05")
    box.context.faults.set("synerise.refuse_rows", "0,1,2,3,4,5")
    account = connect(box, actor, "synerise", sampleSize=0, countTolerance=0, graceMinutes=0.2)
    options = {"segmentationUuid": "8d7f0f55-1c55-4d0b-a9a4-0b8a6f6f9d19"}
    segment = make_segment(api, destinations=[{"vendorAccountId": account.pk, "options": options}])
    tag = tag_of(api, segment)
    box.vendors["synerise"].control("segmentation", {"uuid": options["segmentationUuid"], "tags": [tag]})
    done = deliver(api, segment, PEOPLE[:40])["deliveries"][0]
    assert (done["accepted"], done["rejected"]) == (34, 6)
    assert "counts 34 of 34" in done["details"]


def test_a_tag_that_was_deleted_meanwhile_is_not_brought_back(box: Sandbox, actor: Actor, api: Client):
    box.context.faults.set("synerise.apply_seconds", "0.05")
    connect(box, actor, "synerise", batchItems=30)
    kept, removed = make_segment(api, name="Kept"), make_segment(api, name="Removed")
    tag, gone = tag_of(api, kept), tag_of(api, removed)
    assert deliver(api, removed, PEOPLE)["status"] == "completed"
    assert upload(api, kept, csv_of(*PEOPLE)).status_code == 201
    run_until_quiet(kinds=("uploads.inspection",))
    run_due(kind_named("uploads.delivery"))
    assert Delivery.objects.latest("pk").memory["neighbours"] == [gone]
    account = removed["destinations"][0]["vendorAccountId"]
    assert api.delete(f"{BASE}/segment/{removed['id']}/destinations/{account}?release=delete_tag").status_code < 300
    run_until_quiet(wait=20)
    assert Delivery.objects.latest("pk").status == "completed"
    assert members_of(box, tag) == set(PEOPLE)
    assert gone not in {row["name"] for row in box.vendors["synerise"].state()["segments"]}
    assert box.context.ledger.violations("synerise") == []


def test_segments_of_one_account_are_never_fed_with_two_kinds_of_identifier(box: Sandbox, actor: Actor, api: Client):
    account = connect(box, actor, "synerise")
    make_segment(api)
    account_change(actor=actor, account=account, settings={"identifier": "email"}, check=False)
    refused = api.post(f"{BASE}/segment", {"name": "By address"}, content_type="application/json")
    assert (refused.status_code, "fed with custom_id" in refused.json()["error"]) == (400, True), refused.content
    account_change(actor=actor, account=account, settings={"tagWriteMode": "assign"}, check=False)
    make_segment(api, name="One by one")


def test_two_accounts_in_one_workspace_are_not_fed_with_two_kinds_of_identifier(
    box: Sandbox, actor: Actor, api: Client
):
    one = connect(box, actor, "synerise", name="One")
    two = connect(box, actor, "synerise", name="Two", identifier="email")
    make_segment(api, destinations=[one.pk])
    wish = {"name": "By address", "destinations": [two.pk]}
    refused = api.post(f"{BASE}/segment", wish, content_type="application/json")
    assert (refused.status_code, "the same place as One" in refused.json()["error"]) == (400, True), refused.content


def test_segments_of_two_accounts_in_one_workspace_keep_their_members(box: Sandbox, actor: Actor, api: Client):
    box.context.faults.set("synerise.tags_mode", "replace")
    box.context.faults.set("synerise.apply_seconds", "0.05")
    one, two = (connect(box, actor, "synerise", name=name) for name in ("One", "Two"))
    segments = [make_segment(api, name=account.name, destinations=[account.pk]) for account in (one, two)]
    first, second = (tag_of(api, segment) for segment in segments)
    assert deliver(api, segments[0], PEOPLE)["status"] == "completed"
    assert deliver(api, segments[1], PEOPLE[:20])["status"] == "completed"
    assert (members_of(box, first), members_of(box, second)) == (set(PEOPLE), set(PEOPLE[:20]))
    for segment in segments:
        assert upload(api, segment, csv_of("crm-new", *PEOPLE[:20])).status_code == 201
    run_until_quiet(kinds=("uploads.inspection",))
    run_due(kind_named("uploads.delivery"))
    assert sorted(Delivery.objects.values_list("is_live", flat=True)).count(True) == 1
    run_until_quiet(wait=20)
    assert members_of(box, first) == members_of(box, second) == {"crm-new", *PEOPLE[:20]}


def test_a_tag_is_held_by_one_of_two_accounts_that_create_it_at_the_same_moment(
    box: Sandbox, actor: Actor, api: Client, monkeypatch: pytest.MonkeyPatch
):
    """A name that is taken is answered with the existing tag, so both would feed it and believe it their own."""
    monkeypatch.setattr(SyneriseConnector, "find_segment", lambda *_: None)
    accounts = [connect(box, actor, "synerise", name=name) for name in ("One", "Two")]
    make_segment(api, destinations=[account.pk for account in accounts])
    run_until_quiet(wait=3)
    held, refused = Destination.objects.order_by("status")
    assert (held.status, refused.status) == ("created", "failed")
    assert (refused.remote_id, refused.error_code) == ("", "remote_taken")
    assert f"that remote segment is {held.vendor_account.name}'s already" in refused.error_text


@pytest.mark.parametrize("semantics", ["replace", "append"])
def test_a_list_that_many_leave_goes_out_under_a_new_version(
    box: Sandbox, actor: Actor, api: Client, logged_in: LoggedIn, manager: User, semantics: str
):
    box.context.faults.set("synerise.tags_mode", semantics)
    box.context.faults.set("synerise.apply_seconds", "0.05")
    connect(box, actor, "synerise")
    segment = make_segment(api)
    old = tag_of(api, segment)
    assert deliver(api, segment, PEOPLE)["status"] == "completed"
    pages = logged_in(manager)
    destination = Destination.objects.get()
    address = f"/segments/{segment['id']}/destinations/{destination.pk}"
    assert f'href="{address}/renew"' in pages.get(f"/segments/{segment['id']}").content.decode()
    assert old in pages.get(f"{address}/renew").content.decode()
    assert Destination.objects.count() == 1, "looking changes nothing"
    assert pages.post(f"{address}/renew").status_code == 302
    new = tag_of(api, segment)
    assert new == f"{old}-v2"
    done = deliver(api, segment, PEOPLE[50:])["deliveries"][0]
    assert (done["adds"], done["removes"]) == (10, 0)
    assert (members_of(box, new), members_of(box, old)) == (set(PEOPLE[50:]), set(PEOPLE))
    assert old in pages.get(f"/segments/{segment['id']}").content.decode()
    assert pages.post(f"{address}/delete-left").status_code == 302
    run_until_quiet(wait=3)
    names = {row["name"] for row in box.vendors["synerise"].state()["segments"]}
    assert (new in names, old in names) == (True, False)
    assert pages.post(f"{address}/delete-left").status_code == 404
    assert deliver(api, segment, PEOPLE[:1], "add")["status"] == "completed"
    assert box.context.ledger.violations("synerise") == []


def test_more_segments_than_can_be_told_apart_are_refused_in_words(
    box: Sandbox, actor: Actor, api: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(planning, "MAX_NEIGHBOURS", 1)
    connect(box, actor, "synerise")
    for number in range(3):
        segment = make_segment(api, name=f"Number {number}")
        tag_of(api, segment)
        done = deliver(api, segment, PEOPLE[:5])
        assert done["status"] == ("completed" if number < 2 else "failed")
    assert "More than 1 other segments" in done["details"]


def test_who_was_refused_is_no_member_and_is_sent_again(box: Sandbox, actor: Actor, api: Client):
    box.context.faults.set("synerise.refuse_rows", "1,3")
    box.context.faults.set("synerise.apply_seconds", "0.05")
    connect(box, actor, "synerise", batchItems=7)
    segment = make_segment(api)
    tag = tag_of(api, segment)
    assert deliver(api, segment, PEOPLE[:10])["deliveries"][0]["rejected"] == 3
    told = rejections_of(api, segment)
    assert [(row["line"], row["value"]) for row in told] == [
        ("3", PEOPLE[1]),
        ("5", PEOPLE[3]),
        ("10", PEOPLE[8]),
    ]
    box.context.faults.set("synerise.refuse_rows", None)
    again = deliver(api, segment, PEOPLE[:10])["deliveries"][0]
    assert (again["adds"], again["unchanged"], again["accepted"], again["rejected"]) == (3, 7, 3, 0)
    assert again["details"].startswith("Seen at Synerise")
    assert members_of(box, tag) == set(PEOPLE[:10])


@pytest.mark.parametrize("way", ["batch", "assign"])
def test_what_was_done_before_a_cancel_counts(
    box: Sandbox, actor: Actor, api: Client, monkeypatch: pytest.MonkeyPatch, way: str
):
    """Members worked one by one: seven of the second part are done when somebody stops it."""
    box.context.faults.set("synerise.apply_seconds", "0.05")
    box.vendors["synerise"].control("profiles", {"profiles": [{"customId": value} for value in PEOPLE]})
    connect(box, actor, "synerise", tagWriteMode=way, singleItems=20)
    segment = make_segment(api)
    tag = tag_of(api, segment)
    if way == "batch":
        assert deliver(api, segment, PEOPLE)["status"] == "completed"
        before, wanted, done = set(PEOPLE), PEOPLE[55:], set(PEOPLE[27:])
    else:
        before, wanted, done = set(), PEOPLE, set(PEOPLE[:27])
    assert members_of(box, tag) == before
    worked: list[str] = []
    name = "unassign" if way == "batch" else "assign"
    work = getattr(Singles, name)

    def stop_at_the_27th(singles: Singles, kind: str, value: str, *more: Any) -> str:
        why: str = work(singles, kind, value, *more)
        worked.append(value)
        if len(worked) == 27:
            assert api.post(f"{BASE}/segment/{segment['id']}/membership/upload/{made['id']}/cancel").status_code == 202
        return why

    monkeypatch.setattr(Singles, name, stop_at_the_27th)
    monkeypatch.setattr(journal, "CHECK_EVERY", 0.0)
    made = upload(api, segment, csv_of(*wanted)).json()
    run_until_quiet(wait=20)
    assert members_of(box, tag) == done
    delivery = Delivery.objects.latest("pk")
    parts = list(delivery.parts.order_by("first_row").values_list("status", "lines", "accepted"))
    assert parts[:3] == [("acknowledged", 20, 20), ("acknowledged", 7, 7), ("cancelled", 13, None)]
    assert (delivery.status, delivery.accepted, delivery.parts_total) == ("partial", 27, 4)
    assert delivery.parts_done == 4
    monkeypatch.setattr(Singles, name, work)
    replaced = deliver(api, segment, wanted)["deliveries"][0]
    assert (replaced["adds"], replaced["removes"]) == ((0, 28) if way == "batch" else (33, 0))
    assert members_of(box, tag) == set(wanted)


def test_a_check_names_every_missing_permission(box: Sandbox, actor: Actor, api: Client):
    account = connect(box, actor, "synerise")
    box.context.faults.set("synerise.missing_permissions", "API_TAGS_READ,API_BATCH_EVENTS_CREATE")
    seen = api.post(f"{BASE}/vendor-accounts/{account.pk}/check").json()
    assert seen["status"] == "needs attention"
    assert seen["error"] == "These permissions are missing: API_TAGS_READ."
    assert "Without API_BATCH_EVENTS_CREATE events cannot be sent." in seen["warnings"]
