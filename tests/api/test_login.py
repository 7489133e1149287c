"""`POST /login` and what its token opens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.people import throttle
from audsync_web.people.models import ApiToken, Company, Role, User
from audsync_web.people.tokens import forget_ended_tokens, key_create, login_token_issue
from tests.factories import PASSWORD, make_actor, make_membership

pytestmark = pytest.mark.urls("tests.api.probe")

LOGIN = "/api/public/v3/login"
WORK = "/api/probe/work"


def log_in(client: Client, **body: Any) -> Any:
    return client.post(LOGIN, body, content_type="application/json", headers={"Origin": "https://elsewhere.example"})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_right_pair_gets_a_token_and_no_cookie(client: Client, manager: User, company: Company) -> None:
    answer = log_in(client, email=manager.email, password=PASSWORD)
    assert answer.status_code == 200
    assert list(answer.json()) == ["token"]
    assert not answer.cookies
    work = client.get(WORK, headers=bearer(answer.json()["token"]))
    assert work.json() == {"company": company.slug, "role": "manager"}


def test_csrf_does_not_stand_in_the_way_of_a_program(manager: User) -> None:
    assert log_in(Client(enforce_csrf_checks=True), email=manager.email, password=PASSWORD).status_code == 200


def test_a_wrong_pair_is_401_whichever_half_is_wrong(client: Client, manager: User) -> None:
    wrong = log_in(client, email=manager.email, password="not it")
    unknown = log_in(client, email="who@people.example", password="not it")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert list(wrong.json()) == ["error"]
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("body", [{}, {"email": "a@b.example"}, {"password": "x"}, {"email": ["a"], "password": {}}])
def test_missing_fields_are_400_and_named(body: dict[str, Any], client: Client, db: None) -> None:
    answer = log_in(client, **body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert any(name in answer.json()["error"] for name in ("email", "password"))


def test_guessing_is_throttled(client: Client, manager: User) -> None:
    for _ in range(throttle.PER_PAIR):
        assert log_in(client, email=manager.email, password="guess").status_code == 401
    answer = log_in(client, email=manager.email, password=PASSWORD)
    assert answer.status_code == 429
    assert list(answer.json()) == ["error"]
    assert int(answer.headers["Retry-After"]) > 0


def test_the_company_is_chosen_by_slug_and_is_the_first_without(
    client: Client, manager: User, company: Company, other_company: Company
) -> None:
    make_membership(manager, other_company, Role.ADMIN)

    def lands_in(**more: str) -> Any:
        token = log_in(client, email=manager.email, password=PASSWORD, **more).json()["token"]
        return client.get(WORK, headers=bearer(token)).json()

    assert lands_in() == {"company": company.slug, "role": "manager"}
    assert lands_in(company=other_company.slug) == {"company": other_company.slug, "role": "admin"}


def test_a_company_that_is_not_ones_own_does_not_exist(
    client: Client, manager: User, other_company: Company, outsider: User
) -> None:
    foreign = log_in(client, email=manager.email, password=PASSWORD, company=other_company.slug)
    unknown = log_in(client, email=manager.email, password=PASSWORD, company="none-such")
    assert foreign.status_code == unknown.status_code == 404
    assert log_in(client, email=outsider.email, password=PASSWORD).status_code == 403


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic bW86eA==", "Token x"])
def test_without_a_good_token_the_answer_is_401_in_the_one_shape(header: str, client: Client, db: None) -> None:
    answer = client.get(WORK, headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_session_of_the_pages_does_not_open_the_api(logged_in: Any, manager: User) -> None:
    assert logged_in(manager).get(WORK).status_code == 401


def test_a_login_token_ends_after_24_hours_and_is_forgotten(client: Client, manager: User, company: Company) -> None:
    token = login_token_issue(actor=make_actor(manager, company))
    row = ApiToken.objects.get()
    assert row.expires_at is not None
    assert timedelta(hours=23) < row.expires_at - timezone.now() <= timedelta(hours=24)
    ApiToken.objects.update(expires_at=timezone.now())
    assert client.get(WORK, headers=bearer(token)).status_code == 401
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=2))
    forget_ended_tokens()
    assert not ApiToken.objects.exists()


def test_an_api_key_goes_in_the_same_header(client: Client, marketer: User, company: Company) -> None:
    _, secret = key_create(actor=make_actor(marketer, company), name="nightly")
    assert client.get(WORK, headers=bearer(secret)).json() == {"company": company.slug, "role": "marketer"}
    assert client.post(WORK, headers=bearer(secret)).status_code == 403


def test_a_token_ends_with_the_membership_and_follows_the_role(client: Client, manager: User, company: Company) -> None:
    token = login_token_issue(actor=make_actor(manager, company))
    manager.memberships.update(role=Role.MARKETER)
    assert client.get(WORK, headers=bearer(token)).json()["role"] == "marketer"
    manager.memberships.all().delete()
    assert client.get(WORK, headers=bearer(token)).status_code == 401


def test_the_token_of_somebody_switched_off_is_refused(client: Client, manager: User, company: Company) -> None:
    token = login_token_issue(actor=make_actor(manager, company))
    User.objects.update(is_active=False)
    assert client.get(WORK, headers=bearer(token)).status_code == 401


def test_use_is_written_down_once_a_minute(client: Client, manager: User, company: Company) -> None:
    token = login_token_issue(actor=make_actor(manager, company))
    client.get(WORK, headers=bearer(token))
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    client.get(WORK, headers=bearer(token))
    assert ApiToken.objects.get().last_used_at == first
    long_ago = first - timedelta(seconds=61)
    ApiToken.objects.update(last_used_at=long_ago)
    client.get(WORK, headers=bearer(token))
    assert ApiToken.objects.get().last_used_at != long_ago
