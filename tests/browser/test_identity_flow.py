"""Identity with the keyboard alone: a filter, a look-up, a removal with its receipt; and every page without a fault for
those who use a screen reader, a keyboard, a phone or the dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.people.models import Role
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from tests.factories import make_actor, make_company, make_person
from tests.sandbox_accounts import connect

from .kit import PHONE, WIDE, is_refusal, log_in, nothing_fails, window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SHARED = "demo-cookie-shared"
MOST_TABS = 80


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box
        assert box.context.ledger.violations() == []


@pytest.fixture
def account(box: Sandbox) -> VendorAccount:
    """Northwind's account at Exchange, in whose sandbox one x1Id is full, and one at Synerise."""
    company = make_company("northwind")
    WorkerHeartbeat.objects.create(worker="here:1")
    actor = make_actor(make_person(company, Role.MANAGER, email="mo@northwind.example"), company)
    many = [{"name": ("cookieid", "email", "phone")[n % 3], "value": f"value-{n:04}"} for n in range(1000)]
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-full", "identifiers": many})
    connect(box, actor, "synerise", name="Loyalty workspace")
    return connect(box, actor, "acoustic", name="Exchange")


@pytest.fixture
def opened(browser: Browser, live_server: Any, account: VendorAccount) -> Iterator[Page]:
    """A logged-in browser."""
    with window(browser, live_server) as opened:
        log_in(opened, "mo@northwind.example")
        yield opened


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """One in which no script may fail and none may be refused."""
    with nothing_fails(opened, is_refusal):
        yield opened


def tab_to(page: Page, target: Locator) -> None:
    """Go to an element with the Tab key, as somebody without a mouse does."""
    expect(target).to_be_visible()
    for _ in range(MOST_TABS):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} cannot be reached by keyboard")


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    tab_to(page, target)
    page.keyboard.press(key)


def write(page: Page, target: Locator, text: str) -> None:
    tab_to(page, target)
    page.keyboard.type(text)


def test_an_identifier_is_found_on_two_people_and_removed_with_the_keyboard_alone(page: Page, box: Sandbox) -> None:
    page.goto("/identity")
    expect(page.get_by_role("heading", name="Identity", exact=True)).to_be_visible()
    write(page, page.get_by_label("Identifier name"), "cookieid")
    write(page, page.get_by_label("Value", exact=False).first, SHARED)
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 x1Ids hold this cookieid")).to_be_visible()
    expect(page.locator("#found [data-autofocus]")).to_be_focused()
    expect(page.get_by_text("One identifier, several people")).to_be_visible()
    confirm = page.get_by_label("Type the value to confirm")
    write(page, confirm, "not the value")
    page.keyboard.press("Enter")
    expect(page.locator(".field-errors").get_by_text("Nothing was removed.")).to_be_visible()
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    tab_to(page, confirm)
    page.keyboard.press("Control+A")
    page.keyboard.type(SHARED)
    press(page, page.get_by_role("button", name="Remove it from 2 people"))
    page.wait_for_url("**/removals/*")
    expect(page.locator(".tile", has_text="The vendor changed").locator(".tile-value")).to_have_text("2")
    expect(page.locator(".tile", has_text="Left afterwards").locator(".tile-value")).to_have_text("0")
    assert SHARED not in page.url
    assert SHARED not in page.content()
    assert sum(entry.method == "DELETE" for entry in box.context.ledger.entries("acoustic")) == 1


def test_a_person_of_a_thousand_identifiers_is_searched_with_the_keyboard_alone(page: Page) -> None:
    page.goto("/identity")
    write(page, page.get_by_label("x1Id", exact=False).first, "x1-full")
    page.keyboard.press("Enter")
    expect(page.get_by_text("holds 1\u202f000 of at most 1\u202f000 identifiers")).to_be_visible()
    press(page, page.get_by_role("button", name="Next"))
    expect(page.get_by_text("51 to 100 of 1\u202f000")).to_be_visible()
    expect(page.locator("#person td code").first).to_have_text("va•••50")
    press(page, page.get_by_role("button", name="Show the values"))
    expect(page.locator("#person td code").first).not_to_contain_text("•")
    write(page, page.get_by_label("Search names and values"), "value-0042")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
    expect(page.locator("#person td code")).to_have_text("value-0042")


def test_a_filter_is_added_changed_and_removed_with_the_keyboard_alone(page: Page) -> None:
    page.goto("/identity")
    press(page, page.get_by_role("link", name="Filters"))
    expect(page.get_by_text("No filter: every identifier passes")).to_be_visible()
    write(page, page.get_by_label("Identifier name"), "email")
    press(page, page.get_by_role("button", name="Add the filter"))
    expect(page.get_by_role("alert").get_by_text("with both off it would filter nothing")).to_be_visible()
    press(page, page.get_by_label("Hide it from every destination"), "Space")
    press(page, page.get_by_role("button", name="Add the filter"))
    expect(page.get_by_text("Hidden from everybody")).to_be_visible()
    press(page, page.get_by_role("link", name="Change email"))
    press(page, page.get_by_label("Hide it from every destination"), "Space")
    press(page, page.get_by_label("Hide it from this endpoint"), "Space")
    press(page, page.get_by_role("button", name="Save"))
    expect(page.get_by_text("Hidden from this endpoint", exact=True)).to_be_visible()
    press(page, page.get_by_role("button", name="Remove the filter for email"))
    press(page, page.locator("#confirm [data-confirm-yes]"))
    expect(page.get_by_text("No filter: every identifier passes")).to_be_visible()


def test_a_removal_works_without_script(browser: Browser, page: Page, account: VendorAccount, live_server: Any) -> None:
    plain = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    plain.add_cookies(page.context.cookies())  # type: ignore[arg-type]  # what it gave is what it takes
    opened = plain.new_page()
    opened.goto(f"/identity/{account.pk}/look-up")
    opened.fill("[name=name]", "email")
    opened.fill("[name=value]", "person-2@example.invalid")
    opened.click("text=Look up >> nth=-1")
    opened.fill("[name=confirm]", "person-2@example.invalid")
    opened.click("button:has-text('Remove it from 1 person')")
    opened.wait_for_url("**/removals/*")
    expect(opened.locator(".tile", has_text="The vendor changed").locator(".tile-value")).to_have_text("1")
    plain.close()


def _looked_up(page: Page) -> None:
    page.goto("/identity")
    page.fill("[name=name]", "cookieid")
    page.fill("#desk [name=value]", SHARED)
    page.press("#desk [name=value]", "Enter")
    expect(page.locator("#found")).to_be_visible()


def _opened(page: Page) -> None:
    page.goto("/identity")
    page.fill("[name=x1_id]", "x1-full")
    page.press("[name=x1_id]", "Enter")
    expect(page.locator("#person")).to_be_visible()


def _filters(page: Page) -> None:
    page.goto("/identity")
    page.click("text=Filters")
    page.fill("[name=name]", "customer id")
    page.check("[name=publish]")
    page.click("text=Add the filter")
    expect(page.get_by_text("Hidden from everybody")).to_be_visible()
    page.wait_for_load_state()


def _change(page: Page) -> None:
    _filters(page)
    page.get_by_role("link", name="Change customer id").click()
    expect(page.get_by_role("button", name="Save")).to_be_visible()


def _receipt(page: Page) -> None:
    _looked_up(page)
    page.fill("[name=confirm]", SHARED)
    page.press("[name=confirm]", "Enter")
    page.wait_for_url("**/removals/*")


def _removals(page: Page) -> None:
    _receipt(page)
    page.click("text=Removals >> nth=0")
    expect(page.locator("#removal-rows table")).to_be_visible()


def _profile(page: Page) -> None:
    page.goto("/identity")
    page.click(".pagehead summary")
    page.click("a:has-text('Loyalty workspace')")
    page.fill("[name=value]", "demo-crm-000001")
    page.press("[name=value]", "Enter")
    expect(page.locator("#profile")).to_be_visible()


WAYS = {
    "look-up": _looked_up,
    "x1id": _opened,
    "filters": _filters,
    "change": _change,
    "receipt": _receipt,
    "removals": _removals,
    "profile": _profile,
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("way", WAYS)
def test_every_identity_page_can_be_used_by_everybody(way: str, theme: str, opened: Page) -> None:
    page = opened  # axe brings styles of its own, which the policy refuses
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    WAYS[way](page)
    for name, size in (("wide", WIDE), ("phone", PHONE)):
        page.set_viewport_size(size)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert too_wide <= 0, f"{way} scrolls sideways at {name}"
