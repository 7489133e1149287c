"""Pages of profiles at Synerise: look-up, tags, erasing and receipts, against the strict sandbox."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry, User
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.masking import masked
from audsync_web.vendors.models import VendorAccount
from tests.conftest import LoggedIn
from tests.sandbox_accounts import connect

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def account(box: Sandbox, actor: Actor) -> VendorAccount:
    return connect(box, actor, "synerise", name="Loyalty workspace")


@pytest.fixture
def page(logged_in: LoggedIn, manager: User) -> Client:
    return logged_in(manager)


@pytest.fixture
def person(box: Sandbox) -> dict[str, str]:
    """The identifiers of somebody in the demo workspace who has a custom id and a tag."""
    vendor: Any = box.vendors["synerise"]
    for workspace in vendor._workspaces.values():
        for profile in workspace.profiles.values():
            if profile.named.get("customId") and profile.tags:
                return dict(profile.named)
    raise AssertionError("nobody in the demo workspace fits")


def url(account: VendorAccount, rest: str = "profile") -> str:
    return f"/identity/{account.pk}/{rest}"


def text(answer: Any) -> str:
    return str(answer.content.decode())


def erasures(box: Sandbox) -> int:
    return sum(entry.method == "DELETE" for entry in box.context.ledger.entries("synerise"))


def look(page: Client, account: VendorAccount, value: str, kind: str = "custom_id", **more: str) -> Any:
    return page.post(url(account), {"kind": kind, "value": value, **more}, headers=FRAGMENT)


def erase(page: Client, account: VendorAccount, custom_id: str, confirm: str | None = None) -> Any:
    fields = {"custom_id": custom_id, "confirm": custom_id if confirm is None else confirm}
    return page.post(url(account, "profile/erase"), fields, headers=FRAGMENT)


def test_a_profile_is_found_by_identifier_with_its_tags_and_masked_values(
    account: VendorAccount, page: Client, person: dict[str, str]
) -> None:
    answer = look(page, account, person["customId"])
    assert answer.status_code == 200
    assert answer.context["found"].tags
    assert masked(person["customId"]) in text(answer)
    assert person["email"] not in text(answer)
    assert person["email"] in text(look(page, account, person["customId"], shown="1"))
    assert look(page, account, person["email"], "email").context["found"].custom_id == person["customId"]


def test_nobody_is_an_answer(account: VendorAccount, page: Client) -> None:
    answer = look(page, account, "nobody-has-this")
    assert "No such profile" in text(answer)
    assert "erase" not in answer.context


@pytest.mark.parametrize("given", [{}, {"kind": "xandr_id", "value": "7"}, {"kind": "email", "value": ""}])
def test_what_cannot_be_looked_up_is_refused_without_a_call(
    given: dict[str, str], account: VendorAccount, page: Client, box: Sandbox
) -> None:
    assert page.post(url(account), given, headers=FRAGMENT).status_code == 422
    assert box.context.ledger.entries("synerise") == []


def test_a_profile_is_erased_once_its_custom_id_is_typed_again(
    account: VendorAccount, page: Client, person: dict[str, str], box: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refused = erase(page, account, person["customId"], "yes")
    assert refused.status_code == 422
    assert "letter for letter. Nothing was removed." in text(refused)
    assert erasures(box) == 0
    done = erase(page, account, person["customId"])
    receipt = page.get(done.headers["HX-Redirect"])
    found = receipt.context["receipt"]
    assert (found.outcome, found.found, found.changed, found.left) == ("removed", 1, 1, 0)
    assert person["customId"] not in text(receipt) + caplog.text + done.headers["HX-Redirect"]
    assert person["customId"] not in str([entry.detail for entry in AuditEntry.objects.all()])
    assert look(page, account, person["customId"]).context["found"].profile is None
    listed = text(page.get(url(account, "removals")))
    assert f"No. {found.number}" in listed
    for shown in (text(receipt), listed):
        assert f"Custom id <code>{masked(person['customId'])}</code>" in shown


def test_erasing_who_is_not_there_sends_nothing(account: VendorAccount, page: Client, box: Sandbox) -> None:
    receipt = page.get(erase(page, account, "nobody-has-this").headers["HX-Redirect"]).context["receipt"]
    assert receipt.outcome == "nothing to remove"
    assert erasures(box) == 0


def test_a_lost_answer_is_looked_into_and_never_sent_again(
    account: VendorAccount, page: Client, person: dict[str, str], box: Sandbox
) -> None:
    box.context.faults.set("synerise.drop_after_erase", "1x")
    receipt = page.get(erase(page, account, person["customId"]).headers["HX-Redirect"]).context["receipt"]
    assert (receipt.outcome, receipt.left) == ("gone", 0)
    assert erasures(box) == 1


def test_a_lost_answer_of_an_erasure_that_was_not_done_says_look_first(
    account: VendorAccount, page: Client, person: dict[str, str], box: Sandbox
) -> None:
    box.context.faults.set("synerise.drop_before_erase", "1x")
    answer = page.get(erase(page, account, person["customId"]).headers["HX-Redirect"])
    assert answer.context["receipt"].outcome == "not known"
    assert "Look it up first" in text(answer)
    assert erasures(box) == 1


@pytest.mark.parametrize(("method", "rest"), [("get", "profile"), ("post", "profile"), ("post", "profile/erase")])
def test_managers_and_admins_alone_open_profiles(
    method: str,
    rest: str,
    account: VendorAccount,
    logged_in: LoggedIn,
    marketer: User,
    stranger: User,
    client: Client,
    box: Sandbox,
) -> None:
    codes = [getattr(one, method)(url(account, rest)).status_code for one in (logged_in(marketer), logged_in(stranger))]
    assert codes == [403, 404]
    assert getattr(client, method)(url(account, rest)).headers["Location"].startswith("/login")
    assert box.context.ledger.entries("synerise") == []


def test_the_navigation_leads_to_profiles_where_nothing_governs_identifiers(
    account: VendorAccount, page: Client
) -> None:
    assert page.get("/identity").headers["Location"] == url(account)
    assert page.get(url(account, "look-up")).status_code == 404
