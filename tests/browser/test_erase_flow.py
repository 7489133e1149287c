"""One person found and erased in the browser, a segmentation brought over, members topped up, an upload taken back;
and each of these pages without a fault for those who use a screen reader, a keyboard, a phone or the dark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.people.models import Role
from audsync_web.sandbox.server import Sandbox
from audsync_web.sandbox.synerise import DEMO_SEGMENTATION
from segments.models import Segment
from segments.services import DestinationWish, segment_create
from tests.api_world import bearer_client, upload
from tests.factories import make_actor, make_company, make_person
from tests.jobs_helper import run_until, run_until_quiet
from tests.sandbox_accounts import connect, hurry
from uploads.models import Erasure, PersonSearch, Snapshot, SourcePull, Upload

from .kit import PHONE, WIDE, log_in, nothing_fails, window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PERSON = "person-1@example.invalid"


@pytest.fixture
def actor(db: None) -> Any:
    company = make_company("northwind")
    WorkerHeartbeat.objects.create(worker="here:1")
    return make_actor(make_person(company, Role.ADMIN, email="ada@northwind.example", name="Ada"), company)


@pytest.fixture
def segment(box: Sandbox, actor: Any) -> Segment:
    """A segment at mediarithmics that has had two uploads."""
    hurry(box, "mediarithmics")
    account = connect(box, actor, "mediarithmics", name="mics data mart", identifier="email_sha256")
    made = segment_create(actor=actor, name="Lapsed buyers", destinations=[DestinationWish(account)])
    api = bearer_client(actor.user, actor.company)
    for people in ((PERSON, "anna@example.invalid"), (PERSON, "ben@example.invalid")):
        settle(Upload.objects.get(pk=upload(api, made, "\n".join(("email", *people, ""))).json()["id"]))
    return made


def settle(row: Any) -> None:
    def is_over() -> bool:
        row.refresh_from_db()
        return row.finished_at is not None

    run_until(is_over, lambda: row.status)


@pytest.fixture
def page(browser: Browser, live_server: Any, actor: Any) -> Iterator[Page]:
    """A logged-in browser in which no script may fail."""
    with window(browser, live_server, viewport=WIDE) as opened, nothing_fails(opened):
        log_in(opened, "ada@northwind.example")
        yield opened


def look(page: Page, name: str) -> None:
    """No fault for assistive technology, light and dark, wide and on a phone; nothing wider than the phone."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        # The theme follows the system a moment later; a look in between would see half of each.
        page.wait_for_function("theme => document.documentElement.dataset.bsTheme === theme", arg=scheme)
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)
            found = Axe().run(page)
            assert found.violations_count == 0, f"{name} {scheme}: {found.generate_report()}"
        wider = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wider, f"{name} is wider than a phone"
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")


def test_a_person_is_found_and_erased(page: Page, segment: Segment) -> None:
    page.goto("/erase")
    look(page, "find")
    page.get_by_label("Identifier").fill(PERSON)
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**/erase/searches/*")
    assert "person-1" not in page.url
    run_until_quiet(kinds=("uploads.search",))
    expect(page.get_by_role("heading", name="Where they are")).to_be_visible()
    expect(page.locator("#found")).to_contain_text("Lapsed buyers")
    look(page, "search")
    page.get_by_label("Type the identifier to confirm").fill("somebody else")
    page.get_by_role("button", name="Remove everywhere").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "refused")
    page.get_by_label("Type the identifier to confirm").fill(PERSON)
    page.get_by_role("button", name="Remove everywhere").click()
    page.wait_for_url("**/erasures/*")
    settle(Erasure.objects.get())
    expect(page.locator("#erasure")).to_contain_text("Every step is done")
    assert PERSON not in page.content()
    look(page, "receipt")
    page.goto("/erase")
    expect(page.locator("#erasures")).to_contain_text("Completed")
    look(page, "erasures")


def test_a_person_who_is_nowhere(page: Page, segment: Segment) -> None:
    page.goto("/erase")
    page.get_by_label("Identifier").fill("   ")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Identifier").fill("nobody@example.invalid")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**/erase/searches/*")
    run_until_quiet(kinds=("uploads.search",))
    expect(page.locator("#found")).to_contain_text("In no membership")
    look(page, "nowhere")
    PersonSearch.objects.update(person=None)
    page.reload()
    expect(page.locator("#search")).to_contain_text("no longer kept")


def test_a_segmentation_is_brought_to_a_segment(page: Page, box: Sandbox, actor: Any) -> None:
    source = connect(box, actor, "synerise", name="Synerise")
    target = connect(box, actor, "anonymised", name="Anonymised EU", minSecondsBetweenUploads=0)
    made = segment_create(actor=actor, name="Loyal buyers", destinations=[DestinationWish(target)])
    run_until_quiet()
    page.goto(f"/vendor-accounts/{source.pk}")
    page.get_by_role("link", name="Segmentations").click()
    page.wait_for_url("**/segmentations")
    look(page, "segmentations")
    page.get_by_label("Segmentation (UUID)").fill(DEMO_SEGMENTATION)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("rowheader", name="de•••01")).to_be_visible()
    expect(page.get_by_text("demo-crm-000001")).to_have_count(0)
    look(page, "segmentation")
    page.get_by_role("link", name="Show the values").click()
    expect(page.get_by_text("demo-crm-000001")).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("demo-crm-000051")).to_be_visible()
    page.locator("select[name=segment]").select_option(str(made.pk))
    page.get_by_role("button", name="Read it").click()
    page.wait_for_url("**/source-pulls/*")
    look(page, "pull")
    settle(SourcePull.objects.get())
    page.get_by_role("link", name="See what it would change").click()
    run_until_quiet()
    page.reload()
    expect(page.get_by_role("button", name="Go", exact=True)).to_be_visible()
    page.goto(f"/vendor-accounts/{source.pk}/segmentations/00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "unknown segmentation")


def test_who_ends_soon_is_topped_up_with_one_click(page: Page, segment: Segment) -> None:
    soon = timezone.now().date() + dt.timedelta(days=5)
    Snapshot.objects.filter(superseded_at__isnull=True).update(
        first_ends_on=soon, ends={"days": {soon.isoformat(): 2}, "later": 0, "never": 0}
    )
    page.goto(f"/segments/{segment.pk}/ending")
    expect(page.locator("#expiry")).to_contain_text("in 5 days")
    look(page, "ending")
    page.get_by_role("button", name="Top up").click()
    page.wait_for_url("**/uploads/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Top-up")


def test_an_upload_is_taken_back_after_a_look(page: Page, segment: Segment) -> None:
    last = Upload.objects.order_by("-created_at")[0]
    page.goto(f"/uploads/{last.pk}/undo")
    expect(page.get_by_text("Possible")).to_be_visible()
    look(page, "undo")
    page.get_by_role("button", name="Compare, then ask me").click()
    page.wait_for_url(lambda url: str(last.pk) not in url)
    run_until_quiet(kinds=("uploads.inspection",))
    page.reload()
    expect(page.get_by_role("button", name="Go").first).to_be_visible()
    look(page, "undo waits for a look")
    first = Upload.objects.order_by("created_at")[0]
    page.goto(f"/uploads/{first.pk}/undo")
    expect(page.get_by_text("A later delivery has changed it since.")).to_be_visible()
