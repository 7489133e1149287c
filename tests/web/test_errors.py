"""Errors that a person meets in the browser: a page in the product's look with a way on, for htmx a readable part."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from django.urls import resolve

from audsync_web import errors
from audsync_web.people.models import Company, User
from tests.conftest import LoggedIn
from tests.factories import make_membership
from tests.uploads.kit import make_segment

HTMX = {"HX-Request": "true"}


def says(answer: Any, *words: str) -> bool:
    html = answer.content.decode()
    return all(word in html for word in words)


@pytest.fixture
def browser(logged_in: LoggedIn, manager: User) -> Client:
    return logged_in(manager)


@pytest.fixture
def strict(manager: User) -> Client:
    """A browser that forgets its form tokens."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(manager)
    return client


def test_an_address_of_a_button_opened_by_itself_is_a_page_that_leads_to_the_thing(
    browser: Client, company: Company
) -> None:
    segment = make_segment(company)
    answer = browser.get(f"/segments/{segment.pk}/top-up")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert says(answer, "This is no page to open", f'href="/segments/{segment.pk}"', 'id="navigation"')
    assert browser.get(f"/segments/{segment.pk}").status_code == 200


def test_the_same_holds_for_views_of_django_and_for_the_other_direction(browser: Client) -> None:
    for answer in (browser.get("/logout"), browser.post("/history"), browser.delete("/login")):
        assert answer.status_code == 405
        assert says(answer, "This is no page to open", 'href="/"')


def test_programs_get_the_methods_answer_as_json(browser: Client) -> None:
    answer = browser.get("/api/public/v3/login")
    assert (answer.status_code, list(answer.json())) == (405, ["error"])


@pytest.mark.parametrize("url", ["/nowhere", "/segments/987654", "/uploads/00000000-0000-4000-8000-000000000000"])
def test_what_is_not_there_keeps_the_navigation(browser: Client, url: str) -> None:
    answer = browser.get(url)
    assert answer.status_code == 404
    assert says(answer, "Nothing is here", 'id="navigation"', "a company that you are not in")


def test_who_is_in_several_companies_is_told_to_look_in_the_others(
    logged_in: LoggedIn, manager: User, company: Company, other_company: Company
) -> None:
    make_membership(manager, other_company)
    theirs = make_segment(other_company)
    answer = logged_in(manager, company).get(f"/segments/{theirs.pk}")
    assert answer.status_code == 404
    assert says(answer, "Change company above", 'value="southwind"')


def test_a_stranger_without_a_login_sees_the_plain_page(client: Client, db: None) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert says(answer, "Nothing is here", 'class="plain"')
    assert not says(answer, 'id="navigation"')


def test_what_is_not_yours_to_do_says_whose_it_is(browser: Client) -> None:
    answer = browser.get("/people")
    assert answer.status_code == 403
    assert says(answer, "Only admins may do that.", "An admin of the company can change your role.", 'href="/"')


def test_an_old_form_leads_back_to_the_page_it_was_sent_from(strict: Client) -> None:
    answer = strict.post("/company/switch", {"company": "x"}, headers={"Referer": "http://testserver/history?q=a"})
    assert answer.status_code == 403
    assert says(answer, "The form was too old", 'href="/history?q=a"')


@pytest.mark.parametrize("sent_from", ["https://evil.example/history", "http://testserver//evil.example/history", ""])
def test_an_old_form_of_another_site_leads_to_the_thing_itself(
    strict: Client, company: Company, sent_from: str
) -> None:
    segment = make_segment(company)
    answer = strict.post(f"/segments/{segment.pk}/top-up", headers={"Referer": sent_from})
    assert answer.status_code == 403
    assert not says(answer, 'href="//')
    assert not says(answer, 'href="https:')
    if "testserver" not in sent_from:
        assert says(answer, f'href="/segments/{segment.pk}"')


def test_a_form_that_is_too_large_is_told_so(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_UPLOAD_MAX_MEMORY_SIZE", 1000)
    answer = browser.post("/company/switch", {"company": "x" * 2000})
    assert answer.status_code == 413
    assert says(answer, "That is too large", "1\u202fkB", "goes up as a file")


def test_a_fault_of_ours_stands_alone_and_names_its_reference(rf: RequestFactory) -> None:
    answer = errors.server_error(rf.get("/history"))
    assert answer.status_code == 500
    assert says(answer, "Something broke on our side", "in the log under", 'href="/"')


@pytest.mark.parametrize(
    ("method", "url", "status", "words"),
    [
        ("get", "/nowhere", 404, "Nothing is here"),
        ("get", "/people", 403, "Only admins may do that."),
        ("get", "/logout", 405, "This is no page to open"),
    ],
)
def test_htmx_gets_a_part_that_can_be_read(browser: Client, method: str, url: str, status: int, words: str) -> None:
    answer = getattr(browser, method)(url, headers=HTMX)
    assert answer.status_code == status
    assert says(answer, "data-error", 'role="alert"', words)
    assert not says(answer, "<html")


def test_htmx_reads_of_old_forms_and_faults_too(strict: Client, rf: RequestFactory) -> None:
    old = strict.post("/company/switch", headers=HTMX)
    assert old.status_code == 403
    assert says(old, "data-error", "The form was too old")
    asked: Any = rf.get("/history", headers=HTMX)
    asked.htmx = type("Asked", (), {"boosted": False, "history_restore_request": False})()
    broken = errors.server_error(asked)
    assert broken.status_code == 500
    assert says(broken, "data-error", "in the log under")


def test_no_error_page_has_inline_script_or_style_and_its_ways_lead_somewhere(browser: Client) -> None:
    for url in ("/nowhere", "/people", "/logout"):
        html = browser.get(url).content.decode()
        assert "<style" not in html
        assert " style=" not in html
        for way in html.partition('class="error-actions"')[2].partition("</div>")[0].split('href="')[1:]:
            assert resolve(urlsplit(way.partition('"')[0]).path)
