"""The sandbox's mediarithmics: files and their lines, and what they do to members."""

from __future__ import annotations

from typing import Any

import pytest

from .mediarithmics_kit import HASHES, IMPORTS, Client, update


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


def test_a_body_over_the_servers_limit_is_413_while_it_is_read(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("audsync_web.sandbox.mediarithmics.commands.LARGEST_BODY", 100)
    assert client.post(update(client.segment())).status_code == 413


def test_opposite_commands_in_one_file_have_no_winner_when_shuffled(client: Client):
    client.switch("shuffle")
    segment, number = client.segment(), client.document_import()
    lines = "".join(
        update(segment, h) + update(segment, h, operation="DELETE") for h in (f"{n:064x}" for n in range(40))
    )
    client.post(lines, number)
    client.later()
    assert 0 < len(client.members(segment)) < 40
