"""The Xandr sandbox keeps the rules that the spec wants of an emulator (spec section 13)."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from audsync_web.sandbox.server import Sandbox
from audsync_web.sandbox.xandr import DEMO_CREDENTIALS, DEMO_MEMBER, PARTNER_MEMBER
from audsync_web.sandbox.xandr.lines import LineReader
from audsync_web.sandbox.xandr.model import MemberConfig

OCTETS = {"Content-Type": "application/octet-stream"}
UUID = "6f1c2a90-3b7d-4e58-9a41-0d5c7be2f813"


class Caller:
    """A client of the sandbox that may do everything wrong."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.url = f"{box.url}/xandr"
        self.token = self.login()["response"]["token"]
        self.http = requests.Session()
        self.http.trust_env = False

    def login(self, **changes: str) -> dict[str, Any]:
        body = {"auth": {**DEMO_CREDENTIALS, **changes}}
        answer: dict[str, Any] = requests.post(f"{self.url}/auth", json=body, timeout=10).json()
        return answer

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": self.token, **options.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, timeout=10, **options)

    def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.call(method, path, **options).json()["response"]
        return answer

    def segment(self, **fields: Any) -> dict[str, Any]:
        body = {
            "member_id": DEMO_MEMBER,
            "code": "one",
            "short_name": "One",
            "state": "active",
            "expire_minutes": 1440,
            **fields,
        }
        return self.ask("POST", f"/segment?member_id={DEMO_MEMBER}", json={"segment": body})

    def open_job(self) -> dict[str, Any]:
        job: dict[str, Any] = self.ask("POST", f"/batch-segment?member_id={DEMO_MEMBER}")["batch_segment_upload_job"]
        return job

    def upload(self, job: dict[str, Any], body: bytes, headers: dict[str, str] | None = None) -> requests.Response:
        return requests.post(job["upload_url"], data=body, headers=OCTETS if headers is None else headers, timeout=10)

    def job(self, job_id: str) -> Any:
        path = f"/batch-segment?member_id={DEMO_MEMBER}&job_id={job_id}"
        return self.ask("GET", path)["batch_segment_upload_job"]

    def run(self, *lines: str, newline: str = "\n", end: str = "\n") -> dict[str, Any]:
        """Upload lines and answer the finished job."""
        job = self.open_job()
        self.upload(job, (newline.join(lines) + end).encode("latin-1"))
        self.box.context.clock.advance(60)
        done: dict[str, Any] = self.job(job["job_id"])
        return done

    def control(self, action: str, **arguments: Any) -> Any:
        return self.box.vendors["xandr"].control(action, arguments)

    def switch(self, name: str, value: str | None) -> None:
        self.box.context.faults.set(f"xandr.{name}", value)

    @property
    def violations(self) -> str:
        return "\n".join(self.box.context.ledger.violations("xandr"))


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Sandbox() as box:
        yield Caller(box)


@pytest.fixture
def target(caller: Caller) -> int:
    """A segment that can be fed."""
    return int(caller.control("segment", code="target"))


# --- sessions and general rules (points 1 to 8)


def test_wrong_credentials_are_named_and_a_get_is_no_login(caller: Caller):
    assert caller.login(password="wrong")["response"]["error_id"] == "NOAUTH"
    assert requests.get(f"{caller.url}/auth", timeout=10).status_code == 405
    assert "login by anything but POST" in caller.violations


def test_the_eleventh_login_in_five_minutes_is_throttled_and_the_sixth_noted(caller: Caller):
    for _ in range(9):
        assert caller.login()["response"]["status"] == "OK"
    answer = requests.post(f"{caller.url}/auth", json={"auth": DEMO_CREDENTIALS}, timeout=10)
    assert (answer.status_code, answer.json()["response"]["error_code"]) == (429, "RATE_EXCEEDED")
    assert answer.headers["Retry-After"]
    assert "more than 5 logins" in caller.violations
    caller.box.context.clock.advance(301)
    assert caller.login()["response"]["status"] == "OK"


@pytest.mark.parametrize(("steps", "seconds"), [(1, 7201), (13, 7000)])
def test_a_session_ends_after_two_idle_hours_and_after_a_day_of_work(caller: Caller, steps: int, seconds: float):
    path = f"/batch-segment?member_id={DEMO_MEMBER}&sort=id.asc"
    for _ in range(steps):
        last = caller.ask("GET", path)
        caller.box.context.clock.advance(seconds)
    assert last["status"] == "OK"
    assert caller.ask("GET", path)["error_id"] == "NOAUTH"


def test_a_scheme_word_is_noted_and_refused_in_strict_mode(caller: Caller):
    bearer = {"Authorization": f"Bearer {caller.token}"}
    path = f"/segment?member_id={DEMO_MEMBER}"
    assert caller.ask("GET", path, headers=bearer)["status"] == "OK"
    caller.switch("strict", "1")
    assert caller.ask("GET", path, headers=bearer)["error_id"] == "NOAUTH"
    assert "scheme word" in caller.violations


@pytest.mark.parametrize(
    ("query", "error"),
    [("", "SYNTAX"), ("?member_id=abc", "SYNTAX"), (f"?member_id={PARTNER_MEMBER}", "UNAUTH")],
)
def test_a_member_must_be_given_as_a_number_and_be_ones_own(caller: Caller, query: str, error: str):
    assert caller.ask("GET", f"/batch-segment{query}")["error_id"] == error


def test_over_the_budget_a_user_is_throttled_until_the_minute_is_over(caller: Caller):
    caller.switch("reads_per_minute", "3")
    path = f"/segment?member_id={DEMO_MEMBER}"
    statuses = [caller.call("GET", path).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    caller.box.context.clock.advance(61)
    assert caller.call("GET", path).status_code == 200


def test_pages_hold_a_hundred_at_most_count_from_zero_and_may_be_sorted(caller: Caller):
    for number in range(120):
        caller.control("segment", code=f"c{number}", name=f"n{number:03}")
    path = f"/segment?member_id={DEMO_MEMBER}&include_shared=0&sort=short_name.desc"
    first = caller.ask("GET", f"{path}&num_elements=500")
    rest = caller.ask("GET", f"{path}&start_element=100")
    names = [row["short_name"] for row in first["segments"] + rest["segments"]]
    assert first["count"] == 120
    assert (len(first["segments"]), len(rest["segments"])) == (100, 20)
    assert names == sorted(names, reverse=True)
    assert "num_elements over 100" in caller.violations


def test_impbus_wants_the_member_in_the_path_and_shows_a_status_in_an_array(caller: Caller):
    caller.switch("host", "impbus")
    assert "member is required" in caller.ask("GET", "/segment")["error"]
    assert isinstance(caller.open_job(), dict)
    job = caller.open_job()
    assert isinstance(caller.job(job["job_id"]), list)
    caller.switch("legacy", "1")
    row = caller.ask("GET", f"/segment/{DEMO_MEMBER}?include_shared=1")["segments"][0]
    assert "active" in row
    assert "state" not in row


# --- segments (points 9 and 10)


@pytest.mark.parametrize(
    "fields",
    [
        {"code": "with.period"},
        {"code": "c" * 51},
        {"short_name": ""},
        {"short_name": "n" * 256},
        {"description": "it's"},
        {"description": "d" * 501},
        {"state": "paused"},
        {"expire_minutes": 259_201},
        {"expire_minutes": -1},
        {"expire_minutes": "1440"},
    ],
)
def test_a_malformed_segment_is_refused_and_noted(caller: Caller, fields: dict[str, Any]):
    assert caller.segment(**fields)["error_id"] == "SYNTAX"
    assert caller.violations


def test_a_code_is_unique_in_the_member_whatever_its_case(caller: Caller):
    assert caller.segment(code="Lapsed")["status"] == "OK"
    assert caller.segment(code="lapsed")["error_id"] == "SYNTAX"
    assert "code that exists" in caller.violations


def test_changes_merge_need_an_id_and_deleted_segments_are_gone(caller: Caller):
    number = caller.segment()["id"]
    assert caller.ask("PUT", "/segment", json={"segment": {"state": "inactive"}})["error_id"] == "SYNTAX"
    changed = caller.ask("PUT", f"/segment?id={number}", json={"segment": {"state": "inactive"}})["segment"]
    assert (changed["state"], changed["short_name"]) == ("inactive", "One")
    assert caller.ask("DELETE", f"/segment?id={number}") | {"dbg_info": 0} == {
        "status": "OK",
        "start_element": 0,
        "num_elements": 100,
        "dbg_info": 0,
        "count": 1,
        "id": str(number),
    }
    assert caller.ask("PUT", f"/segment?id={number}", json={"segment": {}})["error_id"] == "SYNTAX"


def test_a_segment_of_the_partner_or_the_shared_one_cannot_be_changed(caller: Caller):
    assert caller.ask("PUT", "/segment?id=1", json={"segment": {}})["error_id"] == "UNAUTH"
    assert caller.ask("PUT", "/segment?id=1200", json={"segment": {}})["error_id"] == "SYNTAX"


def test_users_of_a_segment_under_twenty_minutes_are_lost(caller: Caller):
    caller.switch("vendor_times", "1")
    number = caller.segment()["id"]
    caller.box.context.clock.advance(1190)
    job = caller.open_job()
    caller.upload(job, f"42;{number}:60:0\n".encode())
    caller.box.context.clock.advance(3600)
    assert caller.job(job["job_id"])["num_invalid_segment"] == 1
    assert caller.control("members", segment=number) == []


# --- jobs and the upload host (points 11 to 20)


def test_every_job_has_a_fresh_address_that_cannot_be_built(caller: Caller):
    urls = [caller.open_job()["upload_url"] for _ in range(6)]
    assert len(set(urls)) == 6
    assert len({url.rsplit("/", 1)[0] for url in urls}) > 1


def test_step_one_takes_no_body(caller: Caller):
    answer = caller.ask("POST", f"/batch-segment?member_id={DEMO_MEMBER}", json={"x": 1})
    assert answer["error_id"] == "SYNTAX"


def test_an_address_is_dead_when_late_replaced_or_used(caller: Caller, target: int):
    line = f"42;{target}:60:0\n".encode()
    late = caller.open_job()
    caller.box.context.clock.advance(301)
    assert caller.upload(late, line).json()["response"]["error_code"] == "UPLOAD_URL_EXPIRED"
    assert caller.job(late["job_id"])["phase"] == "starting"
    replaced, used = caller.open_job(), caller.open_job()
    assert caller.upload(replaced, line).json()["response"]["error_code"] == "UPLOAD_URL_INVALID"
    assert caller.upload(used, line).json()["response"] == {
        "segment_upload": {"job_id": used["job_id"]},
        "status": "OK",
    }
    assert caller.upload(used, line).json()["response"]["error_code"] == "UPLOAD_URL_USED"


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/csv", ""])
def test_another_media_type_is_not_processed(caller: Caller, media_type: str):
    job = caller.open_job()
    assert caller.upload(job, b"42;1:1:0\n", {"Content-Type": media_type}).status_code == 415
    shown = caller.job(job["job_id"])
    assert (shown["phase"], shown["error_code"]) == ("error", "uploading-error")


def test_only_post_is_taken_and_a_chunked_body_is_noted(caller: Caller, target: int):
    job = caller.open_job()
    assert requests.put(job["upload_url"], data=b"x", headers=OCTETS, timeout=10).status_code == 405
    body = iter([f"42;{target}:60:0\n".encode()])
    assert requests.post(job["upload_url"], data=body, headers=OCTETS, timeout=10).ok
    assert "without Content-Length" in caller.violations


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("hourly_byte_limit", "Member exceeds maximum allowed bytes per hour"),
        ("daily_byte_limit", "Member exceeds maximum allowed bytes per day"),
        ("hourly_num_lines_limit", "Member exceeds maximum allowed number of lines per hour"),
        ("daily_num_lines_limit", "Member exceeds maximum allowed number of lines per day"),
    ],
)
def test_each_quota_has_its_text_and_counts_lines_to_nowhere_too(caller: Caller, limit: str, text: str):
    caller.control("configure", **{limit: 1})
    job = caller.open_job()
    answer = caller.upload(job, b"42;999999:60:0\n43;999999:60:0\n").json()["response"]
    assert answer == {"status": "ERROR", "error_code": "RATE_LIMIT_EXCEEDED", "errors": [text]}
    assert caller.job(job["job_id"])["error_code"] == "uploading-error"


def test_a_quota_is_free_again_in_the_next_hour(caller: Caller, target: int):
    caller.control("configure", hourly_num_lines_limit=1)
    outcomes = []
    for number in range(3):
        answer = caller.upload(caller.open_job(), f"{number + 1};{target}:60:0\n".encode()).json()["response"]
        outcomes.append(answer["status"])
        caller.box.context.clock.advance(3600 if number else 30)
    assert outcomes[0] == "OK"
    assert outcomes[2] == "OK"


def test_uploads_closer_than_a_minute_are_noted_and_refused_in_strict_mode(caller: Caller, target: int):
    caller.switch("vendor_times", "1")
    line = f"42;{target}:60:0\n".encode()
    caller.upload(caller.open_job(), line)
    caller.box.context.clock.advance(30)
    assert caller.upload(caller.open_job(), line).ok
    assert "closer together" in caller.violations
    caller.switch("strict", "1")
    assert caller.upload(caller.open_job(), line).json()["response"]["error_code"] == "RATE_LIMIT_EXCEEDED"


def test_with_the_most_waiting_no_job_is_opened(caller: Caller, target: int):
    caller.switch("stuck", "validating")
    caller.switch("most_waiting", "1")
    caller.upload(caller.open_job(), f"42;{target}:60:0\n".encode())
    assert caller.ask("POST", f"/batch-segment?member_id={DEMO_MEMBER}")["error_id"] == "LIMIT"
    assert len(caller.box.vendors["xandr"].state()["jobs"]) == 1


def test_a_broken_upload_ends_its_job(caller: Caller, target: int):
    caller.switch("drop_during_upload", "1x")
    job = caller.open_job()
    with pytest.raises(requests.ConnectionError):
        caller.upload(job, f"42;{target}:60:0\n".encode())
    assert caller.job(job["job_id"])["error_code"] == "uploading-error"


# --- files (points 21 to 33)


@pytest.mark.parametrize(
    "body",
    [
        b"PK\x03\x04zip",
        b"\x28\xb5\x2f\xfdzstd",
        b"BZh91AY",
        lzma.compress(b"xz"),
        gzip.compress(b"1;2:3:4\n" * 1000, mtime=0)[:-20],
        b"\x1f\x8bnonsense",
        b"",
    ],
)
def test_a_file_that_cannot_be_read_ends_its_job(caller: Caller, body: bytes):
    job = caller.open_job()
    caller.upload(job, body)
    caller.box.context.clock.advance(60)
    shown = caller.job(job["job_id"])
    assert (shown["phase"], shown["error_code"]) == ("error", "unreadable-file")


def test_gzip_of_several_members_is_read_whole(caller: Caller, target: int):
    job = caller.open_job()
    caller.upload(job, b"".join(gzip.compress(f"{number};{target}:60:0\n".encode()) for number in (41, 42)))
    caller.box.context.clock.advance(60)
    assert sorted(caller.control("members", segment=target)) == ["41", "42"]


def test_each_line_falls_under_its_counter(caller: Caller, target: int):
    inactive = caller.control("segment", code="asleep", state="inactive")
    caller.control("unknown", ids=["66"])
    done = caller.run(
        f"41;{target}:60:0",
        f"42;{target}:60",
        f"41;{target}:60:0",
        f"x43;{target}:60:0",
        f"66;{target}:60:0",
        "44;999999:60:0",
        f"45;{inactive}:60:0",
        "46;1200:60:0",
        f"47;{target}:-2:0",
        f"48;{target}:60:99999999999",
        f"{UUID};{target}:60:0^6",
        "",
        f"49;{target}:60:0\r",
    )
    figures = {name: done[name] for name in done if name.startswith("num_")}
    assert figures == {
        "num_valid": 1,
        "num_valid_user": 5,
        "num_invalid_user": 2,
        "num_invalid_format": 6,
        "num_invalid_segment": 1,
        "num_invalid_timestamp": 0,
        "num_unauth_segment": 1,
        "num_past_expiration": 0,
        "num_inactive_segment": 1,
        "num_other_error": 0,
    }
    assert f"num_invalid_format-42;{target}:60 failed with an illegal number of fields" in done["error_log_lines"]
    assert "num_invalid_user-66" in done["error_log_lines"]
    assert done["segment_log_lines"].split() == ["added:", f"{target}:1"]


def test_files_add_up_remove_and_never_clear(caller: Caller, target: int):
    caller.run(f"41;{target}:60:0", f"42;{target}:0:0", f"43;{target}:60:0", end="")
    done = caller.run(f"41;{target}:-1:0", f"99;{target}:-1:0", f"44;{target}:999999:0")
    assert done["num_valid"] == 3
    assert sorted(caller.control("members", segment=target)) == ["42", "43", "44"]
    caller.box.context.clock.advance(3600)
    assert sorted(caller.control("members", segment=target)) == ["42", "44"]
    caller.box.context.clock.advance(180 * 86400)
    assert caller.control("members", segment=target) == []


def test_a_repeated_pair_is_noted_and_in_strict_mode_refused(caller: Caller, target: int):
    lines = (f"{UUID};{target}:60:0^8", f"{UUID.upper()};{target}:61:0^8")
    assert caller.run(*lines)["num_valid"] == 2
    assert "the same user and segment" in caller.violations
    caller.switch("strict", "1")
    done = caller.run(*lines)
    assert (done["num_valid"], done["num_invalid_format"]) == (1, 1)


def test_too_many_bad_lines_kill_the_job_and_leave_what_was_read(caller: Caller, target: int):
    caller.control("configure", num_invalid_before_error=2)
    done = caller.run(f"41;{target}:60:0", "bad", "worse", f"42;{target}:60:0")
    assert (done["phase"], done["num_valid"], done["error_log_lines"]) == ("error", 0, None)
    assert caller.control("members", segment=target) == ["41"]


def test_timestamps_are_ten_digits_and_memberships_of_the_past_count_as_such(caller: Caller, target: int):
    caller.control("configure", segment_fields=["SEG_ID", "EXPIRATION", "TIMESTAMP"])
    now = int(caller.box.context.clock.now().timestamp())
    done = caller.run(
        f"41;{target}:60:{now}", f"42;{target}:60:{now}000", f"43;{target}:1:{now - 3600}", f"44;{target}:60:{now - 60}"
    )
    assert (done["num_valid"], done["num_invalid_timestamp"], done["num_past_expiration"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("42;7:1:0", ""),
        ("42", "no separator"),
        ("42;7", "wrong number"),
        ("42;7:1:0,8:1", "wrong number"),
        ("42;0:1:0", "SEG_ID"),
        ("42;7:x:0", "EXPIRATION"),
        ("42;7:1:x", "VALUE"),
        (f"{UUID};7:1:0^6", "type 6"),
        (f"{UUID};7:1:0^99", "unknown id type"),
        ("42;" + ",".join(["7:1:0"] * 1801), "more than 1800"),
        ("42;" + ",".join(["7:1:0"] * 1800), ""),
    ],
)
def test_a_line_is_read_by_the_members_configuration(text: str, fault: str):
    body = LineReader(MemberConfig(DEMO_MEMBER)).read(text).body
    assert fault in body.fault
    assert bool(body.fault) is bool(fault)


def test_blocks_after_the_fourth_separator_are_removals():
    body = LineReader(MemberConfig(DEMO_MEMBER)).read("42;7:1:0\t8:-1:0,9:5:0").body
    assert [(pair.segment[1], pair.removal) for pair in body.pairs] == [(7, False), (8, True), (9, True)]


# --- status (points 34 to 40)


def test_phases_come_one_by_one_without_figures_and_reach_a_hundred_before_their_end(caller: Caller, target: int):
    job = caller.open_job()
    seen = [caller.job(job["job_id"])]
    caller.upload(job, f"42;{target}:60:0\n".encode())
    for _ in range(12):
        seen.append(caller.job(job["job_id"]))
        caller.box.context.clock.advance(0.4)
    phases = list(dict.fromkeys(row["phase"] for row in seen))
    assert phases == ["starting", "validating", "processing", "completed"]
    assert not any("num_valid" in row for row in seen if row["phase"] != "completed")
    assert any(row["percent_complete"] == 100 for row in seen if row["phase"] == "validating")
    assert isinstance(seen[-1]["time_to_process"], str)
    caller.switch("host", "impbus")
    assert isinstance(caller.job(job["job_id"])[0]["time_to_process"], float)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("fails_uploading", "uploading-error"), ("fails_validating", "17"), ("fails_processing", "processing-error")],
)
def test_a_job_can_end_in_error_from_each_phase(caller: Caller, target: int, fault: str, code: str):
    caller.switch(fault, "1x")
    if code.isdigit():
        caller.switch("error_code", code)
    done = caller.run(f"41;{target}:60:0", f"42;{target}:60:0")
    assert (done["phase"], str(done["error_code"]), done["num_valid"]) == ("error", code, 0)
    assert done["completed_time"] is None
    assert len(caller.control("members", segment=target)) == (1 if fault == "fails_processing" else 0)


def test_history_ends_after_thirty_days_and_so_does_the_job_itself(caller: Caller, target: int):
    done = caller.run(f"42;{target}:60:0")
    path = f"/batch-segment?member_id={DEMO_MEMBER}&sort=last_modified.desc"
    assert len(caller.ask("GET", path)["batch_segment_upload_job"]) == 1
    caller.box.context.clock.advance(31 * 86400)
    caller.token = caller.login()["response"]["token"]
    assert caller.ask("GET", path)["batch_segment_upload_job"] == []
    assert caller.job(done["job_id"]) is None


def test_history_without_sort_is_noted(caller: Caller):
    caller.ask("GET", f"/batch-segment?member_id={DEMO_MEMBER}")
    assert "history without sort" in caller.violations


def test_state_shows_at_most_a_thousand_members_with_their_count(caller: Caller, target: int):
    caller.control("seed", segment=target, ids=[str(number) for number in range(1, 1501)])
    shown = caller.box.vendors["xandr"].state()["memberships"][str(target)]
    assert (shown["count"], len(shown["ids"])) == (1500, 1000)
    assert len(caller.control("members", segment=target)) == 1500


def test_the_ledger_holds_neither_addresses_nor_identifiers(caller: Caller, target: int):
    job = caller.open_job()
    caller.upload(job, f"987654321;{target}:60:0\n987654321;{target}:60:0\n".encode())
    written = str([entry.__dict__ for entry in caller.box.context.ledger.entries("xandr")])
    assert "987654321" not in written
    assert job["upload_url"].rsplit("/", 1)[1] not in written
    assert "repeated line" in written
