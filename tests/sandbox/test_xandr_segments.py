"""The sandbox's Xandr: the fields of segments, who may change them, and when they can be fed."""

from __future__ import annotations

from typing import Any

import pytest

from .xandr_kit import Caller


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
