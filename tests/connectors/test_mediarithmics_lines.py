"""mediarithmics: the lines of a file, and an execution's words and figures, without a server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audsync_web.vendors.connectors.base import DeliveryContext, RemoteStatus, SegmentRef
from audsync_web.vendors.connectors.errors import Permanent
from audsync_web.vendors.connectors.formats import LineFormat, Op
from audsync_web.vendors.connectors.mediarithmics.api import identifier, moment
from audsync_web.vendors.connectors.mediarithmics.commands import CommandFormat, minutes_to_live
from audsync_web.vendors.connectors.mediarithmics.executions import Sent, error_file_uri, execution_state

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def delivery(
    kind: str = "email_sha256", lives: timedelta | None = timedelta(days=30), late: timedelta = timedelta(0)
) -> DeliveryContext:
    segment = SegmentRef("90211", "aud_k7q2_11107", "Lapsed buyers", 30, True, NOW)
    ends_at = None if lives is None else NOW + lives
    return DeliveryContext("key", 1, segment, kind, "replace", NOW, ends_at, written_at=NOW + late)


def line(shape: LineFormat, op: Op, value: str) -> str:
    wrap = shape.wrap(op, 0)
    shown = json.dumps(value, ensure_ascii=False)[1:-1] if shape.escape == "json" else value
    return (wrap.prefix + shown.encode() + wrap.suffix).decode()


def test_the_specs_examples_come_out_byte_for_byte():
    shape = CommandFormat(delivery("user_account_id"), "1042", never_expires=False).ndjson()
    assert line(shape, Op.ADD, "crm-77") == (
        '{"operation":"UPDATE","compartment_id":"1042","user_account_id":"crm-77",'
        '"segment_id":"90211","expiration_duration":43200}'
    )
    assert line(shape, Op.REMOVE, "crm-78") == (
        '{"operation":"DELETE","compartment_id":"1042","user_account_id":"crm-78",'
        '"segment_id":"90211","expiration_duration":0}'
    )
    assert shape.wrap(Op.RENEW, 0) == shape.wrap(Op.ADD, 0)
    assert (shape.separator, shape.final_separator, shape.opening, shape.gzip) == (b"\n", True, b"", False)


@pytest.mark.parametrize(
    ("kind", "field"),
    [("email_sha256", "email_hash"), ("email_md5", "email_hash"), ("user_agent_id", "user_agent_id")],
)
def test_a_line_names_one_kind_of_identifier_and_no_compartment(kind: str, field: str):
    shape = CommandFormat(delivery(kind), "1042", never_expires=False).ndjson()
    command = json.loads(line(shape, Op.ADD, "x"))
    assert list(command) == ["operation", field, "segment_id", "expiration_duration"]


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_whatever_an_identifier_holds_it_is_one_line_and_comes_back_the_same(value: str):
    shape = CommandFormat(delivery("user_account_id"), '10"42', never_expires=False).ndjson()
    text = line(shape, Op.ADD, value)
    assert "\n" not in text
    command = json.loads(text)
    assert (command["user_account_id"], command["compartment_id"]) == (value, '10"42')


@pytest.mark.parametrize(
    ("lives", "minutes"),
    [
        (timedelta(seconds=1), 1),
        (timedelta(seconds=60), 1),
        (timedelta(seconds=61), 2),
        (timedelta(days=30), 43_200),
        (timedelta(days=3650), 5_256_000),
    ],
)
def test_a_lifetime_is_whole_minutes_and_never_nought(lives: timedelta, minutes: int):
    assert minutes_to_live(delivery(lives=lives), never_expires=False) == minutes


@pytest.mark.parametrize("lives", [None, timedelta(0), timedelta(days=-1), timedelta(days=3650, seconds=1)])
def test_a_lifetime_that_has_run_out_or_is_over_ten_years_is_never_written(lives: timedelta | None):
    with pytest.raises(Permanent):
        CommandFormat(delivery(lives=lives), "", never_expires=False).ndjson().wrap(Op.ADD, 0)


@pytest.mark.parametrize(
    ("late", "minutes"),
    [
        (timedelta(minutes=59), 2_880),
        (timedelta(hours=2), 2_760),
        (timedelta(days=1, seconds=30), 1_440),
        (timedelta(days=1, hours=23, minutes=59, seconds=30), 1),
    ],
)
def test_a_file_that_was_held_up_says_how_long_is_left(late: timedelta, minutes: int):
    assert minutes_to_live(delivery(lives=timedelta(days=2), late=late), never_expires=False) == minutes


def test_a_file_held_up_for_the_whole_lifetime_is_not_written():
    with pytest.raises(Permanent, match="run out"):
        minutes_to_live(delivery(lives=timedelta(days=2), late=timedelta(days=2)), never_expires=False)


def test_nought_is_written_for_additions_only_where_members_never_leave():
    shape = CommandFormat(delivery(lives=None), "", never_expires=True).ndjson()
    assert json.loads(line(shape, Op.ADD, "x"))["expiration_duration"] == 0


def test_removals_need_no_lifetime():
    shape = CommandFormat(delivery(lives=None), "", never_expires=False).ndjson()
    assert json.loads(line(shape, Op.REMOVE, "x"))["expiration_duration"] == 0


def test_csv_has_a_header_in_lower_case_and_quotes_the_identifier():
    shape = CommandFormat(delivery("user_account_id"), "1042", never_expires=False).csv()
    assert shape.opening == b"operation,compartment_id,user_account_id,segment_id,expiration_duration\n"
    assert line(shape, Op.ADD, "crm, 77") == 'UPDATE,1042,"crm, 77",90211,43200'


# --- executions


def sent(**changes: Any) -> Sent:
    values: dict[str, Any] = {"lines": 10, "adds": 8, "executions": ["1"], "stalled_since": None, "now": NOW}
    return Sent(**{**values, "longest_stall": timedelta(hours=2), **changes})


def execution(status: Any = "SUCCEEDED", success: Any = 10, failure: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"id": "880341", "status": status, "result": {"total_success": success, "total_failure": failure}, **fields}


@pytest.mark.parametrize(
    ("word", "failure", "status"),
    [
        ("WAITING_DEPENDENT_JOB", 0, RemoteStatus.QUEUED),
        ("SCHEDULED", 0, RemoteStatus.QUEUED),
        ("PENDING", 0, RemoteStatus.QUEUED),
        ("RUNNING", 0, RemoteStatus.RUNNING),
        ("SUCCEEDED", 0, RemoteStatus.SUCCEEDED),
        ("SUCCESS", 0, RemoteStatus.SUCCEEDED),
        ("SUCCEEDED", None, RemoteStatus.SUCCEEDED),
        ("SUCCEEDED", 1, RemoteStatus.PARTIAL),
        ("SUCCESS", "1", RemoteStatus.PARTIAL),
        ("FAILED", 0, RemoteStatus.FAILED),
        ("CANCELED", 0, RemoteStatus.CANCELLED),
        ("CANCELLED", 0, RemoteStatus.CANCELLED),
        ("LOST", 0, RemoteStatus.FAILED),
        ("Succeeded ", 0, RemoteStatus.SUCCEEDED),
        ("lost", 0, RemoteStatus.FAILED),
        ("EXECUTOR_NOT_RESPONDING", 0, RemoteStatus.STALLED),
        ("REBALANCING", 0, RemoteStatus.UNKNOWN),
        (None, 0, RemoteStatus.UNKNOWN),
        (7, 0, RemoteStatus.UNKNOWN),
    ],
)
def test_every_status_word_is_read_and_kept(word: Any, failure: Any, status: RemoteStatus):
    state = execution_state(execution(word, 9, failure), sent())
    assert state.status is status
    assert state.raw == (word if isinstance(word, str) else "")


@pytest.mark.parametrize(
    ("word", "success", "perhaps"),
    [
        ("FAILED", 4, True),
        ("FAILED", None, True),
        ("FAILED", 0, False),
        ("LOST", 0, True),
        ("CANCELED", None, False),
        ("RUNNING", None, False),
        ("SUCCEEDED", 10, False),
    ],
)
def test_a_job_that_broke_off_may_have_worked_some_of_its_lines(word: str, success: Any, perhaps: bool):
    assert execution_state(execution(word, success, None), sent()).perhaps is perhaps


def test_a_job_that_never_came_back_may_have_worked_some_of_its_lines():
    long_ago = NOW - timedelta(hours=3)
    state = execution_state(execution("EXECUTOR_NOT_RESPONDING", None, None), sent(stalled_since=long_ago))
    assert (state.status, state.perhaps) == (RemoteStatus.FAILED, True)


@pytest.mark.parametrize("result", [None, {}, [], "x", {"total_success": None, "total_failure": None}])
def test_a_success_without_figures_is_a_success_with_nothing_told(result: Any):
    state = execution_state({"id": 880341, "status": "SUCCEEDED", "result": result}, sent())
    assert (state.status, state.accepted, state.refused, state.suspect) == (RemoteStatus.SUCCEEDED, None, None, "")
    assert state.job_id == "880341"


def test_figures_that_differ_from_what_was_sent_are_suspect():
    assert execution_state(execution(success=9), sent()).suspect
    assert not execution_state(execution(success="10", failure="0"), sent()).suspect


def test_nothing_accepted_is_said_with_its_figures():
    state = execution_state(execution(success=0, failure=10), sent(executions=["1", "2"]))
    assert (state.status, state.accepted, state.refused, state.resend) == (RemoteStatus.PARTIAL, 0, 10, False)


def test_the_vendors_words_come_along_cut():
    state = execution_state(execution("FAILED", error={"message": "x" * 5_000}), sent())
    assert state.details is not None
    assert len(state.details) < 700


@pytest.mark.parametrize(
    ("fields", "progress"),
    [
        ({"num_tasks": 4, "completed_tasks": 1}, 0.25),
        ({"num_tasks": "4", "completed_tasks": "2"}, 0.5),
        ({"num_tasks": None, "completed_tasks": None}, 0.0),
        ({"num_tasks": 0, "completed_tasks": 3}, 0.0),
        ({"num_tasks": 2, "completed_tasks": 3}, 1.0),
        ({}, 0.0),
    ],
)
def test_progress_is_read_in_every_form(fields: dict[str, Any], progress: float):
    assert execution_state(execution("RUNNING", **fields), sent()).progress == progress


def test_the_end_of_a_job_is_its_start_and_duration():
    state = execution_state(execution(start_date=1795312811040, duration=48210), sent())
    assert state.counters["ended"] == "2026-11-22T02:00:59.250000+00:00"


@pytest.mark.parametrize(
    ("result", "uri"),
    [
        ({"total_failure": 2, "error_file_uri": "mics://a b"}, "mics://a b"),
        ({"total_failure": 0, "error_file_uri": "mics://a"}, ""),
        ({"total_failure": 2, "error_file_uri": ""}, ""),
        ({"total_failure": 2, "error_file_uri": None}, ""),
        (None, ""),
    ],
)
def test_an_error_file_is_asked_for_only_where_lines_failed(result: Any, uri: str):
    assert error_file_uri({"result": result}) == uri


@pytest.mark.parametrize(("value", "read"), [(1471, "1471"), ("1471", "1471"), (None, ""), (True, ""), ({}, "")])
def test_ids_are_texts_whatever_was_sent(value: Any, read: str):
    assert identifier(value) == read


def test_a_moment_out_of_any_calendar_is_none():
    assert moment(10**18) is None
    assert moment(None) is None
    assert moment("1795312811040") is not None
