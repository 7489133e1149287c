"""The pages on the narrowest phones: nothing is pushed out of the screen, and a finger hits what it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from audsync_web.people.models import Role
from segments.models import Segment
from tests.factories import make_company, make_membership, make_person
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload

from .kit import log_in, window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def segment(db: None) -> Segment:
    """A segment of a company whose name has two long words, at two vendors, with an upload in each state that shows."""
    company = make_company(name="Northwind Outdoor")
    make_person(company, Role.ADMIN, email="ada@northwind.example", name="Ada")
    made = make_segment(company)
    here, there = make_destination(made), make_destination(made, "synerise")
    live = make_upload(made, "delivering", rejected_by_reason={"empty_value": 1})
    told = {"error_text": "The vendor refused.", "next_step": "Ask the vendor.", "vendor_text": "NOAUTH"}
    make_delivery(live, here, "needs attention", **told)
    make_delivery(live, there, "sending", adds=8, sent=8, members=8, accepted=4, refused=1, planned_at=live.created_at)
    make_delivery(make_upload(made), here, adds=8, sent=8, members=8, accepted=8, refused=0, planned_at=live.created_at)
    return made


@pytest.fixture
def page(browser: Browser, live_server: Any, segment: Segment) -> Iterator[Page]:
    with window(browser, live_server, viewport={"width": 320, "height": 700}, has_touch=True, is_mobile=True) as opened:
        log_in(opened, "ada@northwind.example")
        yield opened


def pages_of(segment: Segment) -> list[str]:
    """Every main page."""
    one = f"/segments/{segment.pk}"
    account = f"/vendor-accounts/{segment.destinations.earliest('pk').vendor_account_id}"
    uploads = [f"/uploads/{upload.pk}" for upload in segment.uploads.all()]
    return [
        *("/", "/segments", one, "/segments/new", f"{one}/publish", f"{one}/rename", "/uploads/new", "/history"),
        *("/history/deliveries", *uploads, f"{uploads[0]}/receipt", "/vendor-accounts", "/vendor-accounts/new"),
        *("/vendor-accounts/new?vendor=xandr", account, f"{account}/change", "/identity", "/erase", "/keys"),
        *("/people", "/audit", "/company/settings", "/account"),
    ]


def test_no_page_has_to_be_pushed_sideways_on_the_narrowest_phone(page: Page, segment: Segment) -> None:
    wider: dict[str, int] = {}
    for width in (320, 360):
        page.set_viewport_size({"width": width, "height": 700})
        for url in pages_of(segment):
            answer = page.goto(url)
            assert answer is not None
            assert answer.ok, url
            needs = page.evaluate("document.documentElement.scrollWidth")
            if needs > width:
                wider[f"{url} at {width}"] = needs
    assert wider == {}


@pytest.mark.parametrize("companies", [1, 2])
def test_a_long_name_of_a_company_leaves_the_way_to_ones_own_menu(page: Page, segment: Segment, companies: int) -> None:
    segment.company.name = "Bergamo & Söhne Handelsgesellschaft für Outdoor- und Freizeitausrüstung mbH"
    segment.company.save()
    if companies > 1:
        person = segment.company.memberships.get().user
        make_membership(person, make_company("southwind"), Role.MARKETER)
    page.goto("/history")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    menu = page.locator(".topbar summary", has_text="Your menu")
    box = menu.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 320
    expect(page.locator(".topbar summary").first).to_contain_text(segment.company.name)
    menu.tap()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def test_a_finger_hits_what_removes_something_and_nothing_beside_it(page: Page, segment: Segment) -> None:
    make_person(segment.company, Role.MARKETER, email="kim@northwind.example")
    for url, name in (("/people", "Remove"), (f"/segments/{segment.pk}", "Remove"), ("/people", "Change")):
        page.goto(url)
        buttons = page.locator("main .btn", has_text=name).all()
        assert buttons, url
        for button in buttons:
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["width"] >= 44


def test_a_mouse_gets_the_small_buttons_of_a_list(browser: Browser, live_server: Any, segment: Segment) -> None:
    with window(browser, live_server) as opened:
        log_in(opened, "ada@northwind.example")
        opened.goto("/people")
        box = opened.get_by_role("button", name="Remove").bounding_box()
        assert box is not None
        assert box["height"] < 44
