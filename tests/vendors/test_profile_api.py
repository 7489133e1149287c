"""Profiles by REST: look-up with tags, and erasing by custom id, against the strict sandbox."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry, Company, User
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import AccountStatus, VendorAccount
from tests.api_world import BASE, bearer_client
from tests.sandbox_accounts import connect
from tests.uploads.kit import make_segment

CUSTOM_ID = "demo-crm-000007"
EMAIL = "person-7@example.invalid"
TAG = "loyal-buyers"


@pytest.fixture
def account(box: Sandbox, actor: Actor) -> VendorAccount:
    return connect(box, actor, "synerise", name="Loyalty workspace")


@pytest.fixture
def api(manager: User, company: Company) -> Client:
    return bearer_client(manager, company)


def send(api: Client, account: VendorAccount, rest: str, body: Any, **more: Any) -> Any:
    url = f"{BASE}/vendor-accounts/{account.pk}/profiles/{rest}"
    return api.post(url, body, content_type="application/json", **more)


def erasures(box: Sandbox) -> int:
    return sum(entry.method == "DELETE" for entry in box.context.ledger.entries("synerise"))


def test_a_profile_is_found_by_any_of_its_identifiers_with_its_tags(api: Client, account: VendorAccount) -> None:
    for kind, value in (("custom_id", CUSTOM_ID), ("email", EMAIL)):
        answer = send(api, account, "search", {"kind": kind, "value": value})
        assert answer.status_code == 200
        found = answer.json()["results"]
        assert [one["identifiers"] for one in found] == [{"custom_id": CUSTOM_ID, "email": EMAIL}]
        assert found[0]["tags"] == [{"name": TAG, "segmentId": None}]
        assert answer.json()["next"] is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [("email", " Person-7@Example.invalid "), ("custom_id", f" {CUSTOM_ID}"), ("phone", "22 123 45 67")],
)
def test_a_person_is_looked_up_in_the_form_in_which_members_are_sent(
    box: Sandbox, actor: Actor, api: Client, kind: str, value: str
) -> None:
    account = connect(box, actor, "synerise", phoneRegion="pl")
    box.vendors["synerise"].control("profiles", {"profiles": [{"phone": "+48221234567"}]})
    assert len(send(api, account, "search", {"kind": kind, "value": value}).json()["results"]) == 1


@pytest.mark.parametrize(("kind", "value"), [("email", "not an e-mail"), ("uuid", "1"), ("phone", "call me")])
def test_what_no_member_could_be_called_is_refused_before_the_vendor_is_asked(
    api: Client, account: VendorAccount, box: Sandbox, kind: str, value: str
) -> None:
    answer = send(api, account, "search", {"kind": kind, "value": value})
    assert (answer.status_code, "is not" in answer.json()["error"]) == (400, True)
    assert box.context.ledger.entries("synerise") == []


def test_a_tag_that_is_a_segments_names_the_segment(api: Client, account: VendorAccount, company: Company) -> None:
    segment = make_segment(company)
    account.destinations.create(segment=segment, identifier="custom_id", remote_id=TAG)
    found = send(api, account, "search", {"kind": "custom_id", "value": CUSTOM_ID}).json()["results"]
    assert found[0]["tags"] == [{"name": TAG, "segmentId": segment.pk}]


def test_nobody_is_an_empty_list(api: Client, account: VendorAccount) -> None:
    answer = send(api, account, "search", {"kind": "email", "value": "no@one.example"})
    assert (answer.status_code, answer.json()) == (200, {"results": [], "next": None})


@pytest.mark.parametrize(
    "body",
    [{}, [], {"kind": "custom_id"}, {"kind": "idfa", "value": "x"}, {"kind": "custom_id", "value": "x" * 501}],
)
def test_a_look_up_with_a_fault_asks_the_vendor_nothing(
    body: Any, api: Client, account: VendorAccount, box: Sandbox
) -> None:
    answer = send(api, account, "search", body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert box.context.ledger.entries("synerise") == []


def test_erasing_needs_the_custom_id_typed_again(api: Client, account: VendorAccount, box: Sandbox) -> None:
    for confirm in ("", "yes", CUSTOM_ID.upper(), f"{CUSTOM_ID} "):
        answer = send(api, account, "erase", {"customId": CUSTOM_ID, "confirm": confirm})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("confirm: ")
    assert send(api, account, "erase", {"customId": CUSTOM_ID}).status_code == 400
    assert box.context.ledger.entries("synerise") == []


def test_erasing_answers_with_the_receipt_that_the_page_shows(
    api: Client, account: VendorAccount, box: Sandbox, manager: User, logged_in: Any
) -> None:
    receipt = send(api, account, "erase", {"customId": CUSTOM_ID, "confirm": CUSTOM_ID}).json()
    assert (receipt["name"], receipt["outcome"]) == ("custom_id", "removed")
    assert (receipt["found"], receipt["removed"], receipt["left"]) == (1, 1, 0)
    assert erasures(box) == 1
    assert send(api, account, "search", {"kind": "custom_id", "value": CUSTOM_ID}).json()["results"] == []
    shown = logged_in(manager).get(f"/identity/{account.pk}/removals/{receipt['receipt']}")
    assert shown.status_code == 200
    assert CUSTOM_ID not in shown.content.decode()


def test_who_is_not_there_is_not_erased_by_a_call(api: Client, account: VendorAccount, box: Sandbox) -> None:
    answer = send(api, account, "erase", {"customId": "nobody-here", "confirm": "nobody-here"})
    assert answer.json()["outcome"] == "nothing to remove"
    assert erasures(box) == 0


def test_an_erasing_whose_answer_was_lost_is_never_sent_again_by_itself(
    api: Client, account: VendorAccount, box: Sandbox
) -> None:
    box.context.faults.set("synerise.drop_before_erase", "1x")
    answer = send(api, account, "erase", {"customId": CUSTOM_ID, "confirm": CUSTOM_ID})
    assert answer.status_code == 502
    assert list(answer.json()) == ["error"]
    assert erasures(box) <= 1
    assert AuditEntry.objects.get(action="profile.erase").detail["outcome"] == "not known"
    box.context.faults.set("synerise.drop_after_erase", "1x")
    gone = send(api, account, "erase", {"customId": CUSTOM_ID, "confirm": CUSTOM_ID}).json()
    assert (gone["outcome"], gone["removed"], gone["left"]) == ("gone", None, 0)


def test_the_same_idempotency_key_erases_once(api: Client, account: VendorAccount, box: Sandbox) -> None:
    body = {"customId": CUSTOM_ID, "confirm": CUSTOM_ID}
    first = send(api, account, "erase", body, headers={"Idempotency-Key": "e-1"})
    again = send(api, account, "erase", body, headers={"Idempotency-Key": "e-1"})
    assert again.json() == first.json()
    assert first.json()["outcome"] == "removed"
    assert erasures(box) == 1


def test_a_paused_account_is_searched_and_erases_nobody(api: Client, account: VendorAccount, box: Sandbox) -> None:
    account.status = AccountStatus.PAUSED
    account.save()
    assert send(api, account, "search", {"kind": "custom_id", "value": CUSTOM_ID}).status_code == 200
    answer = send(api, account, "erase", {"customId": CUSTOM_ID, "confirm": CUSTOM_ID})
    assert answer.status_code == 409
    assert erasures(box) == 0


def test_an_account_without_profiles_is_404(api: Client, box: Sandbox, actor: Actor) -> None:
    exchange = connect(box, actor, "acoustic")
    assert send(api, exchange, "search", {"kind": "email", "value": EMAIL}).status_code == 404
    assert send(api, exchange, "erase", {"customId": CUSTOM_ID, "confirm": CUSTOM_ID}).status_code == 404


def test_intent_and_outcome_are_in_the_audit_trail_without_the_identifier(
    api: Client, account: VendorAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(api, account, "search", {"kind": "email", "value": EMAIL})
    send(api, account, "erase", {"customId": CUSTOM_ID, "confirm": CUSTOM_ID})
    trail = list(AuditEntry.objects.filter(object_type="vendoraccount").exclude(action="vendor_account.connect"))
    assert [entry.action for entry in trail] == ["profile.erase", "profile.erase.begin", "profile.look_up"]
    assert {entry.via for entry in trail} == {"api"}
    assert trail[0].detail["receipt"] == trail[1].pk
    told = f"{[(entry.detail, entry.object_name) for entry in AuditEntry.objects.all()]} {caplog.text}"
    assert EMAIL not in told
    assert CUSTOM_ID not in told


@pytest.mark.parametrize(("fault", "code"), [("throttle", 503), ("server_error", 503)])
def test_a_vendor_in_trouble_is_told_in_one_line(
    fault: str, code: int, api: Client, account: VendorAccount, box: Sandbox
) -> None:
    box.context.faults.set(f"synerise.{fault}", "9x")
    answer = send(api, account, "search", {"kind": "email", "value": EMAIL})
    assert answer.status_code == code
    assert list(answer.json()) == ["error"]
    assert EMAIL not in answer.json()["error"]
