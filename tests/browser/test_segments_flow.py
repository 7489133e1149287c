"""An account connected, a segment made, published and watched in the browser; and every page without a fault for those
who use a screen reader, a keyboard, a phone or the dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from audsync_web.jobs.models import Quota, WorkerHeartbeat
from audsync_web.people.models import Role
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, DestinationStatus, Segment
from segments.services import DestinationWish, segment_create
from tests.factories import make_actor, make_company, make_person
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect

from .kit import PHONE, WIDE, log_in, nothing_fails, window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def actor(db: None) -> Any:
    company = make_company("northwind")
    WorkerHeartbeat.objects.create(worker="here:1")
    return make_actor(make_person(company, Role.MANAGER, email="mo@northwind.example"), company)


@pytest.fixture
def page(browser: Browser, live_server: Any, actor: Any) -> Iterator[Page]:
    """A logged-in browser in which no script may fail."""
    with window(browser, live_server) as opened, nothing_fails(opened):
        log_in(opened, "mo@northwind.example")
        yield opened


def run() -> None:
    run_until_quiet(kinds=("segments.destination",))


def test_an_account_is_connected_after_the_vendor_has_refused_a_wrong_password(page: Page, box: Sandbox) -> None:
    page.goto("/vendor-accounts")
    page.click("text=Connect an account >> nth=0")
    page.click("a.pick:has-text('Xandr')")
    expect(page.locator("[name=settings_memberId]")).to_be_visible()
    page.click("a.pick:has-text('Anonymised')")
    expect(page.locator("[name=settings_memberId]")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"vendor=anonymised$"))
    page.fill("[name=name]", "Anonymised EU")
    page.fill("[name=base_url]", box.base_url("anonymised"))
    page.fill("[name=credentials_email]", "demo@northwind.example")
    page.fill("[name=credentials_password]", "not-the-password")
    page.click("#account-save")
    expect(page.locator("#connect [role=alert]")).to_contain_text("Nothing was saved")
    expect(page.locator("[name=credentials_password]")).to_have_value("")
    expect(page.locator("[name=name]")).to_have_value("Anonymised EU")
    page.fill("[name=credentials_password]", "demo-password-anonymised")
    page.press("[name=credentials_password]", "Enter")
    page.wait_for_url(re.compile(r"/vendor-accounts/\d+$"))
    expect(page.locator("#account-health")).to_contain_text("Working")
    assert VendorAccount.objects.get().name == "Anonymised EU"


def test_a_segment_is_made_published_and_seen_to_be_so_without_loading_the_page_again(
    page: Page, box: Sandbox, actor: Any
) -> None:
    connect(box, actor, "anonymised", name="Anonymised EU")
    connect(box, actor, "xandr", name="Xandr seat")
    page.goto("/segments")
    page.click("text=Create a segment >> nth=0")
    page.fill("[name=name]", "Lapsed buyers")
    page.fill("[name=duration_days]", "0")
    page.click("#segment-save")
    expect(page.locator("#segment-form [role=alert]")).to_be_focused()
    page.fill("[name=duration_days]", "90")
    page.click("label:has-text('Xandr seat')")
    page.click("#segment-save")
    page.wait_for_url(re.compile(r"/segments/\d+$"))
    expect(page.locator("#segment-live .place")).to_have_count(1)
    expect(page.locator("#segment-live .place")).to_contain_text("Creating")
    run()
    expect(page.locator("#segment-live .place")).to_contain_text("Created")
    expect(page.locator("#segment-live")).not_to_have_attribute("hx-trigger", re.compile("every"))
    page.click("#publish-link")
    expect(page.locator("main")).to_contain_text("becomes sellable at Anonymised")
    page.click("main button:has-text('Publish for good')")
    page.wait_for_url(re.compile(r"/segments/\d+$"))
    run()
    expect(page.locator("#segment-live .place")).to_contain_text("Published")
    assert Segment.objects.get().status == "published"


def test_a_lost_create_is_repeated_only_after_the_warning_was_answered(page: Page, box: Sandbox, actor: Any) -> None:
    account = connect(box, actor, "anonymised", name="Anonymised EU")
    box.context.faults.set("anonymised.drop_after_create", "1x")
    segment = segment_create(actor=actor, name="Lapsed buyers", destinations=[DestinationWish(account)])
    run_until_quiet(kinds=("segments.destination",), wait=3.0)
    page.goto(f"/segments/{segment.pk}")
    expect(page.locator(".place")).to_contain_text("A stray segment may be left at the vendor")
    page.click("button:has-text('Try again')")
    expect(page.locator("#confirm")).to_contain_text("stray")
    page.click("#confirm [data-dialog-close]")
    assert Destination.objects.get().status == DestinationStatus.NEEDS_ATTENTION
    page.click("button:has-text('Try again')")
    page.click("#confirm [data-confirm-yes]")
    expect(page.locator(".place")).to_contain_text("Creating")
    run()
    expect(page.locator(".place")).to_contain_text("Created")


def test_the_lists_filter_as_one_types_and_keep_it_in_the_url(page: Page, actor: Any) -> None:
    for name in ("Lapsed buyers", "Winter sale"):
        Segment.objects.create(company=actor.company, name=name, duration_days=90)
    page.goto("/segments")
    page.keyboard.press("/")
    page.keyboard.type("winter")
    expect(page.locator("#segment-rows tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=winter"))
    page.click("#segment-rows thead a:has-text('Members')")
    expect(page).to_have_url(re.compile(r"q=winter.*sort=size"))
    expect(page.locator("#segment-rows tbody tr")).to_have_count(1)
    expect(page.locator("[data-filter-export]")).to_have_attribute("href", re.compile(r"/export\?q=winter&sort=size$"))
    page.select_option("[name=status]", "all")
    expect(page).to_have_url(re.compile(r"status=all.*sort=size"))
    page.click("[data-filter-clear]")
    expect(page.locator("#segment-rows tbody tr")).to_have_count(2)
    expect(page.locator("[data-filter-clear]")).to_be_hidden()


def test_everything_can_be_done_without_javascript(
    browser: Browser, live_server: Any, box: Sandbox, actor: Any
) -> None:
    connect(box, actor, "anonymised", name="Anonymised EU")
    with window(browser, live_server, java_script_enabled=False) as page:
        log_in(page, "mo@northwind.example")
        page.goto("/segments/new")
        page.fill("[name=name]", "Lapsed buyers")
        page.click("#segment-save")
        run()
        page.reload()
        page.click("#publish-link")
        page.click("main button:has-text('Publish for good')")
        run()
        page.reload()
        assert "Published" in page.inner_text("#segment-live .place")


def furnished(box: Sandbox, actor: Any) -> dict[str, str]:
    """Every page in the states that are hard to see: pauses, faults, warnings, unknown members, a plot."""
    accounts = [connect(box, actor, vendor) for vendor in ("anonymised", "mediarithmics", "synerise", "xandr")]
    segment = segment_create(actor=actor, name="Lapsed buyers", destinations=[DestinationWish(one) for one in accounts])
    run_until_quiet(kinds=("segments.destination", "vendors.account"))
    rows = list(segment.destinations.order_by("pk"))
    now = timezone.now()
    for days, members in ((9, 100), (5, 120_000), (1, 984_581)):
        rows[0].snapshots.create(
            members=members,
            created_at=now - timedelta(days=days),
            superseded_at=None if days == 1 else now,
            first_ends_on=(now + timedelta(days=9)).date(),
        )
    broken = {"error_code": "outcome_unknown", "error_text": "The answer was lost.", "next_step": "Ask the vendor."}
    Destination.objects.filter(pk=rows[1].pk).update(
        status=DestinationStatus.NEEDS_ATTENTION, remote_id="", intent={"step": "create"}, vendor_text="503", **broken
    )
    Destination.objects.filter(pk=rows[2].pk).update(membership_known=False)
    VendorAccount.objects.filter(pk=accounts[1].pk).update(
        status="needs_attention", error_text="The token was refused.", next_step="Enter a new one.", warnings=["Soon."]
    )
    for account in accounts:
        Quota.objects.get_or_create(
            key=f"{account.quota_scope}:test",
            defaults={"paused_until": now + timedelta(hours=1), "pause_reason": "The vendor asks us to slow down."},
        )
    one, two = f"/segments/{segment.pk}", f"/vendor-accounts/{accounts[1].pk}"
    return {
        "/segments": "Lapsed buyers",
        "/segments?q=nothing": "Nothing fits",
        "/segments/new": "Destinations",
        one: "Who is in it is not known",
        f"{one}/publish": "sellable",
        f"{one}/rename": "technical name",
        f"{one}/destinations/new": "Every account has it already",
        f"{one}/destinations/{rows[3].pk}/remove": "Deactivate",
        "/vendor-accounts": "slow down",
        "/vendor-accounts/new": "sellable",
        "/vendor-accounts/new?vendor=synerise": "Workspace API key",
        two: "The token was refused",
        f"{two}/change": "Leave it empty to keep it",
        f"{two}/rename": "nothing changes at the vendor",
        f"{two}/disconnect": "paused instead",
        f"{two}/history": "History at the vendor",
    }


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", PHONE)])
def test_no_page_of_accounts_and_segments_has_a_fault_that_axe_finds_or_is_wider_than_the_screen(
    scheme: Any, size: Any, page: Page, box: Sandbox, actor: Any
) -> None:
    urls = furnished(box, actor)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(size)
    faults = []
    for url, text in urls.items():
        page.goto(url)
        expect(page.locator("main")).to_contain_text(text)
        for fold in page.locator("main details").all():
            fold.evaluate("element => { element.open = true; }")
        faults += [f"{url}: {found['id']} {found['nodes'][0]['html'][:160]}" for found in violations(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{url} is wider than the screen")
    assert not faults, "\n".join(faults)


def violations(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return found
