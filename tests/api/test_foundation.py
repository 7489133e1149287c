"""One error shape, paging, health, the OpenAPI document."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.api import health
from audsync_web.api.errors import error_line
from audsync_web.jobs.kinds import all_kinds
from audsync_web.people import audit
from audsync_web.people.models import AuditEntry, Company, User
from audsync_web.vendors.models import VendorAccount
from tests.api.conftest import Caller
from tests.factories import make_actor, make_vendor_account

pytestmark = pytest.mark.urls("tests.api.probe")

WORK = "/api/probe/work"
GOOD = {"name": "a", "size": 1}


def only_error(answer: Any) -> str:
    assert list(answer.json()) == ["error"]
    return str(answer.json()["error"])


def test_faults_of_fields_are_one_line_that_names_them(caller: Caller, manager: User, company: Company) -> None:
    answer = caller(manager, company).post(WORK, {"size": "x"}, content_type="application/json")
    assert answer.status_code == 400
    assert "name: " in only_error(answer)
    assert "size: " in only_error(answer)


def test_nested_faults_name_their_place() -> None:
    detail = {"destinations": [{}, {"identifier": ["is unknown"]}], "non_field_errors": ["too much"]}
    assert error_line(detail) == "destinations[1].identifier: is unknown; too much"


@pytest.mark.parametrize("body", ['{"name": "\\ud800", "size": 1}', '{"name": "a", "size": 1, "\\ud800": 1}'])
def test_half_a_character_is_refused_before_anything_is_done_with_it(
    body: str, caller: Caller, manager: User, company: Company
) -> None:
    answer = caller(manager, company).post(WORK, body, content_type="application/json")
    assert answer.status_code == 400
    assert "half a character" in only_error(answer)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{", "application/json", 400),
        (b"\xff", "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ("a=1", "application/x-www-form-urlencoded", 415),
    ],
)
def test_what_cannot_be_read_is_refused(
    body: Any, content_type: str, status: int, caller: Caller, manager: User, company: Company
) -> None:
    answer = caller(manager, company).post(WORK, body, content_type=content_type)
    assert answer.status_code == status
    only_error(answer)


def test_a_body_over_the_limit_is_413(caller: Caller, manager: User, company: Company, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = caller(manager, company).post(WORK, {"name": "a" * 200, "size": 1}, content_type="application/json")
    assert answer.status_code == 413
    only_error(answer)


@pytest.mark.parametrize(("name", "status"), [("a", 201), ("a" * 200, 413)])
def test_a_chunked_body_is_read_like_any_other(
    name: str, status: int, caller: Caller, manager: User, company: Company, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    body = io.BytesIO(json.dumps({"name": name, "size": 1}).encode())
    chunked: Any = {"wsgi.input": body, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_TYPE": "application/json"}
    answer = caller(manager, company).generic("POST", WORK, b"", **chunked)
    assert answer.status_code == status


def test_other_refusals_have_the_shape_too(caller: Caller, manager: User, marketer: User, company: Company) -> None:
    client = caller(manager, company)
    assert (client.delete(WORK).status_code, only_error(client.delete(WORK))) == (405, 'Method "DELETE" not allowed.')
    forbidden = caller(marketer, company).post(WORK, GOOD, content_type="application/json")
    assert (forbidden.status_code, only_error(forbidden)) == (
        403,
        "Only client success managers and admins may do that.",
    )


def test_an_answer_comes_whatever_the_caller_says_to_accept(caller: Caller, manager: User, company: Company) -> None:
    answer = caller(manager, company).get(WORK, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_404_is_json_without_details_on_any_api_path(
    caller: Caller, manager: User, company: Company, client: Client
) -> None:
    asked = caller(manager, company)
    missing = asked.post(f"{WORK}?missing=1", GOOD, content_type="application/json")
    assert (missing.status_code, only_error(missing)) == (404, "Nothing is here.")
    assert only_error(asked.get("/api/public/v3/none-such")) == "Nothing is here."
    assert "<html" in client.get("/none-such").content.decode()


def test_a_fault_of_ours_is_a_reference_and_nothing_else(caller: Caller, manager: User, company: Company) -> None:
    client = caller(manager, company)
    client.raise_request_exception = False
    answer = client.post(f"{WORK}?fail=1", GOOD, content_type="application/json")
    assert answer.status_code == 500
    assert "reference" not in only_error(answer)
    assert "secret detail" not in only_error(answer)


# --- paging ---


@pytest.fixture
def seven(manager: User, company: Company) -> list[AuditEntry]:
    actor = make_actor(manager, company)
    return [audit.record(actor, f"a.{number // 2}", company) for number in range(7)]


def walk(client: Client, url: str) -> list[list[int]]:
    pages = []
    next_url: str | None = url
    while next_url:
        body = client.get(next_url).json()
        assert list(body) == ["results", "next"]
        pages.append([row["id"] for row in body["results"]])
        next_url = body["next"]
    return pages


def test_pages_follow_each_other_and_end_with_null(
    caller: Caller, manager: User, company: Company, seven: list[AuditEntry]
) -> None:
    client = caller(manager, company)
    AuditEntry.objects.exclude(pk__in=[entry.pk for entry in seven]).delete()
    pages = walk(client, "/api/probe/trail?limit=3")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [pk for page in pages for pk in page] == sorted((entry.pk for entry in seven), reverse=True)


def test_any_order_is_paged_without_loss(
    caller: Caller, manager: User, company: Company, seven: list[AuditEntry]
) -> None:
    client = caller(manager, company)
    AuditEntry.objects.exclude(pk__in=[entry.pk for entry in seven]).delete()
    for order in (["action", "-pk"], ["-at", "pk"], ["-action", "pk"]):
        query = "&".join(f"order={name}" for name in order)
        paged = [pk for page in walk(client, f"/api/probe/trail?limit=2&{query}") for pk in page]
        assert paged == list(AuditEntry.objects.order_by(*order).values_list("pk", flat=True))


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "limit=٣", "cursor=x", "cursor=WzFd", "cursor=%00"]
)
def test_a_wrong_limit_or_cursor_is_400(query: str, caller: Caller, manager: User, company: Company) -> None:
    answer = caller(manager, company).get(f"/api/probe/trail?{query}")
    assert answer.status_code == 400
    assert only_error(answer).startswith(query.split("=")[0])


# --- health ---


def test_healthz_answers_without_asking_anybody(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_readyz_is_200_when_all_is_well(client: Client, db: None) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_readyz_names_the_check_that_failed_and_hides_its_text(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise OSError("amqp://user:secret@broker")

    monkeypatch.setitem(health.CHECKS, "broker", broken)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "ok", "broker": "cannot be reached", "jobs": "ok"}


def test_readyz_finds_a_job_overdue_by_more_than_five_minutes(client: Client, company: Company) -> None:
    assert "vendors.account" in {kind.name for kind in all_kinds()}
    account = make_vendor_account(company)
    late = timezone.now() - timedelta(minutes=6)
    VendorAccount.objects.filter(pk=account.pk).update(next_action_at=late)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "vendors.account" in answer.json()["checks"]["jobs"]
    VendorAccount.objects.update(lease_until=timezone.now() + timedelta(seconds=20), lease_owner="somebody")
    assert client.get("/readyz").status_code == 200


# --- OpenAPI ---


def test_the_openapi_document_tells_of_tokens_errors_and_keys(client: Client, db: None) -> None:
    document = client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"}).json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert list(document["components"]["schemas"]["Error"]["properties"]) == ["error"]
    login = document["paths"]["/api/public/v3/login"]["post"]
    assert {"200", "400", "401", "429"} <= set(login["responses"])
    assert "Idempotency-Key" not in [parameter["name"] for parameter in login.get("parameters", [])]
    work = document["paths"]["/api/probe/work"]["post"]
    assert "Idempotency-Key" in [parameter["name"] for parameter in work["parameters"]]
    assert {"400", "401", "403", "404"} <= set(work["responses"])


def test_the_page_to_try_the_api_loads_nothing_from_elsewhere_and_runs_nothing_inline(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    assert "//" not in page.replace("<!doctype html>", "").replace("http://testserver", "")
    assert "<script>" not in page
