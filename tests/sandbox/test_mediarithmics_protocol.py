"""The sandbox's mediarithmics: paths, tokens, JSON, pages, and faults that can be chosen."""

from __future__ import annotations

import json

import pytest
import requests

from audsync_web.sandbox.mediarithmics import OTHER_TOKEN

from .mediarithmics_kit import HASHES, IMPORT, IMPORTS, TOKEN, Client, update


@pytest.mark.parametrize("path", ["/documents_imports", "/datamarts/1471/documents_imports", "/nothing", "/../v2"])
def test_unknown_paths_are_404_in_the_error_shape(client: Client, path: str):
    answer = client("GET", path)
    assert answer.status_code == 404
    assert answer.json()["status"] == "error"
    assert answer.json()["error_id"] != client("GET", path).json()["error_id"]


@pytest.mark.parametrize(
    ("token", "status"),
    [("", 401), ("unknown", 401), (f"Bearer {TOKEN['Authorization']}", 401), (OTHER_TOKEN, 403)],
)
def test_only_the_bare_token_of_the_right_organisation_opens(client: Client, token: str, status: int):
    assert client("GET", IMPORTS, headers={"Authorization": token}).status_code == status
    client.switch("accept_bearer")
    assert client("GET", IMPORTS, headers={"Authorization": f"Bearer {TOKEN['Authorization']}"}).status_code == 200


def test_a_token_in_the_query_is_refused_and_noted(client: Client):
    assert client("GET", IMPORTS, params={"token": TOKEN["Authorization"]}).status_code == 401
    assert "query string" in client.violations()


def test_wrapped_malformed_and_mistyped_json_is_refused(client: Client):
    assert client("POST", IMPORTS, {"status": "ok", "data": IMPORT}).status_code == 400
    headers = {"Content-Type": "application/json"}
    assert client("POST", IMPORTS, data="{", headers=headers).status_code == 400
    assert client("POST", IMPORTS, data=json.dumps(IMPORT), headers={"Content-Type": "text/plain"}).status_code == 400


def test_lists_are_paged_and_tell_the_truth(client: Client):
    for number in range(5):
        client.document_import(name=f"run {number}")
    shown = client("GET", IMPORTS, params={"first_result": 3, "max_results": 4}).json()
    assert (shown["count"], shown["first_result"], shown["total"]) == (2, 3, 5)
    client.switch("no_total")
    assert "total" not in client("GET", IMPORTS).json()
    for bad in ({"max_results": 0}, {"max_results": 501}, {"first_result": -1}, {"max_results": "x"}):
        assert client("GET", IMPORTS, params=bad).status_code == 400


@pytest.mark.parametrize("status", [401, 403, 413, 429, 500, 503])
def test_refusals_can_be_chosen_for_one_call(client: Client, status: int):
    client.switch(f"m2.{status}", "1x")
    client.switch("retry_after", "7")
    assert client("GET", "/audience_segments").status_code == 200
    refused = client("GET", IMPORTS)
    assert refused.status_code == status
    assert refused.headers.get("Retry-After") == ("7" if status in (429, 503) else None)
    assert client("GET", IMPORTS).status_code == 200


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_connection_breaks_before_or_after_the_work(client: Client, moment: str):
    client.switch(f"m1.drop_{moment}", "1x")
    with pytest.raises(requests.ConnectionError):
        client("POST", IMPORTS, IMPORT)
    assert client("GET", IMPORTS).json()["count"] == (1 if moment == "after" else 0)


def test_state_and_ledger_hold_no_token(client: Client):
    client.post(update(client.segment()))
    client.later()
    shown = requests.get(f"{client.box.url}/_control/mediarithmics", timeout=30).text
    ledger = requests.get(f"{client.box.url}/_control/ledger", timeout=30).text
    for hidden in (TOKEN["Authorization"], OTHER_TOKEN):
        assert hidden not in shown
        assert hidden not in ledger
    assert HASHES[0] not in ledger
