"""What a person sees in the browser when something cannot be had: on a whole page, in a part of one, after a press."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from audsync_web.people.models import Role
from segments.models import Segment
from tests.factories import PASSWORD, make_company, make_person
from tests.uploads.kit import make_destination, make_segment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ERROR = (
    '<div class="notice notice-bad" role="alert" data-error><div><p>This did not work</p><p>Look later.</p></div></div>'
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright's own loop runs in this thread; Django would take the test for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    known = CHROMIUM if Path(CHROMIUM).exists() else None
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=known, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def segment(db: None) -> Segment:
    company = make_company("northwind")
    make_person(company, Role.MANAGER, email="mo@northwind.example")
    made = make_segment(company)
    make_destination(made)
    return made


@pytest.fixture
def page(browser: Browser, live_server: Any, segment: Segment) -> Iterator[Page]:
    context = browser.new_context(base_url=live_server.url)
    opened = context.new_page()
    opened.goto("/login")
    opened.fill("[name=username]", "mo@northwind.example")
    opened.fill("[name=password]", PASSWORD)
    opened.click("button[type=submit]")
    opened.wait_for_url("**/")
    yield opened
    context.close()


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
