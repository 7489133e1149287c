"""The sandbox's mediarithmics: what an import must say, and what may be done with it."""

from __future__ import annotations

from typing import Any

import pytest

from .mediarithmics_kit import IMPORT, IMPORTS, Client, update


@pytest.mark.parametrize(
    "wrong",
    [
        {"document_type": "USER_SEGMENTS"},
        {"mime_type": "application/x-ndjson"},
        {"mime_type": "TEXT_CSV", "document_type": "USER_PROFILE"},
        {"encoding": "latin-1"},
        {"priority": "URGENT"},
        {"name": None},
        {"name": 5},
    ],
)
def test_a_wrong_definition_is_refused(client: Client, wrong: dict[str, Any]):
    assert client("POST", IMPORTS, {**IMPORT, **wrong}).status_code == 400


def test_an_import_has_medium_priority_and_is_found_by_keyword(client: Client):
    number = client.document_import(name="acme run 7", encoding="UTF-8")
    assert client("GET", f"{IMPORTS}/{number}").json()["data"]["priority"] == "MEDIUM"
    assert client("GET", IMPORTS, params={"keywords": "run 7"}).json()["data"][0]["id"] == number
    assert client("GET", IMPORTS, params={"keywords": "run 8"}).json()["count"] == 0


def test_an_import_with_executions_keeps_its_type_and_is_not_deleted_under_them(client: Client):
    number = client.document_import()
    client.post(update(client.segment()), number)
    path = f"{IMPORTS}/{number}"
    assert client("PUT", path, {"mime_type": "TEXT_CSV"}).status_code == 400
    assert client("PUT", path, {"name": "another"}).json()["data"]["name"] == "another"
    assert client("DELETE", path).status_code == 409
    client.later()
    assert client("DELETE", path).status_code == 200
    assert "deleted" in client.violations()
