"""The list of vendor accounts, the limits in use, and the vendor's own history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audsync_web.jobs.models import Quota
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company, User
from audsync_web.vendors.models import AccountStatus, VendorAccount
from segments.models import Destination
from segments.services import DestinationWish, segment_create, segment_publish
from tests.api_world import csv_of
from tests.api_world import upload as send
from tests.conftest import LoggedIn
from tests.factories import make_vendor_account
from tests.jobs_helper import run_until_quiet

LIVE_FRAGMENT_QUERIES = 3  # the session, the person with their companies, the accounts with all about them


def names(answer: Any) -> list[str]:
    return [row.account.name for row in answer.context["rows"]]


@pytest.fixture
def several(company: Company, other_company: Company) -> None:
    make_vendor_account(company, "anonymised", name="beta", checked_at=timezone.now())
    make_vendor_account(company, "xandr", name="Alpha", status=AccountStatus.NEEDS_ATTENTION)
    make_vendor_account(company, "xandr", name="gamma", status=AccountStatus.DISCONNECTED)
    make_vendor_account(other_company, "xandr", name="theirs")


@pytest.mark.usefixtures("several")
def test_the_list_holds_the_companys_connected_accounts_by_name(logged_in: LoggedIn, marketer: User) -> None:
    client = logged_in(marketer)
    assert names(client.get("/vendor-accounts")) == ["Alpha", "beta"]
    assert names(client.get("/vendor-accounts", {"sort": "-name"})) == ["beta", "Alpha"]


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"vendor": "xandr"}, ["Alpha"]),
        ({"status": "needs_attention"}, ["Alpha"]),
        ({"q": "BET"}, ["beta"]),
        ({"q": "nothing"}, []),
        ({"status": "nonsense", "sort": "upwards", "vendor": "nobody"}, ["Alpha", "beta"]),
    ],
)
def test_the_list_is_filtered_by_its_url(
    query: dict[str, str], found: list[str], logged_in: LoggedIn, marketer: User
) -> None:
    assert names(logged_in(marketer).get("/vendor-accounts", query)) == found


@pytest.mark.usefixtures("several")
def test_the_export_holds_what_the_filter_shows(logged_in: LoggedIn, marketer: User) -> None:
    answer: Any = logged_in(marketer).get("/vendor-accounts/export", {"vendor": "xandr"})
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert len(lines) == 2
    assert "Alpha" in lines[1]
    assert "Needs attention" in lines[1]


def test_an_empty_company_is_led_to_its_first_account(logged_in: LoggedIn, manager: User, marketer: User) -> None:
    assert 'href="/vendor-accounts/new"' in logged_in(manager).get("/vendor-accounts").content.decode()
    assert 'href="/vendor-accounts/new"' not in logged_in(marketer).get("/vendor-accounts").content.decode()


def test_pages_of_the_list_go_on_where_the_last_one_ended(
    company: Company, logged_in: LoggedIn, marketer: User
) -> None:
    for number in range(55):
        make_vendor_account(company, name=f"account {number:02}")
    client = logged_in(marketer)
    first = client.get("/vendor-accounts")
    assert len(names(first)) == 50
    second = client.get(first.context["older_url"])
    assert names(second) == [f"account {number}" for number in range(50, 55)]
    assert names(client.get(second.context["newer_url"])) == names(first)
    assert client.get("/vendor-accounts", {"cursor": "nonsense"}).status_code == 404


def test_the_list_costs_the_same_for_one_account_and_for_many(
    company: Company, logged_in: LoggedIn, marketer: User, django_assert_num_queries: Any
) -> None:
    client = logged_in(marketer)
    make_vendor_account(company)
    for _ in range(2):
        with django_assert_num_queries(LIVE_FRAGMENT_QUERIES):
            client.get("/vendor-accounts/live")
        for _ in range(20):
            make_vendor_account(company)


def test_the_list_asks_again_only_while_something_moves(company: Company, logged_in: LoggedIn, marketer: User) -> None:
    account = make_vendor_account(company, next_action_at=timezone.now())
    client = logged_in(marketer)
    assert "hx-trigger" in client.get("/vendor-accounts/live").content.decode()
    VendorAccount.objects.filter(pk=account.pk).update(checked_at=timezone.now())
    assert 'hx-trigger="every' not in client.get("/vendor-accounts/live").content.decode()


def test_health_asks_again_only_while_a_check_runs(
    company: Company, logged_in: LoggedIn, marketer: User, django_assert_num_queries: Any
) -> None:
    account = make_vendor_account(company, next_action_at=timezone.now())
    client, url = logged_in(marketer), f"/vendor-accounts/{account.pk}/health"
    with django_assert_num_queries(LIVE_FRAGMENT_QUERIES):
        assert "hx-trigger" in client.get(url).content.decode()
    VendorAccount.objects.filter(pk=account.pk).update(checked_at=timezone.now())
    assert "hx-trigger" not in client.get(url).content.decode()


def test_limits_in_use_are_told_with_their_reason_and_end_and_not_those_of_a_longer_scope(
    account: VendorAccount, logged_in: LoggedIn, marketer: User
) -> None:
    soon, scope = timezone.now() + timedelta(minutes=5), account.quota_scope
    Quota.objects.create(key=scope, paused_until=soon, pause_reason="Anonymised asks us to slow down.")
    Quota.objects.create(key=f"{scope}:segment:24518", holder="delivery:1", held_until=soon)
    Quota.objects.create(key=f"{scope}2:segment:9", paused_until=soon, pause_reason="Somebody else's pause.")
    Quota.objects.create(key=f"{scope}:login", paused_until=timezone.now() - timedelta(minutes=5), pause_reason="Over.")
    for place in ("aside:0", "call:4"):
        Quota.objects.create(key=f"{scope}:{place}", holder="host:1:ab", held_until=soon)
    answer = logged_in(marketer).get(f"/vendor-accounts/{account.pk}")
    page = answer.content.decode()
    assert "Anonymised asks us to slow down." in page
    assert "Uploads to segment 24518" in page
    assert "Somebody else" not in page
    assert "Over." not in page
    assert [use.what for use in answer.context["quotas"]] == ["Requests", "Uploads to segment 24518"]
    assert "Anonymised asks us to slow down." in logged_in(marketer).get("/vendor-accounts").content.decode()


def test_deliveries_under_way_are_counted(
    account: VendorAccount, actor: Actor, api: Any, logged_in: LoggedIn, marketer: User
) -> None:
    segment = segment_create(actor=actor, name="Lapsed", destinations=[DestinationWish(account)])
    run_until_quiet(kinds=("segments.destination",))
    send(api, segment, csv_of("a1", "a2"))
    run_until_quiet(kinds=("uploads.inspection",))
    assert logged_in(marketer).get("/vendor-accounts").context["rows"][0].jobs == 1
    run_until_quiet(wait=2.0)
    assert logged_in(marketer).get("/vendor-accounts").context["rows"][0].jobs == 0


# --- the vendor's own history


def delivered(account: VendorAccount, actor: Actor, api: Any) -> Destination:
    segment = segment_create(actor=actor, name="Lapsed", destinations=[DestinationWish(account)])
    run_until_quiet(kinds=("segments.destination",))
    segment_publish(actor=actor, segment=segment)
    send(api, segment, csv_of("a1", "a2"))
    run_until_quiet(wait=2.0)
    found: Destination = segment.destinations.get()
    return found


def test_the_vendors_list_stands_beside_our_own_deliveries(
    account: VendorAccount, actor: Actor, api: Any, logged_in: LoggedIn, marketer: User
) -> None:
    destination = delivered(account, actor, api)
    answer = logged_in(marketer).get(f"/vendor-accounts/{account.pk}/history", headers={"HX-Request": "true"})
    [line] = answer.context["history"].lines
    assert line.ours["delivery"] == destination.deliveries.get().pk
    assert f"/uploads/{line.ours['upload']}" in answer.content.decode()
    assert "<html" not in answer.content.decode()


def test_a_vendor_that_does_not_answer_is_told_instead_of_its_history(
    account: VendorAccount, actor: Actor, api: Any, logged_in: LoggedIn, marketer: User
) -> None:
    delivered(account, actor, api)
    VendorAccount.objects.filter(pk=account.pk).update(base_url="http://127.0.0.1:9/api")
    answer = logged_in(marketer).get(f"/vendor-accounts/{account.pk}/history")
    assert answer.status_code == 200
    assert answer.context["history"].error is not None
    assert answer.context["history"].error.text in answer.content.decode()


def test_a_key_that_the_vendor_rejects_there_is_shown_on_the_account(
    account: VendorAccount, actor: Actor, api: Any, logged_in: LoggedIn, marketer: User
) -> None:
    delivered(account, actor, api)
    account.credentials = {**account.credentials, "password": "a changed one"}
    account.save()
    answer = logged_in(marketer).get(f"/vendor-accounts/{account.pk}/history")
    assert answer.context["history"].error is not None
    account.refresh_from_db()
    assert (account.status, account.next_step != "") == (AccountStatus.NEEDS_ATTENTION, True)


def test_a_destination_of_another_account_is_not_asked_about(
    account: VendorAccount, logged_in: LoggedIn, marketer: User
) -> None:
    url = f"/vendor-accounts/{account.pk}/history"
    for query in ({"destination": "999999"}, {"destination": "x", "page": "-3"}, {"page": "9" * 30}):
        assert logged_in(marketer).get(url, query).status_code == 200
