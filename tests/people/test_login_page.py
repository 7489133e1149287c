"""Logging in, out, and standing in one company."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audsync_web.people import throttle
from audsync_web.people.models import AuditEntry, Company, Role, User
from tests.conftest import LoggedIn
from tests.factories import PASSWORD, make_membership

LOGIN = "/login"


def log_in(client: Client, user: User, password: str = PASSWORD, **more: str) -> Any:
    return client.post(LOGIN, {"username": user.email, "password": password, **more})


def test_a_person_logs_in_with_e_mail_and_password_under_a_new_session(client: Client, manager: User) -> None:
    client.get(LOGIN)
    client.session.save()
    before = client.session.session_key
    answer = log_in(client, manager)
    assert answer.status_code == 302
    assert client.session.session_key != before
    assert client.get("/account").status_code == 200


def test_letter_case_of_the_e_mail_does_not_matter(client: Client, manager: User) -> None:
    answer = client.post(LOGIN, {"username": manager.email.upper(), "password": PASSWORD})
    assert answer.status_code == 302


def test_a_wrong_password_and_an_unknown_e_mail_read_the_same(client: Client, manager: User) -> None:
    wrong = log_in(client, manager, "not it")
    unknown = client.post(LOGIN, {"username": "who@people.example", "password": "not it"})
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.context["form"].non_field_errors() == unknown.context["form"].non_field_errors()


def test_an_unknown_e_mail_costs_a_password_hash_too(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(User, "set_password", lambda self, password: hashed.append(password))
    client.post(LOGIN, {"username": "who@people.example", "password": "not it"})
    assert hashed == ["not it"]


def test_a_person_who_was_switched_off_cannot_log_in(client: Client, manager: User) -> None:
    User.objects.filter(pk=manager.pk).update(is_active=False)
    assert log_in(client, manager).status_code == 422


def test_guessing_is_stopped_with_the_wait_said_and_a_right_password_does_not_pass_either(
    client: Client, manager: User
) -> None:
    for _ in range(throttle.PER_PAIR):
        assert log_in(client, manager, "guess").status_code == 422
    stopped = client.post("/login?next=/history", {"username": manager.email, "password": "guess"})
    assert stopped.status_code == 429
    assert 'href="/login?next=/history"' in stopped.content.decode()
    assert 0 < int(stopped.headers["Retry-After"]) <= 300


def test_guessing_at_one_person_does_not_lock_out_another_from_the_same_address(
    client: Client, manager: User, marketer: User
) -> None:
    for _ in range(throttle.PER_PAIR):
        log_in(client, manager, "guess")
    assert log_in(client, marketer).status_code == 302


def test_one_address_that_guesses_at_many_is_stopped(
    client: Client, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "PER_ADDRESS", 3)
    for number in range(3):
        client.post(LOGIN, {"username": f"p{number}@people.example", "password": "guess"})
    assert log_in(client, manager).status_code == 429


def test_a_right_password_starts_the_count_anew(client: Client, manager: User) -> None:
    for _ in range(throttle.PER_PAIR - 1):
        log_in(client, manager, "guess")
    assert log_in(client, manager).status_code == 302
    assert log_in(Client(), manager, "guess").status_code == 422


def test_one_goes_back_to_the_page_one_wanted_and_never_to_another_site(client: Client, manager: User) -> None:
    assert client.get("/keys").headers["Location"] == "/login?next=/keys"
    assert log_in(client, manager, next="/keys").headers["Location"] == "/keys"
    client.logout()
    assert "evil.example" not in log_in(client, manager, next="https://evil.example/").headers["Location"]


def test_log_out_is_a_post_and_ends_the_session(logged_in: LoggedIn, manager: User) -> None:
    client = logged_in(manager)
    assert client.get("/logout").status_code == 405
    assert client.get("/account").status_code == 200
    client.post("/logout")
    assert client.get("/account").status_code == 302


def test_forms_need_their_token(manager: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(LOGIN, {"username": manager.email, "password": PASSWORD}).status_code == 403


def test_an_anonymous_htmx_request_is_sent_to_the_login_as_a_whole(client: Client, db: None) -> None:
    answer = client.get(
        "/audit?cursor=x",
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/audit?action=a"},
    )
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == "/login?next=/audit%3Faction%3Da"


def test_somebody_in_no_company_is_told_so(logged_in: LoggedIn, outsider: User) -> None:
    answer = logged_in(outsider).get("/account")
    assert answer.status_code == 403
    assert "no company" in answer.content.decode()


def test_the_switcher_changes_the_company_and_knows_only_ones_own(
    logged_in: LoggedIn, manager: User, company: Company, other_company: Company
) -> None:
    client = logged_in(manager)
    assert client.post("/company/switch", {"company": other_company.slug}).status_code == 404
    make_membership(manager, other_company, Role.ADMIN)
    assert client.get("/account").context["company"] == company
    assert client.get("/people").status_code == 403
    assert client.post("/company/switch", {"company": other_company.slug}).status_code == 302
    assert client.get("/people").context["company"] == other_company


def test_who_is_taken_out_of_the_company_one_stands_in_loses_it_at_once(
    logged_in: LoggedIn, manager: User, company: Company
) -> None:
    client = logged_in(manager, company)
    manager.memberships.all().delete()
    assert client.get("/account").status_code == 403


def test_loading_the_person_costs_two_queries(
    logged_in: LoggedIn, manager: User, django_assert_num_queries: Any
) -> None:
    client = logged_in(manager)
    with django_assert_num_queries(2):
        assert client.get("/people").status_code == 403


def test_logging_in_and_out_is_in_the_audit_trail(client: Client, manager: User, company: Company) -> None:
    log_in(client, manager)
    client.post(reverse("logout"))
    entries = AuditEntry.objects.filter(company=company).order_by("pk")
    assert [(entry.action, entry.who, entry.address) for entry in entries] == [
        ("person.login", manager.email, "127.0.0.1"),
        ("person.logout", manager.email, "127.0.0.1"),
    ]
