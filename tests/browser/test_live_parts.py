"""Parts of a page that replace themselves: nobody loses the place where they are, and a change of state is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.people.models import Role
from audsync_web.vendors.models import AccountStatus, VendorAccount
from tests.factories import PASSWORD, make_company, make_person
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads.models import PullStatus, SourcePull, Upload, UploadStatus

from .kit import log_in, nothing_fails, window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SEGMENTATION = "5e6f0a1c-7d2b-4c3d-8e4f-9a0b1c2d3e4f"


@pytest.fixture
def pull(db: None) -> SourcePull:
    """A segmentation that is being read."""
    company = make_company("northwind")
    make_person(company, Role.MANAGER, email="mo@northwind.example")
    WorkerHeartbeat.objects.create(worker="here:1")
    destination = make_destination(make_segment(company), "synerise", "custom_id")
    return SourcePull.objects.create(
        company=company,
        vendor_account=destination.vendor_account,
        segment=destination.segment,
        segmentation=SEGMENTATION,
        identifier="custom_id",
        next_action_at=timezone.now(),
    )


@pytest.fixture
def page(browser: Browser, live_server: Any, pull: SourcePull) -> Iterator[Page]:
    with window(browser, live_server) as opened:
        log_in(opened, "mo@northwind.example")
        with nothing_fails(opened):
            yield opened


def asked_again(page: Page, part: str) -> None:
    """Wait until the part has replaced itself."""
    page.locator(part).evaluate("part => { part.dataset.old = 'yes' }")
    expect(page.locator(f"{part}:not([data-old])")).to_be_visible()
    expect(page.locator(".htmx-settling, .htmx-added")).to_have_count(0)


def test_the_focus_stays_on_a_button_whose_part_replaces_itself(page: Page, pull: SourcePull) -> None:
    page.goto(f"/source-pulls/{pull.pk}")
    stop = page.get_by_role("button", name="Stop")
    stop.focus()
    asked_again(page, "#pull")
    expect(stop).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("link", name=pull.segment.name)).to_be_focused()
    asked_again(page, "#pull")
    expect(page.get_by_role("link", name=pull.segment.name)).to_be_focused()


def test_where_the_button_is_gone_the_part_itself_has_the_focus_and_its_end_is_said(
    page: Page, pull: SourcePull
) -> None:
    page.goto(f"/source-pulls/{pull.pk}")
    page.get_by_role("button", name="Stop").focus()
    said = page.locator("#announcer")
    asked_again(page, "#pull")
    expect(said).to_have_text("")
    SourcePull.objects.update(status=PullStatus.CANCELLED, finished_at=timezone.now(), details="Stopped by a person.")
    expect(said).to_have_text("Cancelled Stopped by a person.")
    expect(page.locator("#pull")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=pull.vendor_account.name).last).to_be_focused()


def test_the_focus_stays_on_a_link_of_the_overview(page: Page, pull: SourcePull) -> None:
    for name in ("first.csv", "second.csv"):
        make_upload(pull.segment, UploadStatus.DELIVERING, file_name=name)
    page.goto("/")
    link = page.locator("#running").get_by_role("link", name="second.csv")
    link.focus()
    asked_again(page, "#live")
    expect(link).to_be_focused()


def test_what_is_unfolded_on_the_board_stays_unfolded(page: Page, pull: SourcePull) -> None:
    destination = pull.segment.destinations.get()
    upload = make_upload(pull.segment, UploadStatus.DELIVERING)
    failed = make_delivery(upload, destination, "failed")
    make_delivery(upload, destination, "queued", retry_of=failed)
    page.goto(f"/uploads/{upload.pk}")
    page.locator(".disclosure summary").focus()
    page.keyboard.press("Enter")
    asked_again(page, "#board")
    expect(page.locator(".disclosure[open]")).to_be_visible()
    expect(page.locator(".disclosure summary")).to_be_focused()


def test_a_board_that_loads_its_page_again_keeps_the_focus_and_says_how_it_stands(page: Page, pull: SourcePull) -> None:
    upload = make_upload(pull.segment, UploadStatus.DELIVERING)
    make_delivery(upload, pull.segment.destinations.get(), "sending")
    page.goto(f"/uploads/{upload.pk}")
    page.get_by_label("Breadcrumb").get_by_role("link").first.focus()
    Upload.objects.update(status=UploadStatus.COMPLETED, finished_at=timezone.now())
    upload.deliveries.update(status="completed", finished_at=timezone.now())
    expect(page.get_by_role("link", name="Receipt")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("Completed Every destination has what the file says.")
    expect(page.get_by_label("Breadcrumb").get_by_role("link").first).to_be_focused()


def test_a_check_gives_the_focus_back_to_its_button(page: Page, pull: SourcePull) -> None:
    VendorAccount.objects.update(status=AccountStatus.OK)
    page.goto(f"/vendor-accounts/{pull.vendor_account_id}")
    button = page.get_by_role("button", name="Check now")
    button.focus()
    with page.expect_response("**/check"):
        page.keyboard.press("Enter")
    expect(button).to_be_enabled()
    expect(button).to_be_focused()


@pytest.mark.parametrize("way", ["Escape", "Keep as it is"])
def test_a_question_that_came_from_a_menu_gives_the_focus_back_to_it(page: Page, pull: SourcePull, way: str) -> None:
    page.goto(f"/vendor-accounts/{pull.vendor_account_id}")
    more = page.locator("main details[data-menu] > summary")
    more.press("Enter")
    page.get_by_role("button", name="Pause").press("Enter")
    keep = page.get_by_role("dialog").get_by_role("button", name="Keep as it is")
    expect(keep).to_be_focused()
    page.keyboard.press("Escape" if way == "Escape" else "Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(more).to_be_focused()


def test_a_filter_says_how_much_fits(page: Page, pull: SourcePull) -> None:
    said = page.locator("#announcer")
    page.goto(f"/vendor-accounts/{pull.vendor_account_id}/segmentations")
    page.locator("[data-search]").fill("nothing has this")
    expect(said).to_have_text("Nothing fits")
    page.locator("[data-search]").fill(pull.segment.name)
    expect(said).to_have_text("1 row fits")
    expect(page.locator("[data-search]")).to_be_focused()


def test_a_message_that_comes_with_a_page_is_said(page: Page, pull: SourcePull) -> None:
    page.goto(f"/source-pulls/{pull.pk}")
    page.get_by_role("button", name="Stop").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#announcer")).to_contain_text("What was read of it is deleted.")
    assert not Upload.objects.exists()


def test_times_can_be_read_whole_without_a_mouse_and_stay_so_on_the_next_page(page: Page, pull: SourcePull) -> None:
    upload = make_upload(pull.segment, UploadStatus.DELIVERING)
    make_delivery(upload, pull.segment.destinations.get(), "sending")
    page.goto(f"/uploads/{upload.pk}")
    times = page.locator("main time[data-relative]")
    expect(times.first).not_to_contain_text("UTC")
    switch = page.get_by_role("button", name="Times in UTC")
    switch.press("Enter")
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(times.first).to_contain_text("UTC")
    asked_again(page, "#board")
    expect(times.first).to_contain_text("UTC")

    page.goto(f"/uploads/{upload.pk}/receipt")
    expect(switch).to_be_hidden()  # all of its times are whole

    page.goto("/history")
    expect(times.first).to_contain_text("UTC")
    switch.press("Enter")
    expect(times.first).not_to_contain_text("UTC")


def test_whoever_asks_for_a_check_hears_how_it_stands_though_nothing_has_changed(page: Page, pull: SourcePull) -> None:
    VendorAccount.objects.update(base_url="http://127.0.0.1:9", status=AccountStatus.NEEDS_ATTENTION)
    page.goto(f"/vendor-accounts/{pull.vendor_account_id}")
    announcer, check = page.locator("#announcer"), page.get_by_role("button", name="Check now")
    for _ in range(2):
        announcer.evaluate("announcer => { announcer.textContent = '' }")
        check.press("Enter")
        expect(announcer).not_to_be_empty()
        expect(check).to_be_enabled()


@pytest.mark.parametrize("place", ["board", "overview"])
def test_a_live_page_says_when_the_session_has_ended_asks_no_more_and_leads_back(
    page: Page, pull: SourcePull, place: str
) -> None:
    upload = make_upload(pull.segment, UploadStatus.DELIVERING)
    make_delivery(upload, pull.segment.destinations.get(), "sending")
    path, part = (f"/uploads/{upload.pk}", "#board") if place == "board" else ("/", "#live")
    page.goto(path)
    asked_again(page, part)
    said = page.get_by_role("alert")
    expect(said).to_have_count(0)
    page.context.clear_cookies()
    expect(said).to_contain_text("You are logged out.")
    assert page.url.endswith(path)

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6_000)  # longer than any part of a page waits before it asks again
    assert asked == []

    said.get_by_role("link", name="Log in").click()
    page.fill("[name=username]", "mo@northwind.example")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(f"**{path}")
    asked_again(page, part)
    expect(said).to_have_count(0)
