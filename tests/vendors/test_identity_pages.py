"""Pages of identity at Acoustic Exchange: look-up, filters, removal and receipts, against the strict sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry, User
from audsync_web.sandbox import acoustic as exchange
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.masking import masked
from audsync_web.vendors.models import AccountStatus, VendorAccount
from tests.conftest import LoggedIn
from tests.sandbox_accounts import connect

EMAIL = "person-1@example.invalid"
SHARED = "demo-cookie-shared"
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def account(box: Sandbox, actor: Actor) -> VendorAccount:
    return connect(box, actor, "acoustic", name="Exchange")


@pytest.fixture
def page(logged_in: LoggedIn, manager: User) -> Client:
    return logged_in(manager)


def url(account: VendorAccount, rest: str) -> str:
    return f"/identity/{account.pk}/{rest}"


def text(answer: Any) -> str:
    return str(answer.content.decode())


def removals(box: Sandbox) -> int:
    return sum(entry.method == "DELETE" for entry in box.context.ledger.entries("acoustic"))


def full_x1id(box: Sandbox, count: int = 1000) -> None:
    many = [{"name": f"cookie{n % 3}", "value": f"cookie-value-{n:04}"} for n in range(count)]
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-full", "identifiers": many})


# --- who may, and where the navigation leads


GETS = ["look-up", "filters", "filters/export", "filters/change?name=email", "removals", "removals/export"]
POSTS = ["look-up", "x1id", "x1id/export", "remove", "filters/add", "filters/change", "filters/remove"]


@pytest.mark.parametrize(("method", "rest"), [*(("get", one) for one in GETS), *(("post", one) for one in POSTS)])
def test_managers_and_admins_alone_open_identity(
    method: str,
    rest: str,
    account: VendorAccount,
    logged_in: LoggedIn,
    marketer: User,
    stranger: User,
    box: Sandbox,
    client: Client,
) -> None:
    codes = [getattr(one, method)(url(account, rest)).status_code for one in (logged_in(marketer), logged_in(stranger))]
    assert codes == [403, 404]
    assert getattr(client, method)(url(account, rest)).headers["Location"].startswith("/login")
    assert box.context.ledger.entries("acoustic") == []


def test_the_navigation_leads_managers_to_their_account_and_hides_it_from_marketers(
    account: VendorAccount, page: Client, logged_in: LoggedIn, marketer: User
) -> None:
    assert page.get("/identity").headers["Location"] == url(account, "look-up")
    assert page.get(f"/identity/{account.pk}").headers["Location"] == url(account, "look-up")
    assert 'href="/identity"' in text(page.get(url(account, "look-up")))
    theirs = logged_in(marketer)
    assert theirs.get("/identity").status_code == 403
    assert 'href="/identity"' not in text(theirs.get("/account"))


def test_without_an_account_the_page_says_which_to_connect(page: Client) -> None:
    answer = page.get("/identity")
    assert answer.status_code == 200
    assert "/vendor-accounts/new?vendor=acoustic" in text(answer)


def test_several_accounts_are_one_menu_away(box: Sandbox, actor: Actor, account: VendorAccount, page: Client) -> None:
    other = connect(box, actor, "synerise", name="Loyalty workspace")
    assert f"/identity/{other.pk}/profile" in text(page.get(url(account, "look-up")))


# --- looking up


def test_an_identifier_is_looked_up_and_shown_masked(account: VendorAccount, page: Client) -> None:
    answer = page.post(url(account, "look-up"), {"name": "email", "value": EMAIL}, headers=FRAGMENT)
    shown = text(answer)
    assert answer.status_code == 200
    assert "1 x1Id holds this email" in shown
    assert "x1-0001" in shown
    assert "p•••@•••.invalid" in shown
    assert "no-store" in answer.headers["Cache-Control"]


def test_nobody_is_an_answer_with_a_hint(account: VendorAccount, page: Client) -> None:
    shown = text(page.post(url(account, "look-up"), {"name": "email", "value": "no@one.example"}))
    assert "Nobody holds this email" in shown
    assert "Remove this identifier everywhere" not in shown


def test_an_identifier_on_several_x1ids_is_warned_of(account: VendorAccount, page: Client) -> None:
    shown = text(page.post(url(account, "look-up"), {"name": "cookieid", "value": SHARED}))
    assert "One identifier, several people" in shown
    assert "2 people lose" in shown


@pytest.mark.parametrize("given", [{}, {"name": "email"}, {"value": EMAIL}, {"name": " ", "value": " "}])
def test_half_an_identifier_is_refused_without_a_call(
    given: dict[str, str], account: VendorAccount, page: Client, box: Sandbox
) -> None:
    assert page.post(url(account, "look-up"), given, headers=FRAGMENT).status_code == 422
    assert box.context.ledger.entries("acoustic") == []


def test_identifiers_stand_in_no_address(account: VendorAccount, page: Client) -> None:
    for fields in ({"name": "email", "value": EMAIL}, {"name": "cookieid", "value": SHARED}):
        shown = text(page.post(url(account, "look-up"), fields))
        addresses = [piece.split('"')[0] for piece in shown.replace("action=", "href=").split('href="')[1:]]
        assert not [one for one in addresses if fields["value"] in one]
    assert page.get(url(account, "look-up") + f"?name=email&value={EMAIL}").status_code == 200
    assert not AuditEntry.objects.filter(action="identity.look_up", detail__icontains=EMAIL).exists()


def test_a_vendor_in_trouble_is_told_on_the_page(account: VendorAccount, page: Client, box: Sandbox) -> None:
    box.context.faults.set("acoustic.unavailable", "9x")
    answer = page.post(url(account, "look-up"), {"name": "email", "value": EMAIL}, headers=FRAGMENT)
    assert answer.status_code == 422
    assert "The vendor failed with status 503." in text(answer)


# --- one x1Id


def test_an_x1id_of_a_thousand_is_paged_searched_and_warned_of(
    account: VendorAccount, page: Client, box: Sandbox
) -> None:
    full_x1id(box)
    first = page.post(url(account, "x1id"), {"x1_id": "x1-full"}, headers=FRAGMENT)
    assert first.context["person"].pages == 20
    assert "This x1Id holds 1\u202f000 of at most 1\u202f000 identifiers." in text(first)
    assert (">Full<" in text(first), "Nearly full" in text(first)) == (True, False)
    assert "1 to 50 of 1\u202f000" in text(first)
    last = page.post(url(account, "x1id"), {"x1_id": "x1-full", "page": "20"}).context["person"]
    assert (last.first, last.last) == (951, 1000)
    one = page.post(url(account, "x1id"), {"x1_id": "x1-full", "q": "VALUE-0042"}).context["person"]
    assert one.fitting == 1
    by_name = page.post(url(account, "x1id"), {"x1_id": "x1-full", "kind": "cookie2"}).context["person"]
    assert by_name.fitting == 333


def test_values_are_masked_until_somebody_wants_to_see_them(account: VendorAccount, page: Client) -> None:
    masked_page = text(page.post(url(account, "x1id"), {"x1_id": "x1-0001"}, headers=FRAGMENT))
    assert EMAIL not in masked_page
    assert masked(EMAIL) in masked_page
    assert EMAIL in text(page.post(url(account, "x1id"), {"x1_id": "x1-0001", "shown": "1"}, headers=FRAGMENT))


def test_an_unknown_x1id_is_said_to_be_unknown(account: VendorAccount, page: Client) -> None:
    assert "Exchange knows no such x1Id" in text(page.post(url(account, "x1id"), {"x1_id": "x1-none"}))
    assert page.post(url(account, "x1id"), {}, headers=FRAGMENT).status_code == 422
    assert page.get(url(account, "x1id")).headers["Location"] == url(account, "look-up")


def test_an_x1id_is_exported_with_its_values_and_the_trail_says_so(account: VendorAccount, page: Client) -> None:
    answer: Any = page.post(url(account, "x1id/export"), {"x1_id": "x1-0001", "kind": "email"})
    assert b"".join(answer.streaming_content).decode().splitlines() == [
        "identifier,value,endpoint",
        f"email,{EMAIL},{exchange.DEMO_ENDPOINT}",
    ]
    assert AuditEntry.objects.filter(action="identity.export").count() == 1


def test_an_account_key_is_told_what_it_cannot_do(box: Sandbox, actor: Actor, page: Client) -> None:
    account = connect(box, actor, "acoustic", keyLevel="account", endpointId=str(exchange.DEMO_ENDPOINT))
    account.credentials = {"authKey": exchange.DEMO_ACCOUNT_KEY}
    account.save()
    shown = text(page.get(url(account, "look-up")))
    assert "Enter the endpoint's key" in shown
    assert "Not: Read and change filters" in " ".join(shown.split())
    assert "Filters need the endpoint's own key" in text(page.get(url(account, "filters")))
    assert "1 x1Id holds this email" in text(page.post(url(account, "look-up"), {"name": "email", "value": EMAIL}))


# --- removal


def asked(page: Client, account: VendorAccount, *, value: str = EMAIL, name: str = "email", **more: str) -> Any:
    fields = {"name": name, "value": value, "expected": "1", "confirm": value, **more}
    return page.post(url(account, "remove"), fields)


def test_a_removal_ends_at_a_receipt_with_the_vendors_count(account: VendorAccount, page: Client) -> None:
    answer = asked(page, account, name="cookieid", value=SHARED, expected="2")
    assert answer.status_code == 302
    receipt = page.get(answer.headers["Location"])
    assert receipt.status_code == 200
    found = receipt.context["receipt"]
    assert (found.outcome, found.found, found.changed, found.left) == ("removed", 2, 2, 0)
    assert SHARED not in text(receipt)
    assert masked(SHARED) in text(receipt)
    assert SHARED not in answer.headers["Location"]
    assert f"No. {found.number}" in text(page.get(url(account, "removals")))


@pytest.mark.parametrize("confirm", ["", "yes", EMAIL.upper()])
def test_a_removal_without_the_value_typed_again_does_nothing(
    confirm: str, account: VendorAccount, page: Client, box: Sandbox
) -> None:
    fields = {"name": "email", "value": EMAIL, "expected": "1", "confirm": confirm}
    answer = page.post(url(account, "remove"), fields, headers=FRAGMENT)
    assert answer.status_code == 422
    assert "letter for letter. Nothing was removed." in text(answer)
    assert box.context.ledger.entries("acoustic") == []


def test_a_removal_of_more_people_than_were_shown_is_stopped(
    account: VendorAccount, page: Client, box: Sandbox
) -> None:
    answer = asked(page, account, name="cookieid", value=SHARED, expected="1")
    assert answer.status_code == 422
    assert "It is on 2 by now, and you were shown 1." in text(answer)
    assert "Remove it from 2 people" in text(answer)
    assert removals(box) == 0
    again = {field.name: str(field.value() or "") for field in answer.context["remove"]["form"]}
    assert page.post(url(account, "remove"), {**again, "confirm": SHARED}).status_code == 302
    assert removals(box) == 1


def test_a_removal_of_what_nobody_holds_any_more_says_so(account: VendorAccount, page: Client, box: Sandbox) -> None:
    answer = asked(page, account, value="nobody@example.invalid", expected="1")
    assert "Nobody holds this email" in text(answer)
    assert removals(box) == 0


def test_what_is_still_there_afterwards_is_told_loudly(account: VendorAccount, page: Client, box: Sandbox) -> None:
    box.context.faults.set("acoustic.keep_removed", "1x")
    receipt = page.get(asked(page, account).headers["Location"])
    assert "the look-up right afterwards still found it" in text(receipt)
    assert receipt.context["receipt"].outcome == "still there"
    listed = page.get(url(account, "removals"), {"outcome": "still there"})
    assert [line[0].left for line in listed.context["lines"]] == [1]


def test_a_lost_answer_says_look_it_up_first_and_sends_nothing_more(
    account: VendorAccount, page: Client, box: Sandbox
) -> None:
    box.context.faults.set("acoustic.drop_before_remove", "1x")
    receipt = page.get(asked(page, account).headers["Location"])
    assert receipt.context["receipt"].outcome == "not known"
    assert "Look it up first" in text(receipt)
    assert removals(box) == 1


def test_a_lost_answer_of_a_removal_that_was_done_is_seen_by_looking(
    account: VendorAccount, page: Client, box: Sandbox
) -> None:
    box.context.faults.set("acoustic.error_after_remove", "1x")
    found = page.get(asked(page, account).headers["Location"]).context["receipt"]
    assert (found.outcome, found.changed, found.left) == ("gone", None, 0)
    assert removals(box) == 1


def test_a_removal_that_the_vendor_refused_is_told_and_kept(account: VendorAccount, page: Client, box: Sandbox) -> None:
    VendorAccount.objects.filter(pk=account.pk).update(status=AccountStatus.PAUSED)
    answer = asked(page, account)
    assert answer.status_code == 422
    assert "Nothing was removed" in text(answer)
    assert removals(box) == 0


def test_an_intent_whose_outcome_was_never_told_is_shown_as_not_known(
    account: VendorAccount, page: Client, settings: Any
) -> None:
    asked(page, account)
    AuditEntry.objects.filter(action="identity.remove").delete()
    begun = AuditEntry.objects.get(action="identity.remove.begin")
    address = url(account, f"removals/{begun.pk}")
    assert page.get(address).context["receipt"].outcome == "running"
    AuditEntry.objects.filter(pk=begun.pk).update(at=begun.at.replace(year=begun.at.year - 1))
    assert page.get(address).context["receipt"].outcome == "not known"


def test_receipts_of_others_and_other_entries_do_not_exist(
    account: VendorAccount, page: Client, logged_in: LoggedIn, stranger: User
) -> None:
    address = asked(page, account).headers["Location"]
    assert logged_in(stranger).get(address).status_code == 404
    outcome = AuditEntry.objects.get(action="identity.remove")
    assert page.get(url(account, f"removals/{outcome.pk}")).status_code == 404


def test_removals_are_searched_paged_and_exported(
    account: VendorAccount,
    page: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    monkeypatch.setattr("audsync_web.vendors.removal_views.ROWS_A_PAGE", 2)
    for _ in range(3):
        asked(page, account)
        asked(page, account, name="cookieid", value="nobody-has-it", expected="0")
    with django_assert_max_num_queries(8):
        first = page.get(url(account, "removals"))
    assert len(first.context["lines"]) == 2
    second = page.get(first.context["older_url"])
    assert len(second.context["lines"]) == 2
    fitting = page.get(url(account, "removals") + "?q=cookie", headers=FRAGMENT)
    assert {receipt.name for receipt, _ in fitting.context["lines"]} == {"cookieid"}
    export: Any = page.get(url(account, "removals/export") + "?q=cookie")
    assert len(b"".join(export.streaming_content).splitlines()) == 4
    assert page.get(url(account, "removals") + "?cursor=nonsense").status_code == 404


def test_removals_are_sorted_by_time_and_filtered_by_outcome(account: VendorAccount, page: Client) -> None:
    asked(page, account)
    asked(page, account, name="cookieid", value="nobody-has-it", expected="0")
    asked(page, account, name="cookieid", value=SHARED, expected="2")
    last = AuditEntry.objects.filter(action="identity.remove").latest("pk")
    last.delete()

    def shown(**query: str) -> list[str]:
        rows = page.get(url(account, "removals"), query, headers=FRAGMENT).context["lines"]
        return [receipt.outcome for receipt, _ in rows]

    assert shown() == ["running", "nothing to remove", "removed"]
    assert shown(sort="time") == ["removed", "nothing to remove", "running"]
    assert shown(outcome="removed") == ["removed"]
    assert shown(outcome="nothing to remove") == ["nothing to remove"]
    assert shown(outcome="not known") == ["running"]
    assert shown(outcome="gone") == []
    export: Any = page.get(url(account, "removals/export"), {"outcome": "removed"})
    assert len(b"".join(export.streaming_content).splitlines()) == 2


# --- filters


def test_a_filter_is_added_changed_and_removed_on_the_page(account: VendorAccount, page: Client) -> None:
    assert "No filter: every identifier passes" in text(page.get(url(account, "filters")))
    added = page.post(url(account, "filters/add"), {"name": "customer id", "publish": "on"})
    assert added.status_code == 302
    shown = page.get(url(account, "filters"))
    assert "Hidden from everybody" in text(shown)
    change = page.get(url(account, "filters/change?name=customer%20id"))
    assert change.context["form"].initial == {"name": "customer id", "publish": True, "subscribe": False}
    changed = page.post(url(account, "filters/change"), {"name": "customer id", "subscribe": "on"})
    assert changed.status_code == 302
    assert "Hidden from this endpoint" in text(page.get(url(account, "filters")))
    assert page.post(url(account, "filters/remove"), {"name": "customer id"}).status_code == 302
    assert "No filter: every identifier passes" in text(page.get(url(account, "filters")))
    actions = AuditEntry.objects.filter(action__startswith="identity_filter").values_list("action", flat=True)
    assert sorted(actions) == ["identity_filter.remove", "identity_filter.save", "identity_filter.save"]


@pytest.mark.parametrize("route", ["filters/add", "filters/change"])
def test_both_flags_off_is_refused_in_words(route: str, account: VendorAccount, page: Client, box: Sandbox) -> None:
    answer = page.post(url(account, route), {"name": "email"}, headers=FRAGMENT)
    assert answer.status_code == 422
    assert "with both off it would filter nothing" in text(answer)
    assert box.context.ledger.entries("acoustic") == []


def test_adding_never_overwrites_a_filter(account: VendorAccount, page: Client) -> None:
    page.post(url(account, "filters/add"), {"name": "email", "publish": "on"})
    again = page.post(url(account, "filters/add"), {"name": "email", "subscribe": "on"}, headers=FRAGMENT)
    assert again.status_code == 422
    assert "email has a filter already" in text(again)
    assert "Hidden from everybody" in text(page.get(url(account, "filters")))


def test_filters_are_searched_sorted_and_exported(account: VendorAccount, page: Client) -> None:
    for name, flag in (("email", "publish"), ("phone", "subscribe"), ("cookieid", "subscribe")):
        page.post(url(account, "filters/add"), {"name": name, flag: "on"})
    names = [held.identifier_name for held in page.get(url(account, "filters") + "?sort=-name").context["filters"]]
    assert names == ["phone", "email", "cookieid"]
    here = page.get(url(account, "filters") + "?effect=here&q=O", headers=FRAGMENT).context["filters"]
    assert [held.identifier_name for held in here] == ["cookieid", "phone"]
    export: Any = page.get(url(account, "filters/export") + "?effect=everywhere")
    assert b"".join(export.streaming_content).decode().splitlines()[1].startswith("email,yes,no,412,")


def test_a_filter_that_is_gone_is_said_to_be_gone(account: VendorAccount, page: Client) -> None:
    assert page.get(url(account, "filters/change?name=email")).status_code == 404
    answer = page.post(url(account, "filters/change"), {"name": "email", "publish": "on"})
    assert answer.status_code == 422
    assert "email has no filter any more" in text(answer)
    assert page.post(url(account, "filters/remove"), {"name": "email"}, follow=True).status_code == 200


def test_a_list_that_cannot_be_read_says_why_and_offers_another_try(
    account: VendorAccount, page: Client, box: Sandbox
) -> None:
    box.context.faults.set("acoustic.server_error", "9x")
    answer = page.get(url(account, "filters"))
    assert answer.status_code == 200
    assert "Try again" in text(answer)


def test_the_pages_cost_the_same_queries_whatever_they_show(
    account: VendorAccount, page: Client, box: Sandbox, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    full_x1id(box)
    for fields in ({"x1_id": "x1-0001"}, {"x1_id": "x1-full", "page": "2"}):
        with django_assert_max_num_queries(14):
            page.post(url(account, "x1id"), fields)
