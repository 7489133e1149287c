"""What Xandr's connector decides without a call: layouts, identifiers, lifetimes, looks, and what figures mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audsync_web.sandbox import xandr as sandbox
from audsync_web.vendors.connectors.base import RemoteStatus, SegmentRef
from audsync_web.vendors.connectors.errors import InvalidConfiguration, NotSupported, Permanent
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.xandr import XandrConnector
from audsync_web.vendors.connectors.xandr.jobs import (
    balance,
    forward,
    is_waiting,
    match_rate,
    read_error_log,
    read_segment_log,
    state_of,
)
from audsync_web.vendors.connectors.xandr.layout import TYPE_CODES
from audsync_web.vendors.connectors.xandr.segments import minutes_of, rows_of

from .fakes import MovableClock, services
from .given import account_config, delivery_context

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SEGMENT = SegmentRef("4410021", "aud_k7q2_11107", "Lapsed buyers", 90, True, None)


def connector(**settings: Any) -> XandrConnector:
    config = account_config(
        XandrConnector, "http://127.0.0.1:9", sandbox.DEMO_CREDENTIALS, {"memberId": 7702, **settings}
    )
    return XandrConnector(config, services(MovableClock(NOW)))


def tails(made: XandrConnector, **options: Any) -> tuple[str, str]:
    """What stands after an identifier that is added, and after one that is removed."""
    identifier = str(made.config.settings["identifier"])
    shape = made.line_format(delivery_context(SEGMENT, identifier, MovableClock(NOW), **options))
    return tuple(shape.wrap(op, 0).suffix.decode("latin-1") for op in (Op.ADD, Op.REMOVE))  # type: ignore[return-value]


# --- lines (spec section 7)


def test_the_default_profile_writes_the_blocks_of_the_reference_configuration():
    assert tails(connector(), days=30) == (";4410021:43200:0", ";4410021:-1:0")


@pytest.mark.parametrize(
    ("late", "minutes"),
    [
        (timedelta(minutes=59), 43_200),
        (timedelta(days=10, seconds=30), 28_800),
        (timedelta(days=29, hours=23, minutes=59, seconds=30), 1),
    ],
)
def test_a_file_that_was_held_up_says_how_long_is_left_and_from_when(late: timedelta, minutes: int):
    made = connector(segmentFields=["SEG_ID", "EXPIRATION", "TIMESTAMP"])
    delivery = delivery_context(SEGMENT, "xandr_id", MovableClock(NOW), days=30)
    written_at = NOW + late
    shape = made.line_format(replace(delivery, written_at=written_at))
    since = int((written_at if late > timedelta(hours=1) else NOW).timestamp())
    assert shape.wrap(Op.ADD, 0).suffix == f";4410021:{minutes}:{since}".encode()


def test_a_file_held_up_for_the_whole_lifetime_adds_nobody_and_still_removes():
    delivery = delivery_context(SEGMENT, "xandr_id", MovableClock(NOW), days=30)
    shape = connector().line_format(replace(delivery, written_at=NOW + timedelta(days=30)))
    with pytest.raises(Permanent, match="run out"):
        shape.wrap(Op.ADD, 0)
    assert shape.wrap(Op.REMOVE, 0).suffix == b";4410021:-1:0"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("idfa", "^3"),
        ("sha1udid", "^4"),
        ("md5udid", "^5"),
        ("openudid", "^7"),
        ("aaid", "^8"),
        ("windowsadid", "^9"),
        ("rida", "^10"),
    ],
)
def test_device_types_have_their_code_and_never_the_withdrawn_one(kind: str, code: str):
    assert tails(connector(identifier=kind), days=1)[0] == f";4410021:1440:0{code}"


def test_a_layout_of_codes_and_timestamps_is_written_as_configured():
    made = connector(
        separator1=",",
        separator2=";",
        separator3="space",
        segmentFields=["MEMBER_ID", "SEG_CODE", "TIMESTAMP", "EXPIRATION"],
    )
    assert tails(made, days=1)[0] == ",7702 aud_k7q2_11107 1795338000 1440"


@pytest.mark.parametrize("code", ["", "vip;2026", "vip^1", "vip\n", "vip\u20ac"])
def test_a_code_that_would_break_a_line_is_refused(code: str):
    made = connector(segmentFields=["SEG_CODE", "EXPIRATION"])
    linked = replace(SEGMENT, memory={"code": code})
    with pytest.raises(Permanent) as refused:
        made.line_format(delivery_context(linked, "xandr_id", MovableClock(NOW)))
    assert refused.value.code == "segment_code_unusable"


@pytest.mark.parametrize(
    ("left", "minutes"),
    [
        (timedelta(days=180), "259200"),
        (timedelta(days=365), "259200"),
        (timedelta(days=1), "1440"),
        (timedelta(minutes=10, seconds=1), "11"),
        (timedelta(seconds=20), "1"),
    ],
)
def test_expiration_is_never_zero_and_never_over_half_a_year(left: timedelta, minutes: str):
    assert tails(connector(), days=left / timedelta(days=1))[0] == f";4410021:{minutes}:0"


@pytest.mark.parametrize("days", [None, 0, -1])
def test_a_lifetime_that_has_run_out_or_is_not_known_is_never_written(days: int | None):
    with pytest.raises(Permanent, match="run out"):
        tails(connector(), days=days)


def test_files_are_gzip_in_latin_1_with_line_feeds_and_within_half_a_gigabyte():
    made = connector()
    delivery = delivery_context(SEGMENT, "xandr_id", MovableClock(NOW))
    shape, rules = made.line_format(delivery), made.part_rules(delivery)
    assert (shape.gzip, shape.encoding, shape.separator, shape.opening) == (True, "latin-1", b"\n", b"")
    assert shape.content_type == "application/octet-stream"
    assert (rules.max_bytes, rules.max_wire_bytes) == (300_000_000, 500_000_000)


def test_the_vendors_shared_segment_is_never_written():
    shared = SegmentRef("1", "aud_k7q2_1", "x", 30, True, None)
    with pytest.raises(Permanent):
        connector().line_format(delivery_context(shared, "xandr_id", MovableClock(NOW)))


# --- declarations (sections 7.1 and 7.2)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"separator1": "ab"}, {"separator1"}),
        ({"separator1": "a"}, {"separator1"}),
        ({"separator2": "|"}, {"separator2"}),
        ({"separator4": "-"}, {"separator4"}),
        ({"separator5": "€"}, {"separator5"}),
        ({"separator2": ";"}, {"separator2"}),
        ({"separator5": "tab"}, {"separator5"}),
        ({"separator3": ","}, {"separator3"}),
        ({"segmentFields": ["SEG_ID", "SEG_CODE", "EXPIRATION"]}, {"segmentFields"}),
        ({"segmentFields": ["EXPIRATION"]}, {"segmentFields"}),
        ({"segmentFields": ["SEG_ID", "VALUE"]}, {"segmentFields"}),
        ({"segmentFields": ["SEG_ID", "EXPIRATION", "EXPIRATION"]}, {"segmentFields"}),
        ({"segmentFields": ["SEG_ID", "EXPIRATION", "COLOUR"]}, {"segmentFields"}),
        ({"identifier": "tifa"}, {"identifier"}),
        ({"separator1": "|", "segmentFields": ["VALUE"]}, {"separator1", "segmentFields"}),
    ],
)
def test_a_layout_that_xandr_could_not_read_is_refused(settings: dict[str, Any], names: set[str]):
    with pytest.raises(InvalidConfiguration) as refused:
        connector(**settings)
    assert set(refused.value.errors) == names


def test_the_first_and_third_separator_may_be_the_same():
    assert tails(connector(separator1=":"), days=1)[0] == ":4410021:1440:0"


def test_bidders_types_need_their_switch():
    assert tails(connector(identifier="lgudid", unconfirmedIdTypes=True), days=1)[0].endswith("^13")


# --- identifiers (section 7.3)

UUID = "6f1c2a90-3b7d-4e58-9a41-0d5c7be2f813"


@pytest.mark.parametrize(
    ("kind", "value", "good"),
    [
        ("xandr_id", "7314159265358979323", True),
        ("xandr_id", "18446744073709551615", True),
        ("xandr_id", "18446744073709551616", False),
        ("xandr_id", "0", False),
        ("xandr_id", "007", False),
        ("xandr_id", "12a", False),
        ("idfa", UUID, True),
        ("idfa", UUID.upper(), True),
        ("aaid", "00000000-0000-0000-0000-000000000000", False),
        ("aaid", "00000000-0000-0000-0000-000000000001", True),
        ("aaid", "00000000-0000-0000-0100-000000000000", True),
        ("rida", UUID[:-1], False),
        ("rida", UUID.replace("-", ""), False),
        ("rida", UUID.replace("6", "g"), False),
        ("sha1udid", "a" * 40, True),
        ("sha1udid", "a" * 39, False),
        ("md5udid", "A" * 32, True),
        ("openudid", "z" * 40, False),
        ("windowsadid", "any-thing_1", True),
        ("windowsadid", "semi;colon", False),
        ("windowsadid", "caret^", False),
        ("windowsadid", "tab\t", False),
        ("windowsadid", "", False),
    ],
)
def test_each_identifier_type_is_checked_before_it_is_sent(kind: str, value: str, good: bool):
    assert connector().rule_for(kind).accepts(value) is good


@pytest.mark.parametrize("kind", [kind for kind in TYPE_CODES if kind != "xandr_id"])
def test_a_device_id_goes_out_as_it_came_and_spelt_twice_it_is_one(kind: str):
    assert connector(unconfirmedIdTypes=True).rule_for(kind).case == "fold"


def test_both_hosts_of_the_vendor_are_ways_to_one_member_with_one_set_of_limits():
    scopes = {
        XandrConnector(
            account_config(XandrConnector, f"https://{host}", sandbox.DEMO_CREDENTIALS, {"memberId": 7702}),
            services(MovableClock(NOW)),
        ).quota_scope
        for host in ("api.appnexus.com", "api.adnxs.com")
    }
    assert scopes == {"xandr:api.appnexus.com:7702"}


def test_another_kind_is_refused():
    with pytest.raises(NotSupported):
        connector().rule_for("email")


@pytest.mark.parametrize(("days", "minutes"), [(0, 1), (1, 1440), (30, 43_200), (180, 259_200), (9999, 259_200)])
def test_a_segments_own_lifetime_is_never_zero(days: int, minutes: int):
    assert minutes_of(days) == minutes


# --- looks (section 12, rule 32)


@pytest.mark.parametrize(
    ("waited", "first", "longest", "seconds"),
    [
        (0, 60, 900, 60),
        (899, 60, 900, 60),
        (900, 60, 900, 300),
        (6 * 3600 - 1, 60, 900, 300),
        (6 * 3600, 60, 900, 900),
        (40 * 3600, 60, 900, 900),
        (7 * 3600, 60, 120, 120),
        (0, 0, 0, 0),
    ],
)
def test_looks_grow_apart_as_a_job_grows_old(waited: float, first: float, longest: float, seconds: float):
    assert connector(pollFirstSeconds=first, pollMaxSeconds=longest).next_poll(waited, 7) == seconds


# --- hosts


@pytest.mark.parametrize(
    ("style", "url", "host"),
    [
        ("auto", "https://api.adnxs.com", "Impbus"),
        ("auto", "https://api.appnexus.com", "Console"),
        ("console", "https://api.adnxs.com", "Console"),
        ("impbus", "https://api.appnexus.com/v1.18", "Impbus"),
    ],
)
def test_the_host_style_follows_the_base_url_unless_set(style: str, url: str, host: str):
    config = account_config(XandrConnector, url, sandbox.DEMO_CREDENTIALS, {"memberId": 1, "hostStyle": style})
    made = XandrConnector(config, services(MovableClock(NOW)))
    assert ("Impbus" if made._is_impbus else "Console") == host


@pytest.mark.parametrize(
    "envelope",
    [
        {"segment": {"id": 7}},
        {"segment": [{"id": 7}]},
        {"segments": [{"id": 7}]},
        {"segments": {"7": {"id": 7}}},
        {"segments": [None, {"id": "7"}, {"name": "no id"}]},
    ],
)
def test_segments_are_found_in_every_shape_of_an_answer(envelope: dict[str, Any]):
    assert [int(row["id"]) for row in rows_of(envelope)] == [7]


# --- figures (section 4)


def test_a_job_id_of_128_characters_stays_whole():
    assert state_of(job(job_id="a" * 128)).job_id == "a" * 128


def test_an_apparent_move_back_of_a_phase_is_ignored():
    assert state_of(forward(job(phase="validating"), "processing")).raw == "processing"
    assert state_of(forward(job(phase="completed"), "processing")).raw == "completed"
    assert state_of(forward(job(phase="archiving"), "processing")).raw == "archiving"


def job(**figures: Any) -> dict[str, Any]:
    return {"job_id": "j1", "phase": "completed", "num_valid": 10, "num_valid_user": 10, **figures}


@pytest.mark.parametrize(
    ("figures", "lines", "expected", "marked"),
    [
        ({}, 10, (10, 0), False),
        ({"num_valid": 8, "num_invalid_user": 2}, 10, (8, 2), False),
        ({"num_valid": 7, "num_invalid_user": 2, "num_invalid_format": 1}, 10, (7, 3), False),
        ({"num_valid": "9", "num_invalid_timestamp": "1"}, 10, (9, 1), False),
        ({"num_valid": 0, "num_invalid_segment": 1}, 10, (0, 10), False),
        ({"num_valid": 6, "num_past_expiration": 1}, 10, (6, 4), False),
        ({"num_valid": 8}, 10, (8, 2), True),
        ({"num_valid": 12}, 10, (10, 0), True),
        ({"num_valid": 10, "num_invalid_user": 2}, 10, (8, 2), True),
        ({"num_valid": 0, "num_invalid_user": 99}, 10, (0, 10), True),
        ({"num_valid": None}, 10, (None, None), True),
        ({"num_valid": 8, "num_invalid_user": 2}, None, (8, 2), False),
    ],
)
def test_accepted_and_refused_are_the_lines_sent_and_a_mismatch_is_said(
    figures: dict[str, Any], lines: int | None, expected: tuple[int | None, int | None], marked: bool
):
    accepted, refused, said = balance(job(**figures), lines)
    assert (accepted, refused) == expected
    assert bool(said) is marked
    if lines is not None and accepted is not None and refused is not None:
        assert accepted + refused == lines


def test_figures_before_the_end_are_neither_shown_nor_kept():
    state = state_of({"job_id": "j", "phase": "processing", "percent_complete": 100, "num_valid": 5}, 10)
    assert (state.status, state.accepted, state.refused) == (RemoteStatus.RUNNING, None, None)
    assert "num_valid" not in state.counters
    assert state.progress is not None
    assert state.progress < 1


@pytest.mark.parametrize("code", [None, "uploading-error", 17, "something new"])
def test_an_error_code_may_be_null_text_or_a_number(code: Any):
    state = state_of({"job_id": "j", "phase": "error", "error_code": code}, 10)
    assert state.status is RemoteStatus.FAILED
    assert str(code or "not told") in (state.details or "")


@pytest.mark.parametrize("minutes", ["12.87", 12.87])
def test_time_to_process_may_be_text_or_a_number(minutes: Any):
    assert state_of(job(time_to_process=minutes), 10).counters["time_to_process"] == "12.87"


def test_a_negative_64_bit_id_is_kept_as_it_is():
    assert state_of(job(id=-(2**62)), 10).counters["id"] == str(-(2**62))


@pytest.mark.parametrize(
    ("text", "added", "removed"),
    [
        ("added: 1:5 2:3 removed: 3:1", {"1": 5, "2": 3}, {"3": 1}),
        ("added: 1:5 2:3removed: 3:1", {"1": 5, "2": 3}, {"3": 1}),
        ("added:\n1:5\nremoved:\n3:1\n", {"1": 5}, {"3": 1}),
        ("removed: 3:1", {}, {"3": 1}),
        ("\n1:5\n2:3", {"1": 5, "2": 3}, {}),
        ("1-5\n2-3", {"1": 5, "2": 3}, {}),
        ("", {}, {}),
        (None, {}, {}),
    ],
)
def test_all_three_grammars_of_the_segment_log_are_read(
    text: str | None, added: dict[str, int], removed: dict[str, int]
):
    log = read_segment_log(text)
    assert log is not None
    assert (log.added, log.removed) == (added, removed)


@pytest.mark.parametrize("text", ["see attachment", "added: 1:5 2", "added: a:b", "1:23:4"])
def test_a_segment_log_of_no_known_grammar_is_not_guessed_at(text: str):
    assert read_segment_log(text) is None


def test_the_error_log_is_counted_by_fault_and_blank_lines_do_not_count():
    text = "\nnum_invalid_format-1;2:3 failed with an illegal number of fields\n\nnum_invalid_user-1;2:3:0\nnoise\n"
    assert read_error_log(text) == {"num_invalid_format": 1, "num_invalid_user": 1}


def test_the_match_rate_is_undefined_without_users():
    assert match_rate(job(num_valid_user=0, num_invalid_user=0)) is None
    assert match_rate(job(num_valid_user=3, num_invalid_user=1)) == 0.75


@pytest.mark.parametrize(
    ("phase", "age", "waiting"),
    [
        ("starting", 60, True),
        ("starting", 301, False),
        ("uploading", 9999, True),
        ("validating", 9999, True),
        ("processing", 9999, True),
        ("hibernating", 9999, True),
        ("completed", 1, False),
        ("error", 1, False),
    ],
)
def test_a_job_waits_until_its_end_but_an_unused_address_for_five_minutes_only(phase: str, age: int, waiting: bool):
    made = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%d %H:%M:%S")
    assert is_waiting({"job_id": "j", "phase": phase, "created_on": made}, NOW) is waiting
