"""What a person sees in the browser when something cannot be had: a page, a part of one, a colour, a long name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from audsync_web.people import audit
from audsync_web.people.models import Role
from segments.models import Segment
from tests.factories import make_actor, make_company, make_person
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload

from .kit import PHONE, log_in, window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ERROR = (
    '<div class="notice notice-bad" role="alert" data-error><div><p>This did not work</p><p>Look later.</p></div></div>'
)


@pytest.fixture
def segment(db: None) -> Segment:
    company = make_company("northwind")
    make_person(company, Role.MANAGER, email="mo@northwind.example")
    made = make_segment(company)
    make_destination(made)
    return made


@pytest.fixture
def page(browser: Browser, live_server: Any, segment: Segment) -> Iterator[Page]:
    with window(browser, live_server) as opened:
        log_in(opened, "mo@northwind.example")
        yield opened


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_an_error_can_be_read_and_left_by_keyboard(page: Page, segment: Segment, theme: Any) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    for url in ("/nowhere", "/people", f"/segments/{segment.pk}/top-up"):
        page.goto(url)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{url}: {found.generate_report()}"
    page.get_by_role("link", name="Go to the page it belongs to").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(segment.name)


def test_a_part_that_cannot_be_filled_says_so_in_its_place(page: Page, segment: Segment) -> None:
    def broken(route: Route) -> None:
        route.fulfill(status=500, content_type="text/html", body=ERROR)

    page.route(f"**/segments/{segment.pk}/uploads", broken)
    page.goto(f"/segments/{segment.pk}")
    expect(page.locator("#segment-uploads [role=alert]")).to_contain_text("Look later.")
    expect(page.locator("#toasts [data-toast]")).to_have_count(0)


def test_a_press_that_is_refused_is_told_in_the_servers_words(page: Page, segment: Segment) -> None:
    page.goto("/segments")
    page.evaluate("window.htmx.ajax('POST', '/history', {target: '#toasts', swap: 'none'})")
    expect(page.locator("#toasts")).to_contain_text("This address only answers a button on another page.")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_plot_has_its_colours_for_those_who_want_no_motion_too(page: Page, segment: Segment, motion: Any) -> None:
    numbers: dict[str, Any] = {"adds": 8, "sent": 8, "members": 8, "accepted": 7, "refused": 1}
    make_delivery(make_upload(segment), segment.destinations.get(), **numbers)
    page.emulate_media(reduced_motion=motion)
    page.goto("/")
    markers = page.locator(".u-legend .u-series:not(:first-child) .u-marker")
    expect(markers).to_have_count(2)
    shown = markers.evaluate_all("all => all.map(one => getComputedStyle(one).borderTopColor)")
    ink = page.locator("figcaption").first.evaluate("one => getComputedStyle(one).color")
    assert len({*shown, ink}) == 3, shown


def test_a_long_name_of_a_company_can_be_read_on_a_phone(page: Page, segment: Segment) -> None:
    segment.company.name = "Bergamo & Söhne Handelsgesellschaft für Outdoor- und Freizeitausrüstung mbH"
    segment.company.save()
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/history")
    name = page.get_by_role("strong").filter(has_text=segment.company.name)
    expect(name).to_be_hidden()
    page.locator("details.company summary").focus()
    page.keyboard.press("Enter")
    expect(name).to_be_visible()
    box = name.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert Axe().run(page).violations_count == 0
    page.keyboard.press("Escape")
    expect(name).to_be_hidden()


def test_all_that_an_audit_entry_tells_can_be_read_on_a_phone(
    browser: Browser, live_server: Any, segment: Segment
) -> None:
    ada = make_person(segment.company, Role.ADMIN, email="ada@northwind.example")
    told: dict[str, Any] = {
        "identifier": "custom_id",
        "value": "de•••07",
        "receipt": 16,
        "outcome": "removed",
        "changed": 1,
        "left": 0,
    }
    audit.record(make_actor(ada, segment.company), "profile.erase", segment, **told)
    with window(browser, live_server, viewport=PHONE) as opened:
        log_in(opened, "ada@northwind.example")
        opened.goto("/audit")
        for value in ("de•••07", "removed"):
            place = opened.locator("td[data-label=Detail]", has_text=value).first.evaluate(
                "cell => [...cell.querySelectorAll('*')].map(one => one.getBoundingClientRect().right)"
            )
            assert max(place) <= PHONE["width"]
