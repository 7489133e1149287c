"""The sandbox's Xandr: phases of a job, its end, history, and what state and ledger show."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.xandr import DEMO_MEMBER

from .xandr_kit import Caller


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
