"""The sandbox's Xandr: files and their lines, and what they do to members."""

from __future__ import annotations

import gzip
import lzma

import pytest

from audsync_web.sandbox.xandr import DEMO_MEMBER
from audsync_web.sandbox.xandr.lines import LineReader
from audsync_web.sandbox.xandr.model import MemberConfig

from .xandr_kit import UUID, Caller


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
