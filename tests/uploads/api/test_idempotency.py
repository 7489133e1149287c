"""One `Idempotency-Key`, one upload: the first answer comes again and nothing is done twice."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.api_world import BASE, csv_of, upload
from uploads.models import Upload

from .kit import ONE_COLUMN

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_same_key_and_body_get_the_first_answer_and_nothing_is_done_twice(
    api: Client, segment: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = (upload(api, segment, csv_of("a1"), headers=key) for _ in range(2))
    assert first.content == again.content
    assert (again.status_code, again.headers["Content-Type"]) == (201, first.headers["Content-Type"])
    assert Upload.objects.count() == 1
    assert upload(api, segment, csv_of("a2"), headers=key).status_code == 422


def test_a_refusal_is_kept_and_a_413_is_not(api: Client, segment: dict[str, Any], settings: Any) -> None:
    bad = "provider_id,name\na,b\n"
    assert upload(api, segment, bad, headers={"Idempotency-Key": "bad"}).status_code == 400
    assert upload(api, segment, csv_of("a1"), headers={"Idempotency-Key": "bad"}).status_code == 422
    assert upload(api, segment, bad, headers={"Idempotency-Key": "bad"}).json() == ONE_COLUMN
    settings.MAX_UPLOAD_BYTES = 5
    assert upload(api, segment, csv_of("a1"), headers={"Idempotency-Key": "big"}).status_code == 413
    settings.MAX_UPLOAD_BYTES = 5000
    assert upload(api, segment, csv_of("a1"), headers={"Idempotency-Key": "big"}).status_code == 201


def test_the_first_answer_comes_again_when_the_segment_was_archived_since(api: Client, segment: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "one"}
    first = upload(api, segment, csv_of("a1"), headers=key)
    path = f"{BASE}/segment/{segment['id']}"
    assert api.patch(path, {"status": "archived"}, content_type="application/json").status_code == 200
    again = upload(api, segment, csv_of("a1"), headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert upload(api, segment, csv_of("a1")).status_code == 409


def test_a_conflict_is_kept_as_any_refusal_is(api: Client, segment: dict[str, Any]) -> None:
    path, key = f"{BASE}/segment/{segment['id']}", {"Idempotency-Key": "one"}
    api.patch(path, {"status": "archived"}, content_type="application/json")
    first = upload(api, segment, csv_of("a1"), headers=key)
    assert first.status_code == 409
    api.patch(path, {"status": "created"}, content_type="application/json")
    again = upload(api, segment, csv_of("a1"), headers=key)
    assert (again.status_code, again.content) == (409, first.content)
    assert upload(api, segment, csv_of("a1")).status_code == 201


def test_keys_of_different_people_do_not_meet(api: Client, marketer_api: Client, segment: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "shared"}
    first, second = (upload(client, segment, csv_of("a1"), headers=key).json() for client in (api, marketer_api))
    assert first["id"] != second["id"]
