"""A file in the browser: looked at, sent resumably, previewed, started, followed, found again; and without a fault
for those who use a screen reader, in both themes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from audsync_web.people.models import Role
from tests.factories import PASSWORD, make_company, make_person
from tests.jobs_helper import run_until_quiet
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads.models import Upload

from .kit import log_in, nothing_fails, window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BOARD = re.compile(r"/uploads/[0-9a-f]{8}-[0-9a-f-]{27}$")
PIECE = 8 * 1024 * 1024


@pytest.fixture
def world(db: None) -> Any:
    company = make_company("northwind")
    person = make_person(company, Role.MANAGER, email="mo@northwind.example")
    segment = make_segment(company)
    make_destination(segment)
    return {"company": company, "person": person, "segment": segment}


@pytest.fixture
def page(browser: Browser, live_server: Any, world: Any) -> Iterator[Page]:
    """A logged-in browser whose console must stay silent."""
    with window(browser, live_server) as opened, nothing_fails(opened):
        log_in(opened, "mo@northwind.example")
        yield opened


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., str]:
    def make(text: str, name: str = "lapsed.csv") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return make


def choose(page: Page, world: Any, path: str) -> None:
    page.goto(f"/uploads/new?segment={world['segment'].pk}")
    page.set_input_files("[name=file]", path)
    expect(page.locator("#preview table, #preview .notice").first).to_be_visible()


def test_a_file_is_looked_at_sent_previewed_and_found_again(page: Page, world: Any, make_file: Any) -> None:
    choose(page, world, make_file("provider_id\na1\na2\na2\n"))
    expect(page.locator("#preview")).to_contain_text("Provider id, column “provider_id”")
    expect(page.locator("#preview td").first).to_have_text("a1")
    page.click("#send")
    page.wait_for_url(BOARD)
    run_until_quiet(kinds=("uploads.inspection",))
    expect(page.locator("#preflight")).to_contain_text("+2")
    page.click("#preflight button[type=submit]")
    expect(page.locator("#board")).to_contain_text("Delivering")
    assert Upload.objects.get().deliveries.count() == 1
    page.goto("/history")
    expect(page.locator("#history-rows")).to_contain_text("lapsed.csv")


def test_the_one_column_that_is_known_is_chosen_by_itself(page: Page, world: Any, make_file: Any) -> None:
    choose(page, world, make_file("name;provider_id\nKim;a1\nMo;a2\n"))
    expect(page.locator("#preview .preview-head")).to_contain_text("column “provider_id”")
    expect(page.locator("#preview fieldset")).to_have_count(0)
    page.click("#send")
    page.wait_for_url(BOARD)
    run_until_quiet(kinds=("uploads.inspection",))
    upload = Upload.objects.get()
    assert (upload.status, upload.members) == ("ready", 2)


def test_a_header_that_nobody_knows_is_asked_about(page: Page, world: Any, make_file: Any) -> None:
    choose(page, world, make_file("a1\na2\n"))
    question = page.locator("#preview fieldset")
    expect(question).to_contain_text("is a member")
    question.locator("input[value=no]").check()
    question.locator("select").select_option("provider_id")
    page.click("#send")
    page.wait_for_url(BOARD)
    run_until_quiet(kinds=("uploads.inspection",))
    assert Upload.objects.get().members == 2


def test_a_lost_connection_goes_on_by_itself_where_it_stopped(page: Page, world: Any, make_file: Any) -> None:
    rows = "".join(f"member-{number:012d}\n" for number in range(450_000))
    lost = threading.Event()
    begins: list[int] = []

    def lose_one(route: Route) -> None:
        if route.request.method != "PATCH":
            route.continue_()
            return
        offset = int(route.request.headers["upload-offset"])
        begins.append(offset)
        if offset and not lost.is_set():
            lost.set()
            route.abort("connectionfailed")
        else:
            route.continue_()

    page.route("**/membership/tus/**", lose_one)
    choose(page, world, make_file(f"provider_id\n{rows}"))
    page.click("#send")
    page.wait_for_url(BOARD, timeout=30_000)
    assert lost.is_set()
    assert begins == [0, PIECE, PIECE]
    assert Upload.objects.get().bytes == len(rows) + len("provider_id\n")


def test_a_left_page_goes_on_with_the_same_file(page: Page, world: Any, make_file: Any) -> None:
    path = make_file("provider_id\n" + "".join(f"member-{number:012d}\n" for number in range(450_000)))
    begins: list[int] = []

    def note(route: Route) -> None:
        if route.request.method == "PATCH":
            begins.append(int(route.request.headers["upload-offset"]))
            if begins[-1] and len(begins) == 2:
                return  # never answered: the page is left meanwhile
        route.continue_()

    page.route("**/membership/tus/**", note)
    page.on("dialog", lambda dialog: dialog.accept())
    choose(page, world, path)
    page.click("#send")
    expect(page.locator("#transfer-hint")).to_contain_text("of")
    page.wait_for_function("() => Number(document.querySelector('#transfer-bar').value) > 0.5")
    choose(page, world, path)
    expect(page.locator("#unfinished")).to_contain_text("lapsed.csv")
    page.click("#send")
    page.wait_for_url(BOARD, timeout=30_000)
    assert begins[-1] == PIECE
    assert Upload.objects.count() == 1


def test_a_refusal_of_the_server_is_shown_and_the_form_is_there_again(page: Page, world: Any, make_file: Any) -> None:
    choose(page, world, make_file("provider_id\na1\n"))
    world["segment"].status = "archived"
    world["segment"].save()
    page.click("#send")
    expect(page.locator("#toasts")).to_contain_text("archived")
    expect(page.locator("#send")).to_be_visible()


def test_a_session_that_has_ended_costs_nothing_that_was_chosen(page: Page, world: Any, make_file: Any) -> None:
    choose(page, world, make_file("provider_id\na1\na2\n"))
    page.get_by_label("Add", exact=False).first.check()
    page.context.clear_cookies()
    page.click("#send")
    told = page.locator("#toasts")
    expect(told).to_contain_text("You are logged out. Log in and your choices are still here.")
    expect(told).not_to_contain_text("token")
    expect(page.locator("#preview td").first).to_have_text("a1")

    with page.expect_popup() as opened:
        told.get_by_role("link", name="Log in").click()
    other = opened.value
    other.fill("[name=username]", "mo@northwind.example")
    other.fill("[name=password]", PASSWORD)
    other.click("button[type=submit]")
    other.wait_for_url("**/")
    other.close()

    page.click("#send")
    page.wait_for_url(BOARD)
    upload = Upload.objects.get()
    assert (upload.file_name, upload.mode) == ("lapsed.csv", "add")


def test_the_form_works_without_scripts(browser: Browser, live_server: Any, world: Any, make_file: Any) -> None:
    with window(browser, live_server, java_script_enabled=False) as page:
        log_in(page, "mo@northwind.example")
        page.goto(f"/uploads/new?segment={world['segment'].pk}")
        page.set_input_files("[name=file]", make_file("provider_id\na1\n"))
        page.locator("[name=mode][value=replace]").check()
        page.click("#send")
        page.wait_for_url(BOARD)


def paste(page: Page, world: Any, text: str) -> None:
    page.goto(f"/uploads/new?segment={world['segment'].pk}")
    page.click("#paste > summary")
    page.fill("[name=ids]", text)


def test_pasted_identifiers_are_asked_about_beside_the_box(page: Page, world: Any) -> None:
    make_destination(world["segment"], "mediarithmics", "email_sha256")
    paste(page, world, "a1\na2\n")
    kinds = page.locator("[name=ids_kind] option").all_inner_texts()
    assert kinds == ["Choose the identifier kind", "Provider id", "E-mail address", "E-mail, SHA-256"]
    page.click("#send")
    expect(page.locator("[name=ids_kind]")).to_be_focused()
    page.select_option("[name=ids_kind]", "provider_id")
    page.click("#send")
    page.wait_for_url(BOARD)
    run_until_quiet(kinds=("uploads.inspection",))
    assert Upload.objects.get().members == 2


def test_a_file_and_pasted_identifiers_never_go_together_and_neither_is_lost(
    page: Page, world: Any, make_file: Any
) -> None:
    paste(page, world, "a1\na2\n")
    page.set_input_files("[name=file]", make_file("provider_id\nb1\n"))
    expect(page.locator("#both")).to_be_visible()
    expect(page.locator("#send")).to_be_disabled()
    expect(page.locator("#send-note")).to_contain_text("the file or the pasted identifiers")
    expect(page.locator("[name=ids]")).to_have_value("a1\na2\n")
    page.click("#drop-file")
    expect(page.locator("#both")).to_be_hidden()
    expect(page.locator("#send")).to_be_enabled()
    expect(page.locator("[name=ids]")).to_have_value("a1\na2\n")


def test_a_few_pasted_identifiers_are_added_unless_somebody_chose_otherwise(
    page: Page, world: Any, make_file: Any
) -> None:
    chosen = page.locator("[name=mode]:checked")
    choose(page, world, make_file("provider_id\nb1\n"))
    expect(chosen).to_have_value("replace")
    paste(page, world, "a1\n")
    expect(chosen).to_have_value("add")
    page.locator("[name=mode][value=remove]").check()
    page.fill("[name=ids]", "a1\na2\n")
    expect(chosen).to_have_value("remove")
    page.goto(f"/uploads/new?segment={world['segment'].pk}&mode=replace")
    page.click("#paste > summary")
    page.fill("[name=ids]", "a1\n")
    expect(chosen).to_have_value("replace")


def test_who_cannot_take_a_file_is_known_before_it_is_sent(page: Page, world: Any, make_file: Any) -> None:
    choose(page, world, make_file("email\nkim@example.invalid\n"))
    expect(page.locator("#fit")).to_contain_text("No destination of this segment can take “E-mail address”.")
    expect(page.locator("#send")).to_be_disabled()
    make_destination(world["segment"], "mediarithmics", "email_sha256")
    choose(page, world, make_file("email\nkim@example.invalid\n"))
    expect(page.locator("#fit")).to_contain_text("1 of 2 destinations cannot take “E-mail address”.")
    expect(page.locator("#send")).to_be_enabled()
    page.click("#reading > summary")
    page.select_option("#reading [name=kind]", "provider_id")
    expect(page.locator("#fit")).to_be_hidden()


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x06\0\0\0\x1f\xf3\xffa"]
)
def test_what_is_no_list_cannot_be_sent_until_another_file_is_chosen(
    page: Page, world: Any, make_file: Any, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "picture.csv").write_bytes(content)
    choose(page, world, str(tmp_path / "picture.csv"))
    expect(page.locator("#send")).to_be_disabled()
    expect(page.locator("#send-note")).to_contain_text("Choose another file.")
    page.set_input_files("[name=file]", make_file("provider_id\na1\n"))
    expect(page.locator("#send")).to_be_enabled()


@pytest.mark.parametrize(
    ("vendors", "guess"),
    [
        ([("synerise", "custom_id"), ("mediarithmics", "email_sha256")], "provider_id"),
        ([], "provider_id"),
        (None, "uuid"),
    ],
)
def test_a_shape_that_may_be_anybodys_is_read_as_most_destinations_take_it(
    page: Page, world: Any, make_file: Any, vendors: Any, guess: str
) -> None:
    if vendors is None:
        world["segment"].destinations.update(identifier="uuid")
    for vendor, kind in vendors or []:
        make_destination(world["segment"], vendor, kind)
    rows = [f"{number:08d}-2222-4333-8444-555566667777\n" for number in range(5)]
    choose(page, world, make_file("".join(rows)))
    expect(page.locator("#preview-kind")).to_have_value(guess)


def test_long_numbers_are_not_taken_for_one_vendors_ids(page: Page, world: Any, make_file: Any) -> None:
    make_destination(world["segment"], "synerise", "custom_id")
    choose(page, world, make_file("".join(f"{4_400_000_000_000_000_000 + number}\n" for number in range(9))))
    expect(page.locator("#preview-kind")).to_have_value("provider_id")
    expect(page.locator("#fit")).to_be_hidden()


def test_a_segment_that_is_chosen_after_the_file_is_heeded_and_a_chosen_kind_stays(
    page: Page, world: Any, make_file: Any
) -> None:
    page.goto("/uploads/new")
    page.set_input_files("[name=file]", make_file("".join(f"{4_400_000_000_000_000_000 + n}\n" for n in range(9))))
    expect(page.locator("#preview-kind")).to_have_value("xandr_id")
    page.select_option("[name=segment]", str(world["segment"].pk))
    expect(page.locator("#preview-kind")).to_have_value("provider_id")
    page.select_option("#preview-kind", "custom_id")
    page.select_option("[name=segment]", "")
    expect(page.locator("#preview-kind")).to_have_value("custom_id")


DROP = """(names) => {
  const carrier = new DataTransfer();
  for (const name of names) carrier.items.add(new File(["provider_id\\na1\\n"], name));
  const event = new DragEvent("drop", { dataTransfer: carrier, bubbles: true, cancelable: true });
  document.querySelector("#drop").dispatchEvent(event);
}"""


def test_of_two_dropped_files_none_is_left_out_in_silence(page: Page, world: Any) -> None:
    page.goto(f"/uploads/new?segment={world['segment'].pk}")
    page.evaluate(DROP, ["one.csv"])
    expect(page.locator("#preview td").first).to_have_text("a1")
    page.evaluate(DROP, ["two.csv", "three.csv"])
    expect(page.locator("#toasts")).to_contain_text("2 files were dropped, and an upload takes one")
    assert page.evaluate("() => document.querySelector('[name=file]').files[0].name") == "one.csv"


def make_everything(world: Any) -> list[str]:
    """Uploads in the states that show the most, and the pages to look at."""
    segment = world["segment"]
    destination = segment.destinations.get()
    other = make_destination(segment, "synerise")
    live = make_upload(segment, "delivering", uploaded_by=world["person"], rejected_by_reason={"empty_value": 1})
    told = {"error_text": "The vendor refused.", "next_step": "Ask the vendor.", "vendor_text": "NOAUTH"}
    make_delivery(live, destination, "needs attention", **told)
    make_delivery(live, other, "sending", adds=8, sent=8, members=8, accepted=4, refused=1, planned_at=live.created_at)
    cell = {"destination": destination.pk, "name": "x", "taken": True, "known": True, "before": 10, "members": 2}
    cell |= {"held": 0, "adds": 0, "renewed": 0, "removes": 8, "unchanged": 2}
    held = make_upload(segment, "ready", preview={"at": live.created_at.isoformat(), "destinations": [cell]})
    done = make_upload(segment)
    make_delivery(done, destination, adds=8, sent=8, members=8, accepted=8, refused=0, planned_at=live.created_at)
    pages = [f"/uploads/{upload.pk}" for upload in (live, held, done)]
    return ["/", "/uploads/new", "/history", "/history/deliveries", f"/uploads/{done.pk}/receipt", *pages]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_fault_of_accessibility(page: Page, world: Any, make_file: Any, theme: Any) -> None:
    urls = make_everything(world)
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    for url in urls:
        page.goto(url)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{url}: {found.generate_report()}"
    choose(page, world, make_file("name;code\nKim;a1\nMo;a2\n"))
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
