"""Pages of vendor accounts: who may do what, connecting with a live check, secrets that never come back."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry, Company, User
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.registry import VENDORS, connector_class
from audsync_web.vendors.forms import key_of
from audsync_web.vendors.models import AccountStatus, VendorAccount
from audsync_web.vendors.services import account_change, account_check
from segments.services import DestinationWish, segment_create
from tests.conftest import LoggedIn
from tests.sandbox_accounts import connect

HTMX = {"HX-Request": "true"}
PARTS_FOR_MANAGERS = ["change", "rename", "disconnect"]
ACTIONS = ["check", "pause", "resume", "disconnect", "rename", "change"]


def url_of(account: VendorAccount, part: str = "") -> str:
    return f"/vendor-accounts/{account.pk}{f'/{part}' if part else ''}"


def filled_in(box: Sandbox, vendor: str, **changes: str) -> dict[str, Any]:
    """What somebody types to connect the sandbox's demo account of a vendor."""
    module = import_module(f"audsync_web.sandbox.{vendor}")
    given = {**module.DEMO_CREDENTIALS, **module.DEMO_SETTINGS}
    typed = {"vendor": vendor, "name": f"My {vendor}", "base_url": box.base_url(vendor)}
    for declared in connector_class(vendor).fields:
        if declared.name in given:
            value = given[declared.name]
            typed[key_of(declared)] = "\n".join(value) if isinstance(value, list) else str(value)
    return typed | changes


# --- who may


def test_everybody_in_the_company_sees_an_account_and_only_managers_change_it(
    account: VendorAccount, logged_in: LoggedIn, manager: User, marketer: User
) -> None:
    for part in ("", "health", "history"):
        assert logged_in(marketer).get(url_of(account, part)).status_code == 200
    for part in PARTS_FOR_MANAGERS:
        assert logged_in(manager).get(url_of(account, part)).status_code == 200
        assert logged_in(marketer).get(url_of(account, part)).status_code == 403
    for part in ACTIONS:
        assert logged_in(marketer).post(url_of(account, part)).status_code == 403
    assert logged_in(marketer).get("/vendor-accounts/new").status_code == 403


def test_an_account_of_another_company_does_not_exist(
    account: VendorAccount, logged_in: LoggedIn, stranger: User
) -> None:
    theirs = logged_in(stranger)
    for part in ("", "health", "history", *PARTS_FOR_MANAGERS):
        assert theirs.get(url_of(account, part)).status_code == 404
    for part in ACTIONS:
        assert theirs.post(url_of(account, part)).status_code == 404
    account.refresh_from_db()
    assert account.status == AccountStatus.OK


def test_who_is_not_logged_in_is_led_to_the_login_and_a_poll_ends(account: VendorAccount, client: Client) -> None:
    for url in ("/vendor-accounts", "/vendor-accounts/new", url_of(account), url_of(account, "change")):
        assert client.get(url).headers["Location"].startswith("/login")
    for url in ("/vendor-accounts/live", url_of(account, "health")):
        assert client.get(url).status_code == 403


def test_a_marketer_sees_no_settings_of_an_account(
    account: VendorAccount, logged_in: LoggedIn, manager: User, marketer: User
) -> None:
    assert account.base_url in logged_in(manager).get(url_of(account)).content.decode()
    page = logged_in(marketer).get(url_of(account)).content.decode()
    assert account.base_url not in page
    assert "Rotate credentials" not in page


@pytest.mark.parametrize(
    ("vendor", "leads_to"),
    [
        ("synerise", {"Segmentations": "/vendor-accounts/{}/segmentations", "Profiles": "/identity/{}/profile"}),
        ("acoustic", {"Identity": "/identity/{}/look-up"}),
        ("anonymised", {}),
    ],
)
def test_an_account_leads_managers_to_what_else_its_vendor_can_do(
    vendor: str,
    leads_to: dict[str, str],
    box: Sandbox,
    actor: Actor,
    logged_in: LoggedIn,
    manager: User,
    marketer: User,
) -> None:
    account = connect(box, actor, vendor)
    page = logged_in(manager).get(url_of(account)).content.decode()
    for path in ("/segmentations", f"/identity/{account.pk}/"):
        assert (path in page) == any(path in url.format(account.pk) for url in leads_to.values())
    for url in leads_to.values():
        assert f'href="{url.format(account.pk)}"' in page
        assert url.format(account.pk) not in logged_in(marketer).get(url_of(account)).content.decode()


# --- connect


def test_an_address_that_has_no_usual_one_is_asked_for(box: Sandbox, logged_in: LoggedIn, manager: User) -> None:
    client = logged_in(manager)
    for vendor, is_needed in (("acoustic", True), ("synerise", False)):
        form = client.get("/vendor-accounts/new", {"vendor": vendor}).context["form"]
        assert form["base_url"].field.required is is_needed
    answer = client.post("/vendor-accounts/new", filled_in(box, "acoustic", base_url=" "))
    assert answer.status_code == 422
    assert "base_url" in answer.context["form"].errors
    assert not VendorAccount.objects.exists()


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_every_vendor_is_connected_by_a_form_made_from_its_fields(
    vendor: str, box: Sandbox, logged_in: LoggedIn, manager: User
) -> None:
    client = logged_in(manager)
    form = client.get("/vendor-accounts/new", {"vendor": vendor}).context["form"]
    assert {key_of(declared) for declared in connector_class(vendor).fields} <= set(form.fields)
    answer = client.post("/vendor-accounts/new", filled_in(box, vendor))
    assert answer.status_code == 302, answer.context["form"].errors
    account = VendorAccount.objects.get()
    assert (account.vendor, account.status, account.name) == (vendor, "ok", f"My {vendor}")
    assert account.checked_at is not None
    assert answer.headers["Location"] == url_of(account)


def test_a_wrong_password_is_told_in_the_vendors_terms_and_nothing_is_saved(
    box: Sandbox, logged_in: LoggedIn, manager: User
) -> None:
    typed = filled_in(box, "anonymised", credentials_password="not-the-password")
    answer = logged_in(manager).post("/vendor-accounts/new", typed, headers=HTMX)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "<html" not in page
    assert answer.context["error"].text in page
    assert answer.context["error"].next_step in page
    assert "not-the-password" not in page
    assert not VendorAccount.objects.exists()


def test_every_fault_of_a_form_is_told_at_once_at_its_field(box: Sandbox, logged_in: LoggedIn, manager: User) -> None:
    typed = filled_in(box, "xandr", settings_memberId="many", settings_requestsPerSecond="0", base_url="ftp://x")
    answer = logged_in(manager).post("/vendor-accounts/new", typed)
    assert answer.status_code == 422
    errors = answer.context["form"].errors
    assert {"settings_memberId", "settings_requestsPerSecond", "base_url"} <= set(errors)
    assert '<details class="fold" open>' in answer.content.decode()


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_a_refused_form_says_at_each_secret_that_was_typed_that_it_must_be_entered_again(
    vendor: str, box: Sandbox, logged_in: LoggedIn, manager: User
) -> None:
    typed = filled_in(box, vendor, base_url="ftp://x")
    answer = logged_in(manager).post("/vendor-accounts/new", typed)
    errors, page = answer.context["form"].errors, answer.content.decode()
    secret = [declared for declared in connector_class(vendor).fields if declared.secret]
    for declared in secret:
        assert errors[key_of(declared)][0].startswith("Enter the ")
        assert typed[key_of(declared)] not in page
    words = {"anonymised": "Enter the password again", "mediarithmics": "Enter the API token again"}
    assert words.get(vendor, "again: a page never shows a secret.") in page


def test_a_secret_that_was_not_typed_is_not_asked_for_when_a_change_is_refused(
    account: VendorAccount, logged_in: LoggedIn, manager: User
) -> None:
    client, wrong = logged_in(manager), {"settings_requestsPerSecond": "many"}
    kept = client.post(url_of(account, "change"), stored_form(account, **wrong))
    assert list(kept.context["form"].errors) == ["settings_requestsPerSecond"]
    typed = stored_form(account, credentials_password="a new one", **wrong)
    asked = client.post(url_of(account, "change"), typed)
    assert set(asked.context["form"].errors) == {"settings_requestsPerSecond", "credentials_password"}
    assert "a new one" not in asked.content.decode()


def test_a_vendor_of_several_regions_offers_their_addresses(logged_in: LoggedIn, manager: User) -> None:
    page = logged_in(manager).get("/vendor-accounts/new?vendor=synerise").content.decode()
    assert 'list="base_url_offered"' in page
    for address, region in connector_class("synerise").base_urls:
        assert f'<option value="{address}">{region}</option>' in page


def test_switching_the_vendor_brings_its_form_alone(logged_in: LoggedIn, manager: User) -> None:
    answer = logged_in(manager).get("/vendor-accounts/new", {"vendor": "synerise"}, headers=HTMX)
    page = answer.content.decode()
    assert "<html" not in page
    assert "Workspace API key" in page
    assert 'aria-current="true"' in page


def test_a_vendor_nobody_knows_shows_the_choice_again(logged_in: LoggedIn, manager: User) -> None:
    answer = logged_in(manager).get("/vendor-accounts/new", {"vendor": "nobody"})
    assert answer.status_code == 200
    assert "form" not in answer.context


def test_a_name_that_is_taken_is_told_at_the_name(
    account: VendorAccount, box: Sandbox, logged_in: LoggedIn, manager: User
) -> None:
    answer = logged_in(manager).post("/vendor-accounts/new", filled_in(box, "anonymised", name=account.name))
    assert answer.status_code == 422
    assert "name" in answer.context["form"].errors


# --- change


def stored_form(account: VendorAccount, **changes: str) -> dict[str, str]:
    """What the change form sends when nobody touches it."""
    typed = {"name": account.name, "base_url": account.base_url}
    stored = {**account.credentials, **account.settings}
    for declared in account.connector.fields:
        if not declared.secret and stored.get(declared.name) not in (None, False):
            typed[key_of(declared)] = str(stored[declared.name])
    return typed | changes


def test_a_secret_is_never_rendered_and_an_empty_one_is_kept(
    account: VendorAccount, logged_in: LoggedIn, manager: User
) -> None:
    client, secret = logged_in(manager), account.credentials["password"]
    for part in ("", "change"):
        assert secret not in client.get(url_of(account, part)).content.decode()
    answer = client.post(url_of(account, "change"), stored_form(account, settings_requestsPerSecond="7"))
    assert answer.status_code == 302, answer.context["form"].errors
    account.refresh_from_db()
    assert account.credentials["password"] == secret
    assert account.settings["requestsPerSecond"] == 7


def test_new_credentials_are_proved_before_the_old_ones_go(
    account: VendorAccount, logged_in: LoggedIn, manager: User
) -> None:
    old = account.credentials["password"]
    answer = logged_in(manager).post(
        url_of(account, "change"), stored_form(account, credentials_password="another-one"), headers=HTMX
    )
    assert answer.status_code == 422
    assert "another-one" not in answer.content.decode()
    account.refresh_from_db()
    assert account.credentials["password"] == old


def test_a_stored_secret_goes_to_no_other_host(
    account: VendorAccount, box: Sandbox, logged_in: LoggedIn, manager: User
) -> None:
    with Sandbox() as elsewhere:
        typed = stored_form(account, base_url=elsewhere.base_url("anonymised"))
        answer = logged_in(manager).post(url_of(account, "change"), typed)
        assert answer.status_code == 422
        assert "credentials_password" in answer.context["form"].errors
        assert not elsewhere.context.ledger.entries()
    account.refresh_from_db()
    assert account.base_url == box.base_url("anonymised")


def test_the_same_host_with_its_port_written_out_is_no_other_host(account: VendorAccount, actor: Actor) -> None:
    account.base_url = "https://vendor.example/api"
    account.save()
    account_change(actor=actor, account=account, settings={}, check=False)
    scope = account.quota_scope
    account_change(actor=actor, account=account, base_url="https://Vendor.example:443/api", check=False)
    assert (account.base_url, account.quota_scope) == ("https://Vendor.example:443/api", scope)


@pytest.mark.parametrize(
    "address", ["https://[::1", "https://vendor.example:99999", "https://vendor.example:0", "https://vendor.example:x"]
)
def test_what_can_be_no_address_is_refused_in_one_line(
    box: Sandbox, logged_in: LoggedIn, manager: User, address: str
) -> None:
    answer = logged_in(manager).post("/vendor-accounts/new", filled_in(box, "anonymised", base_url=address))
    assert answer.status_code == 422
    assert "base_url" in answer.context["form"].errors


def test_an_account_is_renamed_without_asking_the_vendor(
    account: VendorAccount, box: Sandbox, logged_in: LoggedIn, manager: User
) -> None:
    asked = len(box.context.ledger.entries())
    assert logged_in(manager).post(url_of(account, "rename"), {"name": "Europe"}).status_code == 302
    account.refresh_from_db()
    assert account.name == "Europe"
    assert len(box.context.ledger.entries()) == asked
    assert logged_in(manager).post(url_of(account, "rename"), {"name": ""}).status_code == 422


def test_a_check_shows_what_the_vendor_answered(account: VendorAccount, logged_in: LoggedIn, manager: User) -> None:
    VendorAccount.objects.filter(pk=account.pk).update(credentials={"email": "x@y.example", "password": "wrong"})
    answer = logged_in(manager).post(url_of(account, "check"), headers=HTMX)
    assert answer.status_code == 200
    assert 'id="account-health"' in answer.content.decode()
    assert "Needs attention" in answer.content.decode()
    account.refresh_from_db()
    assert account.status == AccountStatus.NEEDS_ATTENTION


def test_a_paused_account_says_so_and_is_resumed_after_a_check(
    account: VendorAccount, logged_in: LoggedIn, manager: User
) -> None:
    client = logged_in(manager)
    client.post(url_of(account, "pause"))
    account.refresh_from_db()
    assert account.status == AccountStatus.PAUSED
    assert "Paused by a person" in client.get(url_of(account)).content.decode()
    client.post(url_of(account, "resume"))
    account.refresh_from_db()
    assert (account.status, account.checked_at is not None) == (AccountStatus.OK, True)


def test_a_paused_account_stays_paused_whatever_a_check_finds_and_the_page_shows_both(
    account: VendorAccount, logged_in: LoggedIn, manager: User
) -> None:
    client = logged_in(manager)
    client.post(url_of(account, "pause"))
    shown = client.post(url_of(account, "check"), headers=HTMX).content.decode()
    account.refresh_from_db()
    assert (account.status, account.next_action_at) == (AccountStatus.PAUSED, None)
    assert account.check_text
    assert account.check_text in shown
    assert "Paused by a person" in shown
    VendorAccount.objects.update(credentials={"email": "x@y.example", "password": "wrong"})
    shown = client.post(url_of(account, "check"), headers=HTMX).content.decode()
    account.refresh_from_db()
    assert (account.status, account.next_action_at) == (AccountStatus.PAUSED, None)
    assert account.error_text
    assert account.error_text in shown
    assert "Resume" in client.get(url_of(account)).content.decode()


def test_a_paused_account_stays_paused_when_its_settings_change(
    account: VendorAccount, logged_in: LoggedIn, manager: User
) -> None:
    client = logged_in(manager)
    client.post(url_of(account, "pause"))
    assert "It stays paused when this is saved" in client.get(url_of(account, "change")).content.decode()
    answer = client.post(url_of(account, "change"), stored_form(account, settings_requestsPerSecond="7"))
    assert answer.status_code == 302
    account.refresh_from_db()
    assert (account.status, account.next_action_at) == (AccountStatus.PAUSED, None)
    assert account.settings["requestsPerSecond"] == 7


@pytest.mark.parametrize("rest", [AccountStatus.PAUSED, AccountStatus.DISCONNECTED])
def test_what_is_put_to_rest_while_the_vendor_is_asked_stays_at_rest(
    account: VendorAccount, actor: Actor, rest: AccountStatus
) -> None:
    asked = VendorAccount.objects.get(pk=account.pk)
    VendorAccount.objects.update(status=rest, next_action_at=None)
    account_check(actor=actor, account=asked)
    account.refresh_from_db()
    assert (account.status, account.next_action_at) == (rest, None)
    assert account.checked_at is not None


def test_an_unused_account_is_disconnected_and_its_credentials_are_gone(
    account: VendorAccount, logged_in: LoggedIn, manager: User
) -> None:
    client = logged_in(manager)
    assert client.post(url_of(account, "disconnect")).headers["Location"] == "/vendor-accounts"
    account.refresh_from_db()
    assert (account.status, account.credentials) == (AccountStatus.DISCONNECTED, {})
    assert client.get(url_of(account)).status_code == 404


def test_an_account_in_use_is_paused_and_the_page_says_so_before(
    account: VendorAccount, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    segment_create(actor=actor, name="Lapsed", destinations=[DestinationWish(account)])
    client = logged_in(manager)
    assert "paused instead" in client.get(url_of(account, "disconnect")).content.decode()
    client.post(url_of(account, "disconnect"))
    account.refresh_from_db()
    assert account.status == AccountStatus.PAUSED
    assert account.credentials["password"]


def test_changes_are_in_the_audit_trail_without_a_secret(
    account: VendorAccount, logged_in: LoggedIn, manager: User, company: Company
) -> None:
    logged_in(manager).post(url_of(account, "rename"), {"name": "Europe"})
    logged_in(manager).post(url_of(account, "pause"))
    entries = AuditEntry.objects.filter(company=company, object_type="vendoraccount")
    assert {"vendor_account.change", "vendor_account.pause"} <= set(entries.values_list("action", flat=True))
    assert all(account.credentials["password"] not in str(entry.detail) for entry in entries)


def test_a_vendor_without_members_offers_no_segment(
    box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    exchange = connect(box, actor, "acoustic", keyLevel="endpoint")
    page = logged_in(manager).get(url_of(exchange)).content.decode()
    assert "takes no membership uploads" in page
    assert 'href="/segments/new"' not in page
    assert logged_in(manager).get(url_of(exchange, "history")).status_code == 404
