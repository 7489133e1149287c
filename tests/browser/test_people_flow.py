"""People of a company in the browser: what gives somebody everything is asked about first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from audsync_web.people.models import Company, Invitation, Membership, Role, User
from tests.factories import make_person

from .kit import log_in, nothing_fails, window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def kim(company: Company) -> User:
    return make_person(company, Role.MARKETER, email="kim@northwind.example", name="Kim")


@pytest.fixture
def page(browser: Browser, live_server: Any, admin: User, kim: User) -> Iterator[Page]:
    with window(browser, live_server) as opened, nothing_fails(opened):
        log_in(opened, admin.email)
        yield opened


def role_of(person: User) -> str:
    return Membership.objects.get(user=person).role


def test_nobody_becomes_an_admin_before_a_question_has_been_answered(page: Page, kim: User) -> None:
    page.goto("/people")
    row = page.get_by_role("row").filter(has_text=kim.email)
    question, change = page.get_by_role("dialog"), row.get_by_role("button", name="Change")
    row.get_by_label(f"Role of {kim.email}").select_option("admin")
    change.click()
    expect(question).to_contain_text(f"Make {kim.email} an admin?")
    expect(question).to_contain_text("An admin may do everything in Northwind")
    page.keyboard.press("Escape")
    expect(change).to_be_focused()
    assert role_of(kim) == Role.MARKETER
    change.click()
    question.get_by_role("button", name="Make them an admin").click()
    expect(page.locator("#toasts")).to_contain_text("Admin")
    assert role_of(kim) == Role.ADMIN


def test_any_other_role_is_given_without_a_question(page: Page, kim: User) -> None:
    page.goto("/people")
    row = page.get_by_role("row").filter(has_text=kim.email)
    row.get_by_label(f"Role of {kim.email}").select_option("manager")
    row.get_by_role("button", name="Change").click()
    expect(page.locator("#toasts")).to_contain_text("Client success manager")
    assert role_of(kim) == Role.MANAGER


def test_nobody_is_invited_as_an_admin_before_a_question_has_been_answered(page: Page) -> None:
    page.goto("/people")
    form = page.locator("form[action$='invite']")
    form.get_by_label("E-mail").fill("new@northwind.example")
    form.get_by_label("Role").select_option("admin")
    form.get_by_role("button").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Invite an admin?")
    assert not Invitation.objects.exists()
    question.get_by_role("button", name="Invite them as an admin").click()
    expect(page.get_by_text("new@northwind.example").first).to_be_visible()
    assert Invitation.objects.get().role == Role.ADMIN
