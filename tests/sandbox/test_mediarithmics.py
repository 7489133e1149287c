"""The mediarithmics emulator keeps the rules of the spec's section 12, spoken to over HTTP as a client would."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests

from audsync_web.sandbox.mediarithmics import DEMO_CREDENTIALS, OTHER_TOKEN
from audsync_web.sandbox.server import Sandbox

HASHES = [f"{n:064x}" for n in range(1, 6)]
TOKEN = {"Authorization": DEMO_CREDENTIALS["apiToken"]}
IMPORT = {"document_type": "USER_SEGMENT", "mime_type": "APPLICATION_X_NDJSON", "encoding": "utf-8", "name": "run 1"}
SEGMENT = {"type": "USER_LIST", "feed_type": "FILE_IMPORT", "name": "Lapsed", "datamart_id": "1471"}
IMPORTS = "/datamarts/1471/document_imports"


class Client:
    """A plain client of one sandbox."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.root = f"{box.url}/mediarithmics/v1"
        self._runs = itertools.count(1)

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {**TOKEN, **options.pop("headers", {})}
        return requests.request(method, self.root + path, json=body, headers=headers, timeout=5, **options)

    def segment(self, name: str = "lapsed") -> str:
        made = self("POST", "/audience_segments?organisation_id=612", {**SEGMENT, "technical_name": name})
        return str(made.json()["data"]["id"])

    def document_import(self, **changes: Any) -> str:
        named = {**IMPORT, "name": f"acme run {next(self._runs)}", **changes}
        return str(self("POST", IMPORTS, named).json()["data"]["id"])

    def post(self, body: str | bytes, number: str = "", media_type: str = "application/x-ndjson") -> requests.Response:
        path = f"{IMPORTS}/{number or self.document_import()}/executions"
        return self("POST", path, data=body, headers={"Content-Type": media_type})

    def executions(self) -> list[dict[str, Any]]:
        return list(self.box.vendors["mediarithmics"].state()["executions"])

    def members(self, segment: str) -> list[str]:
        return list(self.box.vendors["mediarithmics"].control("members", {"segment": segment}))

    def later(self, seconds: float = 10) -> None:
        self.box.context.clock.advance(seconds)

    def switch(self, name: str, value: str = "1") -> None:
        self.box.context.faults.set(f"mediarithmics.{name}", value)

    def violations(self) -> str:
        return "\n".join(self.box.context.ledger.violations("mediarithmics"))


@pytest.fixture
def client() -> Iterator[Client]:
    with Sandbox() as box:
        yield Client(box)


def update(segment: str, value: str = HASHES[0], minutes: Any = 60, **changes: Any) -> str:
    command = {"operation": "UPDATE", "email_hash": value, "segment_id": segment, "expiration_duration": minutes}
    return json.dumps({key: found for key, found in {**command, **changes}.items() if found is not None}) + "\n"


# --- protocol


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


# --- imports


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


# --- executions


@pytest.mark.parametrize("media_type", ["text/csv", "application/json", "multipart/form-data; boundary=x", ""])
def test_the_media_type_must_be_the_imports(client: Client, media_type: str):
    line = update(client.segment())
    assert client.post(line, media_type=media_type).status_code == 400
    client.switch("mismatch_415")
    assert client.post(line, media_type=media_type).status_code == 415
    assert client.post(line, media_type="application/x-ndjson; charset=utf-8").status_code == 200


def test_the_consoles_form_is_taken_only_behind_its_switch(client: Client):
    number, line = client.document_import(), update(client.segment())
    form: dict[str, Any] = {"file": ("part.ndjson", line), "type": (None, "application/x-ndjson")}
    path = f"{IMPORTS}/{number}/executions"
    assert client("POST", path, files=form).status_code == 400
    client.switch("accept_multipart")
    assert client("POST", path, files=form).status_code == 200
    client.later()
    assert client.executions()[0]["result"]["total_success"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[{}]\n",
        b'{"operation":\n"UPDATE"}\n',
        b'{"a":1},{"a":2}\n',
        b'{"a":1}{"a":2}\n',
        b'{"a":1\n"b":2}\n',
        b"{}\n\n{}\n",
        b'"text"\n',
        b"\xff\xfe\n",
        b"\xef\xbb\xbf{}\n",
    ],
)
def test_what_is_no_ndjson_is_refused_or_fails_as_a_job(client: Client, body: bytes):
    assert client.post(body).status_code == 400
    assert client.executions() == []
    client.switch("bad_file_fails_job")
    assert client.post(body).status_code == 200
    client.later()
    assert client.executions()[0]["status"] == "FAILED"
    assert client.executions()[0]["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"operation": "UPSERT"}, "operation"),
        ({"operation": None}, "operation"),
        ({"email_hash": None}, "identifier"),
        ({"user_agent_id": "vec:81"}, "identifier"),
        ({"email_hash": 7}, "no text"),
        ({"email_hash": "somebody@example.invalid"}, "raw address"),
        ({"compartment_id": "1042"}, "without user_account_id"),
        ({"email_hash": None, "user_account_id": "crm-7", "compartment_id": "4711"}, "compartment"),
        ({"segment_id": None}, "segment reference"),
        ({"segment_technical_name": "lapsed"}, "segment reference"),
        ({"segment_id": "4711"}, "unknown segment"),
        ({"segment_id": "90003"}, "USER_LIST"),
        ({"expiration_duration": None}, "expiration_duration"),
        ({"expiration_duration": "60"}, "expiration_duration"),
        ({"expiration_duration": -1}, "expiration_duration"),
        ({"expiration_duration": 6.5}, "expiration_duration"),
        ({"expiration_duration": True}, "expiration_duration"),
        ({"expiration_duration": 5_256_001}, "ten years"),
        ({"data_bag": {"tier": "gold"}}, "data_bag"),
        ({"data_bag": "[1]"}, "data_bag"),
        ({"tier": "gold"}, "unknown field"),
    ],
)
def test_a_bad_line_fails_alone_and_is_named_in_the_error_file(client: Client, changes: dict[str, Any], reason: str):
    segment = client.segment()
    client.post(update(segment, HASHES[1], **changes) + update(segment, HASHES[2]))
    client.later()
    ended = client.executions()[0]
    assert (ended["result"]["total_success"], ended["result"]["total_failure"]) == (1, 1)
    assert client.members(segment) == [HASHES[2]]
    report = client("GET", "/data_file/data", params={"uri": ended["result"]["error_file_uri"]})
    assert reason in report.json()["error"]
    assert reason in client.violations()
    assert HASHES[1] not in client.violations()


@pytest.mark.parametrize(
    "changes",
    [
        {"segment_id": None, "segment_technical_name": "lapsed", "expiration_duration": 0},
        {"email_hash": None, "user_account_id": "crm-7", "compartment_id": "1042"},
        {"email_hash": None, "user_account_id": "crm-7"},
        {"email_hash": None, "user_agent_id": "vec:81"},
        {"data_bag": '{"tier":"gold"}'},
    ],
)
def test_good_lines_are_applied(client: Client, changes: dict[str, Any]):
    segment = client.segment()
    client.post(update(segment, **changes))
    client.later()
    assert len(client.members(segment)) == 1
    assert client.violations() == ""
    assert client.executions()[0]["result"]["error_file_uri"] is None


def test_an_account_without_a_compartment_is_of_the_default_one(client: Client):
    segment = client.segment()
    client.post(update(segment, email_hash=None, user_account_id="crm-7"))
    client.later()
    found = client("GET", "/datamarts/1471/user_segments/compartment_id=1042/user_account_id=crm-7")
    assert found.json()["data"][0]["segment_id"] == segment
    assert client("GET", "/datamarts/1471/user_segments/user_agent_id=vec:81").status_code == 404
    paths = "".join(entry.path for entry in client.box.context.ledger.entries())
    assert "crm-7" not in paths


def test_a_file_without_a_good_line_succeeds_or_fails_as_chosen(client: Client):
    segment = client.segment()
    for switch, status in (("0", "SUCCEEDED"), ("1", "FAILED")):
        client.switch("all_bad_fails", switch)
        client.post(update(segment, operation="UPSERT"))
        client.later()
        ended = client.executions()[-1]
        assert ended["status"] == status
        assert (ended["result"]["total_success"], ended["result"]["total_failure"]) == (0, 1)


def test_removing_somebody_who_is_not_there_succeeds_or_fails_as_chosen(client: Client):
    segment = client.segment()
    for switch, failed in (("0", 0), ("1", 1)):
        client.switch("delete_absent_fails", switch)
        client.post(update(segment, operation="DELETE", minutes=0))
        client.later()
        assert client.executions()[-1]["result"]["total_failure"] == failed


def test_members_leave_at_their_minute_and_a_refresh_keeps_them(client: Client):
    segment, number = client.segment(), client.document_import()
    client.post(update(segment, HASHES[0], 10) + update(segment, HASHES[1], 0), number)
    client.later(300)
    client.post(update(segment, HASHES[0], 10), number)
    client.later(400)
    assert set(client.members(segment)) == {HASHES[0], HASHES[1]}
    client.later(300)
    assert client.members(segment) == [HASHES[1]]
    assert client("GET", f"/audience_segments/{segment}").json()["data"]["user_points_count"] == 1


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


def test_a_body_over_the_servers_limit_is_413_while_it_is_read(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("audsync_web.sandbox.mediarithmics.commands.LARGEST_BODY", 100)
    assert client.post(update(client.segment())).status_code == 413


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([{}, {"operation": "DELETE", "expiration_duration": 0}], "two commands for one user"),
        ([{"expiration_ts": 0}], "expiration_ts"),
    ],
)
def test_what_a_careful_client_never_does_is_noted(client: Client, lines: list[dict[str, Any]], text: str):
    segment = client.segment()
    client.post("".join(update(segment, **changes) for changes in lines))
    assert text in client.violations()


def test_a_second_execution_before_the_first_has_ended_is_noted(client: Client):
    segment = client.segment()
    client.post(update(segment))
    assert client.violations() == ""
    client.post(update(segment).rstrip("\n"))
    assert "has not ended" in client.violations()
    assert "no line feed" in client.violations()


@pytest.mark.parametrize("trouble", ["m4.drop_after", "m4.answer_500"])
def test_a_file_after_a_lost_answer_is_noted_unless_the_executions_were_listed(client: Client, trouble: str):
    segment, number = client.segment(), client.document_import()
    client.switch(trouble, "2x")
    for _ in range(2):
        with suppress(requests.ConnectionError):
            client.post(update(segment), number)
        client.later()
        client("GET", f"{IMPORTS}/{number}/executions")
    assert client.violations() == ""
    client.switch(trouble, "1x")
    with suppress(requests.ConnectionError):
        client.post(update(segment), number)
    client.later()
    client.post(update(segment), number)
    assert "lost answer" in client.violations()


def test_two_imports_under_one_name_are_noted(client: Client):
    client.document_import(name="acme run 7")
    assert client.violations() == ""
    client.document_import(name="acme run 7")
    assert "one name" in client.violations()


def test_a_body_without_a_length_is_taken_and_noted(client: Client):
    segment = client.segment()
    answer = client.post(iter([update(segment).encode()]))  # type: ignore[arg-type]  # a generator goes out chunked
    assert answer.status_code == 200
    assert "Content-Length" in client.violations()


def test_opposite_commands_in_one_file_have_no_winner_when_shuffled(client: Client):
    client.switch("shuffle")
    segment, number = client.segment(), client.document_import()
    lines = "".join(
        update(segment, h) + update(segment, h, operation="DELETE") for h in (f"{n:064x}" for n in range(40))
    )
    client.post(lines, number)
    client.later()
    assert 0 < len(client.members(segment)) < 40


# --- segments


@pytest.mark.parametrize(
    ("query", "changes", "status"),
    [
        ("", {}, 400),
        ("?organisation_id=613", {}, 403),
        ("?organisation_id=612", {"type": "USER_LISTS"}, 400),
        ("?organisation_id=612", {"name": ""}, 400),
        ("?organisation_id=612", {"datamart_id": 1471}, 400),
        ("?organisation_id=612", {"datamart_id": "1472"}, 403),
        ("?organisation_id=612", {"default_ttl": "60"}, 400),
        ("?organisation_id=612", {"technical_name": "present_90001"}, 409),
        ("?organisation_id=612", {"default_ttl": 86_400_000}, 200),
    ],
)
def test_a_segment_needs_its_fields_and_a_free_name(client: Client, query: str, changes: dict[str, Any], status: int):
    assert client("POST", f"/audience_segments{query}", {**SEGMENT, **changes}).status_code == status


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 4),
        ({"type": "USER_LIST"}, 3),
        ({"technical_name": "lapsed"}, 1),
        ({"technical_name": "lapse"}, 0),
        ({"name": "Lapsed"}, 1),
        ({"keywords": "laps"}, 1),
        ({"feed_type": "TAG"}, 0),
        ({"persisted": "true"}, 3),
        ({"datamart_id": "1472"}, 0),
    ],
)
def test_segments_are_filtered(client: Client, query: dict[str, str], count: int):
    client.segment()
    assert client("GET", "/audience_segments", params=query).json()["count"] == count


def test_compartments_are_listed_and_one_is_the_default(client: Client):
    path = "/datamarts/1471/compartments"
    assert client("GET", path).json()["count"] == 2
    assert client("GET", path, params={"default": "true"}).json()["data"][0]["compartment_id"] == "1042"


# --- faults


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
    shown = requests.get(f"{client.box.url}/_control/mediarithmics", timeout=5).text
    ledger = requests.get(f"{client.box.url}/_control/ledger", timeout=5).text
    for hidden in (TOKEN["Authorization"], OTHER_TOKEN):
        assert hidden not in shown
        assert hidden not in ledger
    assert HASHES[0] not in ledger
