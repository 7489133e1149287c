"""`Idempotency-Key`: nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from audsync_web.api.idempotency import begin, forget_old_answers
from audsync_web.api.models import KeptAnswer
from audsync_web.people.models import Company, Role, User
from tests.api import probe
from tests.api.conftest import Caller
from tests.factories import make_actor, make_membership, make_person

pytestmark = pytest.mark.urls("tests.api.probe")

WORK, STREAM = "/api/probe/work", "/api/probe/stream"


@pytest.fixture(autouse=True)
def _fresh_calls() -> Iterator[None]:
    probe.CALLS.clear()
    yield
    probe.CALLS.clear()


def post(client: Client, url: str = WORK, key: str | None = "key-1", size: Any = 1) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(url, {"name": "a", "size": size}, content_type="application/json", headers=headers)


@pytest.fixture
def client(caller: Caller, manager: User, company: Company) -> Client:
    return caller(manager, company)


def test_the_same_key_and_body_gets_the_first_answer_again(client: Client) -> None:
    first, again = post(client), post(client)
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, {"call": 1})
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert len(probe.CALLS) == 1


def test_without_a_key_everything_is_done_each_time(client: Client) -> None:
    assert [post(client, key=None).json()["call"] for _ in range(2)] == [1, 2]


def test_the_same_key_with_another_body_is_422(client: Client) -> None:
    post(client)
    answer = post(client, size=2)
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]
    assert len(probe.CALLS) == 1


def test_while_the_first_still_runs_the_answer_is_409(client: Client, manager: User, company: Company, rf: Any) -> None:
    request = rf.post(WORK, headers={"Idempotency-Key": "key-1"})
    held = begin(make_actor(manager, company), request)
    assert post(client).status_code == 409
    held.abandon()
    assert post(client).status_code == 201


def test_a_request_that_died_does_not_hold_its_key_for_ever(
    client: Client, manager: User, company: Company, rf: Any
) -> None:
    begin(make_actor(manager, company), rf.post(WORK, headers={"Idempotency-Key": "key-1"}))
    KeptAnswer.objects.update(running_until=timezone.now() - timedelta(seconds=1))
    assert post(client).status_code == 201


def test_one_thought_dead_that_comes_back_does_not_touch_its_successor(
    client: Client, manager: User, company: Company, rf: Any
) -> None:
    old = begin(make_actor(manager, company), rf.post(WORK, headers={"Idempotency-Key": "key-1"}))
    KeptAnswer.objects.update(running_until=timezone.now() - timedelta(seconds=1))
    first = post(client)
    old.finish("00", HttpResponse("stale"))
    old.abandon()
    assert post(client).json() == first.json()


@pytest.mark.parametrize("status", [401, 413, 429, 500, 503])
def test_answers_that_may_be_otherwise_next_time_are_not_kept(status: int, client: Client) -> None:
    post(client, f"{WORK}?status={status}")
    assert not KeptAnswer.objects.exists()


def test_a_refusal_is_kept(client: Client) -> None:
    assert [post(client, size="x").status_code for _ in range(2)] == [400, 400]
    assert len(probe.CALLS) == 1


def test_a_crash_is_not_kept(client: Client) -> None:
    client.raise_request_exception = False
    assert post(client, f"{WORK}?fail=1").status_code == 500
    assert post(client).status_code == 201


def test_keys_belong_to_a_person_a_company_and_a_path(
    client: Client, caller: Caller, manager: User, company: Company, other_company: Company
) -> None:
    make_membership(manager, other_company, Role.MANAGER)
    colleague = make_person(company, Role.MANAGER)
    elsewhere = caller(manager, other_company)
    calls = [post(client), post(caller(colleague, company)), post(elsewhere), post(client, f"{WORK}/7")]
    assert [answer.json()["call"] for answer in calls] == [1, 2, 3, 4]


def test_a_marketer_refused_is_not_answered_from_anothers_key(
    client: Client, caller: Caller, marketer: User, company: Company
) -> None:
    post(client)
    assert post(caller(marketer, company)).status_code == 403


@pytest.mark.parametrize("key", [" ", "k" * 256])
def test_an_unusable_key_is_400(key: str, client: Client) -> None:
    assert post(client, key=key).status_code == 400
    assert not probe.CALLS


def test_an_answer_is_forgotten_after_a_day(client: Client) -> None:
    post(client)
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert post(client).json() == {"call": 2}
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    forget_old_answers()
    assert not KeptAnswer.objects.exists()


def test_neither_key_nor_body_nor_answer_is_stored_in_the_clear(client: Client) -> None:
    post(client, key="very-special-key")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM api_keptanswer")
        stored = str(cursor.fetchall())
    assert "very-special-key" not in stored
    assert "call" not in stored
    assert WORK not in stored


def test_a_streamed_body_is_compared_when_it_has_been_read(client: Client) -> None:
    def send(body: str) -> Any:
        return client.post(STREAM, body, content_type="text/csv", headers={"Idempotency-Key": "key-1"})

    first, again, other = send("provider_id\na\n"), send("provider_id\na\n"), send("provider_id\nb\n")
    assert (first.status_code, first.content) == (again.status_code, again.content) == (201, b"call 1")
    assert other.status_code == 422
    assert probe.CALLS == ["stream"]
