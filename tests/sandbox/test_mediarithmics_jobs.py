"""The sandbox's mediarithmics: jobs on the clock, their words, lists, cancelling and error files."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.mediarithmics import OTHER_TOKEN

from .mediarithmics_kit import HASHES, IMPORTS, Client, update


def test_commands_take_effect_when_the_job_has_ended_and_later_if_chosen(client: Client):
    segment = client.segment()
    client.switch("apply_delay", "60")
    client.post(update(segment))
    client.later(10)
    assert client.executions()[0]["status"] == "SUCCEEDED"
    assert client.members(segment) == []
    client.later(60)
    assert client.members(segment) == [HASHES[0]]


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("", ["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]),
        ("success", ["PENDING", "RUNNING", "RUNNING", "SUCCESS"]),
        ("waiting", ["WAITING_DEPENDENT_JOB", "RUNNING", "RUNNING", "SUCCEEDED"]),
        ("scheduled", ["SCHEDULED", "RUNNING", "RUNNING", "SUCCEEDED"]),
        ("not_responding", ["PENDING", "RUNNING", "EXECUTOR_NOT_RESPONDING", "SUCCEEDED"]),
        ("unknown_word", ["PENDING", "RUNNING", "REBALANCING", "SUCCEEDED"]),
        ("failed", ["PENDING", "RUNNING", "RUNNING", "FAILED"]),
        ("canceled", ["PENDING", "RUNNING", "RUNNING", "CANCELED"]),
        ("lost", ["PENDING", "RUNNING", "RUNNING", "LOST"]),
    ],
)
def test_jobs_pass_through_their_words_on_the_clock(client: Client, switch: str, words: list[str]):
    if switch:
        client.switch(switch, "1x")
    segment = client.segment()
    seen = [client.post(update(segment)).json()["data"]]
    for seconds in (2.2, 1.2, 10):
        client.later(seconds)
        seen.append(client.executions()[0])
    assert [shown["status"] for shown in seen] == words
    assert [shown["result"] for shown in seen[:3]] == [None, None, None]
    assert seen[0]["start_date"] is None
    assert seen[3]["duration"] == 3000
    assert len(client.members(segment)) == (words[-1] in ("SUCCESS", "SUCCEEDED"))


def test_ids_are_texts_and_numbers_in_the_echo_of_parameters(client: Client):
    number = client.document_import()
    shown = client.post(update(client.segment()), number).json()["data"]
    assert shown["id"].isdigit()
    assert shown["parameters"]["document_import_id"] == int(number)


def test_executions_are_listed_newest_first_unless_chosen_and_not_by_id(client: Client):
    number, segment = client.document_import(), client.segment()
    made = []
    for _ in range(2):
        made.append(client.post(update(segment), number).json()["data"]["id"])
        client.later()
    path = f"{IMPORTS}/{number}/executions"
    assert [e["id"] for e in client("GET", path).json()["data"]] == made[::-1]
    client.switch("oldest_first")
    assert [e["id"] for e in client("GET", path).json()["data"]] == made
    assert client("GET", f"{path}/{made[0]}").status_code == 404
    client.switch("execution_by_id")
    assert client("GET", f"{path}/{made[0]}").status_code == 200


def test_only_a_pending_job_can_be_cancelled(client: Client):
    number, segment = client.document_import(), client.segment()
    made = client.post(update(segment), number).json()["data"]["id"]
    path = f"{IMPORTS}/{number}/executions/{made}/action"
    assert client("POST", path, {"action": "STOP"}).status_code == 400
    assert client("POST", path, {"action": "CANCEL"}).json()["data"]["status"] == "CANCELED"
    assert client("POST", path, {"action": "CANCEL"}).status_code == 409
    client.later()
    assert client.members(segment) == []


def test_error_files_are_for_their_organisation_only(client: Client):
    client.post(update(client.segment(), operation="UPSERT"))
    client.later()
    uri = client.executions()[0]["result"]["error_file_uri"]
    assert client("GET", "/data_file/data", params={"uri": uri}).status_code == 200
    other = {"Authorization": OTHER_TOKEN}
    assert client("GET", "/data_file/data", params={"uri": uri}, headers=other).status_code == 404
    assert client("GET", "/data_file/data", params={"uri": "mics://else"}).status_code == 404
