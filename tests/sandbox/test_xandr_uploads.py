"""The sandbox's Xandr: jobs, upload addresses, quotas, and what keeps uploads apart."""

from __future__ import annotations

import pytest
import requests

from audsync_web.sandbox.xandr import DEMO_MEMBER

from .xandr_kit import OCTETS, Caller


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
    assert requests.put(job["upload_url"], data=b"x", headers=OCTETS, timeout=30).status_code == 405
    body = iter([f"42;{target}:60:0\n".encode()])
    assert requests.post(job["upload_url"], data=body, headers=OCTETS, timeout=30).ok
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
