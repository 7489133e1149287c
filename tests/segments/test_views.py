"""The page of one segment: who may what, creating at vendors, what is live and what stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.people.actors import Actor
from audsync_web.people.models import User
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import AccountStatus, VendorAccount
from segments.models import Destination, DestinationStatus, Segment
from tests.conftest import LoggedIn
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect

from .kit import HTMX, run, stop, url_of

MANAGERS_PAGES = ["publish", "rename", "destinations/new"]
ACTIONS = ["publish", "rename", "archive", "restore", "destinations/new"]
LIVE_FRAGMENT_QUERIES = 3  # the session, the person with their companies, the destinations with all about them


# --- who may


def test_everybody_in_the_company_sees_a_segment_and_only_managers_change_it(
    segment: Segment, destination: Destination, logged_in: LoggedIn, manager: User, marketer: User
) -> None:
    of_destination = f"destinations/{destination.pk}"
    for part in ("", "live"):
        assert logged_in(marketer).get(url_of(segment, part)).status_code == 200
    for part in (*MANAGERS_PAGES, f"{of_destination}/remove"):
        assert logged_in(manager).get(url_of(segment, part)).status_code == 200
        assert logged_in(marketer).get(url_of(segment, part)).status_code == 403
    # A vendor that takes whole lists needs no new version.
    assert logged_in(manager).get(url_of(segment, f"{of_destination}/renew")).status_code == 404
    assert logged_in(marketer).post(url_of(segment, f"{of_destination}/renew")).status_code == 403
    assert logged_in(marketer).post(url_of(segment, f"{of_destination}/delete-left")).status_code == 403
    for part in (*ACTIONS, f"{of_destination}/remove", f"{of_destination}/retry"):
        assert logged_in(marketer).post(url_of(segment, part)).status_code == 403
    assert logged_in(marketer).get("/segments/new").status_code == 403


def test_a_segment_of_another_company_does_not_exist(
    segment: Segment, destination: Destination, logged_in: LoggedIn, stranger: User
) -> None:
    theirs = logged_in(stranger)
    of_destination = f"destinations/{destination.pk}"
    for part in ("", "live", *MANAGERS_PAGES, f"{of_destination}/remove"):
        assert theirs.get(url_of(segment, part)).status_code == 404
    for part in (*ACTIONS, f"{of_destination}/remove", f"{of_destination}/retry"):
        assert theirs.post(url_of(segment, part), {"name": "x", "release": "leave"}).status_code == 404
    segment.refresh_from_db()
    assert (segment.name, segment.archived_at) == ("Lapsed buyers", None)


def test_who_is_not_logged_in_is_led_to_the_login_and_a_poll_ends(segment: Segment, client: Client) -> None:
    for url in ("/segments/new", url_of(segment), url_of(segment, "publish")):
        assert client.get(url).headers["Location"].startswith("/login")
    assert client.get(url_of(segment, "live")).status_code == 403


def test_a_marketer_is_offered_the_upload_and_nothing_that_is_refused(
    segment: Segment, logged_in: LoggedIn, marketer: User
) -> None:
    run()
    page = logged_in(marketer).get(url_of(segment)).content.decode()
    assert f"/uploads/new?segment={segment.pk}" in page
    for refused in ("publish", "rename", "archive", "destinations/new"):
        assert url_of(segment, refused) not in page


# --- create


def ticked(*accounts: VendorAccount, **more: str) -> dict[str, str]:
    typed = {"name": "Lapsed buyers", "duration_days": "90", "type": "core"}
    for account in accounts:
        typed |= {f"account-{account.pk}-use": "on", f"account-{account.pk}-identifier": account.settings["identifier"]}
    return typed | more


def test_a_segment_is_created_at_the_accounts_that_are_ticked(
    account: VendorAccount, box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    connect(box, actor, "mediarithmics")
    answer = logged_in(manager).post("/segments/new", ticked(account))
    segment = Segment.objects.get()
    assert answer.headers["Location"] == url_of(segment)
    assert (segment.duration_days, segment.created_by) == (90, manager)
    assert [row.vendor_account for row in segment.destinations.all()] == [account]
    run()
    assert segment.destinations.get().remote_id


def test_an_account_without_members_is_not_offered(
    account: VendorAccount, box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    connect(box, actor, "acoustic", keyLevel="endpoint")
    offered = logged_in(manager).get("/segments/new").context["forms"].destinations
    assert [form.account for form in offered] == [account]


def test_a_company_without_an_account_is_led_to_connect_one(logged_in: LoggedIn, manager: User) -> None:
    assert 'href="/vendor-accounts/new"' in logged_in(manager).get("/segments/new").content.decode()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"name": " "}, "name"), ({"duration_days": "0"}, "duration_days"), ({"duration_days": "long"}, "duration_days")],
)
def test_a_refused_segment_tells_the_fault_at_its_field_and_keeps_what_was_typed(
    wrong: dict[str, str], told: str, account: VendorAccount, logged_in: LoggedIn, manager: User
) -> None:
    answer = logged_in(manager).post("/segments/new", ticked(account, **wrong), headers=HTMX)
    assert answer.status_code == 422
    assert told in answer.context["forms"].segment.errors
    assert "<html" not in answer.content.decode()
    assert answer.context["forms"].destinations[0].is_used
    assert not Segment.objects.exists()


def test_a_segment_that_goes_nowhere_is_refused(account: VendorAccount, logged_in: LoggedIn, manager: User) -> None:
    answer = logged_in(manager).post("/segments/new", ticked())
    assert answer.status_code == 422
    assert "at least one vendor account" in answer.content.decode()


def test_options_are_read_as_the_connector_declares_them(
    box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    synerise = connect(box, actor, "synerise")
    client, key = logged_in(manager), f"account-{synerise.pk}-option_version"
    wrong = client.post("/segments/new", ticked(synerise, **{key: "0"}))
    assert wrong.status_code == 422
    assert "option_version" in wrong.context["forms"].destinations[0].errors
    assert client.post("/segments/new", ticked(synerise, **{key: "2"})).status_code == 302
    assert Destination.objects.get().options == {"version": 2}


def test_an_existing_segment_is_linked_and_its_members_are_said_to_be_unknown(
    box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    xandr = connect(box, actor, "xandr")
    client = logged_in(manager)
    client.post("/segments/new", ticked(xandr))
    run()
    first = Destination.objects.get()
    remote_id = first.remote_id
    Destination.objects.filter(pk=first.pk).update(status=DestinationStatus.RELEASED)
    client.post("/segments/new", ticked(xandr, **{f"account-{xandr.pk}-remote_id": remote_id, "name": "Linked"}))
    run()
    linked = Segment.objects.get(name="Linked")
    assert linked.destinations.get().remote_id == remote_id
    page = client.get(url_of(linked)).content.decode()
    assert "Who is in it is not known" in page
    assert "Upload with “add”" in page


def test_an_account_that_cannot_link_offers_no_id(account: VendorAccount, logged_in: LoggedIn, manager: User) -> None:
    [form] = logged_in(manager).get("/segments/new").context["forms"].destinations
    assert "remote_id" not in form.fields


# --- live


def test_the_page_asks_again_until_every_vendor_has_made_the_segment(
    segment: Segment, logged_in: LoggedIn, marketer: User, django_assert_num_queries: Any
) -> None:
    client, url = logged_in(marketer), url_of(segment, "live")
    with django_assert_num_queries(LIVE_FRAGMENT_QUERIES):
        creating = client.get(url).content.decode()
    assert 'hx-trigger="every 2s, ' in creating
    assert "Creating" in creating
    run()
    made = client.get(url)
    assert "every 2s" not in made.content.decode()
    assert Destination.objects.get().remote_id in made.content.decode()


def test_looking_writes_nothing(segment: Segment, logged_in: LoggedIn, marketer: User) -> None:
    before = list(Destination.objects.values()), list(Segment.objects.values())
    logged_in(marketer).get(url_of(segment, "live"))
    assert (list(Destination.objects.values()), list(Segment.objects.values())) == before


def test_a_segment_at_many_vendors_costs_the_same_queries(
    segment: Segment, box: Sandbox, actor: Actor, logged_in: LoggedIn, marketer: User, django_assert_num_queries: Any
) -> None:
    client = logged_in(marketer)
    for vendor in ("mediarithmics", "synerise", "xandr"):
        account = connect(box, actor, vendor)
        Destination.objects.create(segment=segment, vendor_account=account, identifier=account.settings["identifier"])
    with django_assert_num_queries(LIVE_FRAGMENT_QUERIES):
        client.get(url_of(segment, "live"))


def test_a_stopped_destination_says_why_and_what_to_do_and_is_tried_again(
    segment: Segment, destination: Destination, logged_in: LoggedIn, manager: User
) -> None:
    stop(destination)
    client = logged_in(manager)
    page = client.get(url_of(segment)).content.decode()
    assert "It went wrong." in page
    assert "Do this about it." in page
    answer = client.post(url_of(segment, f"destinations/{destination.pk}/retry"))
    assert answer.headers["Location"] == url_of(segment)
    destination.refresh_from_db()
    assert destination.status == DestinationStatus.CREATING
    run()
    destination.refresh_from_db()
    assert destination.status == DestinationStatus.CREATED


def test_what_has_not_stopped_is_not_tried_again(
    segment: Segment, destination: Destination, logged_in: LoggedIn, manager: User
) -> None:
    client = logged_in(manager)
    answer = client.post(url_of(segment, f"destinations/{destination.pk}/retry"), follow=True)
    assert "This destination has not stopped." in answer.content.decode()


def test_a_lost_create_warns_of_a_stray_segment_before_it_is_repeated(
    segment: Segment, destination: Destination, box: Sandbox, logged_in: LoggedIn, manager: User
) -> None:
    box.context.faults.set("anonymised.drop_after_create", "1x")
    run_until_quiet(kinds=("segments.destination",), wait=3.0)
    destination.refresh_from_db()
    assert destination.status == DestinationStatus.NEEDS_ATTENTION
    page = logged_in(manager).get(url_of(segment)).content.decode()
    assert "A stray segment may be left at the vendor" in page
    assert "data-confirm=" in page
    assert destination.error_text[:20] in page
    logged_in(manager).post(url_of(segment, f"destinations/{destination.pk}/retry"))
    run()
    destination.refresh_from_db()
    assert (destination.status, destination.create_attempt) == (DestinationStatus.CREATED, 2)


def test_a_destination_of_a_paused_account_says_what_it_waits_for(
    segment: Segment, account: VendorAccount, logged_in: LoggedIn, marketer: User
) -> None:
    VendorAccount.objects.filter(pk=account.pk).update(status=AccountStatus.PAUSED)
    page = logged_in(marketer).get(url_of(segment, "live")).content.decode()
    assert f"Waits: {account.name} is paused." in page
    assert "every 2s" not in page


def test_members_and_the_day_they_end_come_from_what_the_vendor_acknowledged(
    segment: Segment, destination: Destination, logged_in: LoggedIn, marketer: User
) -> None:
    run()
    now, ends = timezone.now(), timezone.now().date() + timedelta(days=9)
    for members, superseded in ((100, now), (984_581, None)):
        destination.snapshots.create(members=members, first_ends_on=ends, superseded_at=superseded)
    answer = logged_in(marketer).get(url_of(segment))
    page = answer.content.decode()
    assert answer.context["size"] == 984_581
    assert "984\u202f581" in page
    assert f"{ends:%b %Y}" in page
    assert [row[1] for row in answer.context["plot_rows"]] == [100, 984_581]
