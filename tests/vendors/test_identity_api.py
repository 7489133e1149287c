"""Identity by REST: filters, look-ups and removal, against the strict sandbox."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry, Company, User
from audsync_web.sandbox import acoustic as exchange
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.acoustic import AcousticConnector
from audsync_web.vendors.connectors.errors import NotYet
from audsync_web.vendors.models import AccountStatus, VendorAccount
from tests.api_world import BASE, bearer_client
from tests.sandbox_accounts import QUICK, connect

EMAIL = "person-1@example.invalid"
SHARED = "demo-cookie-shared"
# The one rule that nobody can keep beforehand: Exchange does not tell which names are registered.
UNREGISTERED = "identifier is not registered"
CLOSED = {"identifierName": "email", "publishFilter": True, "subscribeFilter": False}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box
        assert [found for found in box.context.ledger.violations() if UNREGISTERED not in found] == []


@pytest.fixture
def account(box: Sandbox, actor: Actor) -> VendorAccount:
    return connect(box, actor, "acoustic")


@pytest.fixture
def whole_account(box: Sandbox, actor: Actor) -> VendorAccount:
    """Connected with the key of the whole account."""
    found = connect(
        box, actor, "acoustic", name="account key", keyLevel="account", endpointId=str(exchange.DEMO_ENDPOINT)
    )
    found.credentials = {"authKey": exchange.DEMO_ACCOUNT_KEY}
    found.save()
    return found


@pytest.fixture
def api(manager: User, company: Company) -> Client:
    return bearer_client(manager, company)


def url(account: VendorAccount, rest: str) -> str:
    return f"{BASE}/vendor-accounts/{account.pk}/{rest}"


def send(api: Client, account: VendorAccount, rest: str, body: Any, method: str = "post", **more: Any) -> Any:
    return getattr(api, method)(url(account, rest), body, content_type="application/json", **more)


def removals(box: Sandbox) -> int:
    return sum(entry.method == "DELETE" for entry in box.context.ledger.entries("acoustic"))


# --- filters


def test_a_filter_is_added_read_changed_listed_and_removed(api: Client, account: VendorAccount) -> None:
    added = send(api, account, "identity-filters", CLOSED)
    assert added.status_code == 201
    assert added.json()["effect"] == "Hidden from every destination."
    assert api.get(url(account, "identity-filters/email")).json() == added.json()
    changed = send(api, account, "identity-filters", {**CLOSED, "publishFilter": False, "subscribeFilter": True}, "put")
    assert changed.status_code == 200
    assert changed.json()["endpointFilterId"] == added.json()["endpointFilterId"]
    listed = api.get(url(account, "identity-filters")).json()
    assert listed == {"results": [changed.json()], "next": None}
    assert api.delete(url(account, "identity-filters/email")).status_code == 204
    assert api.delete(url(account, "identity-filters/email")).status_code == 404
    assert api.get(url(account, "identity-filters/email")).status_code == 404


def test_a_filter_that_would_filter_nothing_is_refused_in_words_before_a_call(
    api: Client, account: VendorAccount, box: Sandbox
) -> None:
    answer = send(api, account, "identity-filters", {**CLOSED, "publishFilter": False})
    assert answer.status_code == 400
    assert "remove the filter instead" in answer.json()["error"]
    assert box.context.ledger.entries("acoustic") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "email",
        {"identifierName": "email"},
        {**CLOSED, "publishFilter": "true"},
        {**CLOSED, "identifierName": ""},
        [CLOSED, CLOSED],
        [CLOSED, {**CLOSED, "identifierName": "phone", "publishFilter": False}],
    ],
)
def test_a_body_with_a_fault_changes_nothing(body: Any, api: Client, account: VendorAccount, box: Sandbox) -> None:
    answer = send(api, account, "identity-filters", body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert box.context.ledger.entries("acoustic") == []


def test_adding_twice_is_a_conflict_and_changing_none_is_404(api: Client, account: VendorAccount) -> None:
    assert send(api, account, "identity-filters", CLOSED, "put").status_code == 404
    assert send(api, account, "identity-filters", CLOSED).status_code == 201
    assert send(api, account, "identity-filters", CLOSED).status_code == 409


def test_some_filters_go_in_one_call_and_a_refusal_tells_which_are_saved(
    api: Client, account: VendorAccount, box: Sandbox
) -> None:
    good = {**CLOSED, "identifierName": "phone"}
    assert [row["identifierName"] for row in send(api, account, "identity-filters", [CLOSED, good]).json()] == [
        "email",
        "phone",
    ]
    unknown = [{**CLOSED, "identifierName": "cookieid"}, {**CLOSED, "identifierName": "nobody-registered-it"}]
    answer = send(api, account, "identity-filters", unknown)
    assert answer.status_code == 400
    assert "Saved before it: cookieid." in answer.json()["error"]


def test_filters_are_paged_by_name(api: Client, account: VendorAccount) -> None:
    names = ["cookieid", "customer id", "email", "phone"]
    assert send(api, account, "identity-filters", [{**CLOSED, "identifierName": n} for n in names]).status_code == 201
    seen, address = [], url(account, "identity-filters?limit=3")
    while address:
        page = api.get(address).json()
        seen.append([row["identifierName"] for row in page["results"]])
        address = page["next"]
    assert seen == [names[:3], names[3:]]
    assert api.get(url(account, "identity-filters?cursor=%C3%A4")).status_code == 400
    assert api.get(url(account, "identity-filters/customer%20id")).json()["identifierName"] == "customer id"


# --- look-ups


def test_an_identifier_is_found_and_its_x1id_opened(api: Client, account: VendorAccount) -> None:
    found = send(api, account, "identities/search", {"name": "email", "value": EMAIL}).json()
    assert [one["x1Id"] for one in found["results"]] == ["x1-0001"]
    assert found["warning"] is None
    opened = send(api, account, "identities/by-x1id", {"x1Id": "x1-0001"}).json()
    assert {entry["name"] for entry in opened["identifiers"]} == {"email", "cookieid", "crm_no"}
    assert opened["warning"] is None


def test_an_identifier_on_several_x1ids_is_warned_of(api: Client, account: VendorAccount) -> None:
    found = send(api, account, "identities/search", {"name": "cookieid", "value": SHARED}).json()
    assert len(found["results"]) == 2
    assert "2 different people" in found["warning"]


def test_an_x1id_that_is_nearly_full_is_warned_of(api: Client, account: VendorAccount, box: Sandbox) -> None:
    many = [{"name": "cookieid", "value": f"cookie-{n:04}"} for n in range(1000)]
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-full", "identifiers": many})
    opened = send(api, account, "identities/by-x1id", {"x1Id": "x1-full"}).json()
    assert len(opened["identifiers"]) == 1000
    assert "1,000 of at most 1,000" in opened["warning"]


def test_what_nobody_has_is_an_empty_list_and_an_unknown_x1id_404(api: Client, account: VendorAccount) -> None:
    assert send(api, account, "identities/search", {"name": "email", "value": "no@one.example"}).json() == {
        "results": [],
        "next": None,
        "warning": None,
    }
    assert send(api, account, "identities/by-x1id", {"x1Id": "x1-none"}).status_code == 404


def test_an_account_key_looks_up_and_removes_but_reads_no_filter_and_no_x1id(
    api: Client, whole_account: VendorAccount
) -> None:
    pair = {"name": "email", "value": EMAIL}
    assert len(send(api, whole_account, "identities/search", pair).json()["results"]) == 1
    assert send(api, whole_account, "identities/remove", {**pair, "confirm": EMAIL}).json()["removed"] == 1
    for answer in (
        api.get(url(whole_account, "identity-filters")),
        send(api, whole_account, "identity-filters", CLOSED),
        send(api, whole_account, "identities/by-x1id", {"x1Id": "x1-0001"}),
    ):
        assert answer.status_code == 409
        assert "endpoint-level key" in answer.json()["error"]


# --- removal


def test_a_removal_needs_the_value_typed_again(api: Client, account: VendorAccount, box: Sandbox) -> None:
    for confirm in ("", "yes", EMAIL.upper(), f"{EMAIL} "):
        body = {"name": "email", "value": EMAIL, "confirm": confirm}
        answer = send(api, account, "identities/remove", body)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("confirm: ")
    assert send(api, account, "identities/remove", {"name": "email", "value": EMAIL}).status_code == 400
    assert box.context.ledger.entries("acoustic") == []


def test_a_removal_answers_the_vendors_count_and_what_is_left(api: Client, account: VendorAccount) -> None:
    body = {"name": "cookieid", "value": SHARED, "confirm": SHARED}
    answer = send(api, account, "identities/remove", body)
    assert answer.status_code == 200
    receipt = answer.json()
    assert (receipt["outcome"], receipt["found"], receipt["removed"], receipt["left"]) == ("removed", 2, 2, 0)
    again = send(api, account, "identities/remove", body).json()
    assert (again["outcome"], again["found"], again["removed"]) == ("nothing to remove", 0, 0)


def test_what_nobody_has_is_not_removed_by_a_call(api: Client, account: VendorAccount, box: Sandbox) -> None:
    body = {"name": "email", "value": "no@one.example", "confirm": "no@one.example"}
    assert send(api, account, "identities/remove", body).json()["outcome"] == "nothing to remove"
    assert removals(box) == 0


def test_a_removal_that_was_done_though_its_answer_was_lost_is_seen_by_looking(
    api: Client, account: VendorAccount, box: Sandbox
) -> None:
    box.context.faults.set("acoustic.drop_after_remove", "1x")
    receipt = send(api, account, "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL}).json()
    assert (receipt["outcome"], receipt["removed"], receipt["left"]) == ("gone", None, 0)
    assert removals(box) == 1


def test_a_removal_whose_answer_was_lost_is_never_sent_again_by_itself(
    api: Client, account: VendorAccount, box: Sandbox
) -> None:
    box.context.faults.set("acoustic.drop_before_remove", "1x")
    answer = send(api, account, "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL})
    assert answer.status_code == 502
    assert "Look the identifier up first" in answer.json()["error"]
    assert removals(box) == 1
    told = AuditEntry.objects.filter(action="identity.remove").get()
    assert told.detail["outcome"] == "not known"
    assert told.detail["left"] == 1


def test_the_count_stays_open_where_the_vendor_does_not_say_it(
    api: Client, account: VendorAccount, box: Sandbox
) -> None:
    box.context.faults.set("acoustic.silent_count", "1x")
    receipt = send(api, account, "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL}).json()
    assert (receipt["outcome"], receipt["removed"], receipt["left"]) == ("removed", None, 0)


@pytest.mark.parametrize("silent", ["", "silent_count"])
def test_what_is_still_there_afterwards_is_not_called_removed(
    api: Client, account: VendorAccount, box: Sandbox, silent: str
) -> None:
    box.context.faults.set("acoustic.keep_removed", "1x")
    if silent:
        box.context.faults.set(f"acoustic.{silent}", "1x")
    receipt = send(api, account, "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL}).json()
    assert (receipt["outcome"], receipt["left"]) == ("still there", 1)
    assert AuditEntry.objects.get(action="identity.remove").detail["outcome"] == "still there"


def test_a_vendor_that_asks_for_patience_after_it_has_removed_is_not_believed(
    api: Client, account: VendorAccount, box: Sandbox
) -> None:
    """503 with Retry-After says that nothing was done; with what cannot be undone nobody relies on that."""
    box.context.faults.set("acoustic.unavailable_after_remove", "1x")
    send(api, account, "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL})
    assert AuditEntry.objects.get(action="identity.remove").detail["outcome"] == "gone"
    assert removals(box) == 1


def test_a_removal_that_was_never_sent_is_not_called_unknown(
    api: Client, account: VendorAccount, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own pace, or nobody at the other end: no look is needed to know that nothing was done."""
    looks = []
    real = AcousticConnector.x1ids_of

    def look(self: AcousticConnector, name: str, value: str) -> Any:
        looks.append(name)
        return real(self, name, value)

    def later(self: AcousticConnector, name: str, value: str) -> int:
        raise NotYet("Another call is under way.", retry_after=1)

    monkeypatch.setattr(AcousticConnector, "x1ids_of", look)
    monkeypatch.setattr(AcousticConnector, "remove_identity", later)
    answer = send(api, account, "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL})
    assert (answer.status_code, len(looks)) == (503, 1)
    assert AuditEntry.objects.get(action="identity.remove").detail["outcome"] == "refused"


def test_a_filter_that_was_changed_unseen_is_in_the_trail(api: Client, account: VendorAccount, box: Sandbox) -> None:
    box.context.faults.set("acoustic.blind_after_filter", "99x")
    answer = send(api, account, "identity-filters", CLOSED)
    assert (answer.status_code, "Exchange took the change" in answer.json()["error"]) == (502, True)
    assert AuditEntry.objects.get(action="identity_filter.save").detail["outcome"] == "not known"


def test_the_same_idempotency_key_removes_once(api: Client, account: VendorAccount, box: Sandbox) -> None:
    body = {"name": "email", "value": EMAIL, "confirm": EMAIL}
    first = send(api, account, "identities/remove", body, headers={"Idempotency-Key": "r-1"})
    again = send(api, account, "identities/remove", body, headers={"Idempotency-Key": "r-1"})
    assert again.json() == first.json()
    assert removals(box) == 1


def test_intent_and_outcome_are_in_the_audit_trail_without_the_identifier(
    api: Client, account: VendorAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(api, account, "identities/search", {"name": "email", "value": EMAIL})
    send(api, account, "identities/by-x1id", {"x1Id": "x1-0001"})
    send(api, account, "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL})
    trail = list(AuditEntry.objects.filter(object_type="vendoraccount").exclude(action="vendor_account.connect"))
    assert [entry.action for entry in trail] == [
        "identity.remove",
        "identity.remove.begin",
        "identity.open",
        "identity.look_up",
    ]
    assert trail[0].detail["receipt"] == trail[1].pk
    assert trail[1].detail == {"identifier": "email", "value": "p•••@•••.invalid", "found": 1}
    told = f"{[(e.detail, e.object_name) for e in AuditEntry.objects.all()]} {caplog.text}"
    assert EMAIL not in told
    assert "x1-0001" not in told
    assert exchange.DEMO_CREDENTIALS["authKey"] not in told


# --- the vendor in trouble


@pytest.mark.parametrize(
    ("fault", "code"), [("key_rejected", 502), ("key_denied", 502), ("throttle", 503), ("server_error", 503)]
)
def test_a_vendor_in_trouble_is_told_in_one_line(
    fault: str, code: int, api: Client, account: VendorAccount, box: Sandbox
) -> None:
    box.context.faults.set(f"acoustic.{fault}", "9x")
    answer = send(api, account, "identities/search", {"name": "email", "value": EMAIL})
    assert answer.status_code == code
    assert list(answer.json()) == ["error"]
    assert EMAIL not in answer.json()["error"]
    assert ("Retry-After" in answer.headers) == (fault == "throttle")


def test_a_rejected_key_is_shown_on_the_account(api: Client, account: VendorAccount, box: Sandbox) -> None:
    box.context.faults.set("acoustic.key_rejected", "1x")
    api.get(url(account, "identity-filters"))
    account.refresh_from_db()
    assert account.status == AccountStatus.NEEDS_ATTENTION


def test_nothing_is_changed_while_the_account_is_paused(api: Client, account: VendorAccount, box: Sandbox) -> None:
    VendorAccount.objects.filter(pk=account.pk).update(status=AccountStatus.PAUSED)
    for answer in (
        send(api, account, "identity-filters", CLOSED),
        api.delete(url(account, "identity-filters/email")),
        send(api, account, "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL}),
    ):
        assert answer.status_code == 409
    assert box.context.ledger.entries("acoustic") == []


# --- who may


CALLS = [
    ("get", "identity-filters", None),
    ("post", "identity-filters", CLOSED),
    ("put", "identity-filters", CLOSED),
    ("get", "identity-filters/email", None),
    ("delete", "identity-filters/email", None),
    ("post", "identities/by-x1id", {"x1Id": "x1-0001"}),
    ("post", "identities/search", {"name": "email", "value": EMAIL}),
    ("post", "identities/remove", {"name": "email", "value": EMAIL, "confirm": EMAIL}),
]


@pytest.mark.parametrize(("method", "rest", "body"), CALLS)
def test_marketers_are_refused_strangers_see_nothing_and_another_vendor_has_none(
    method: str,
    rest: str,
    body: Any,
    account: VendorAccount,
    api: Client,
    marketer: User,
    company: Company,
    stranger: User,
    other_company: Company,
    actor: Actor,
    box: Sandbox,
) -> None:
    elsewhere = connect(box, actor, "anonymised")
    codes = [
        send(caller, where, rest, body, method).status_code
        for caller, where in (
            (bearer_client(marketer, company), account),
            (bearer_client(stranger, other_company), account),
            (api, elsewhere),
            (Client(), account),
        )
    ]
    assert codes == [403, 404, 404, 401]
    assert box.context.ledger.entries("acoustic") == []


def test_a_call_uses_the_pace_of_the_account(box: Sandbox, actor: Actor, api: Client) -> None:
    slow = connect(box, actor, "acoustic", name="slow", **{**QUICK, "requestsPerSecond": 1000})
    assert send(api, slow, "identities/search", {"name": "email", "value": EMAIL}).status_code == 200
