"""Xandr: what the upload host refuses, and what is done about it."""

from __future__ import annotations

from typing import Any

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.errors import Permanent, QuotaExceeded, TooLarge, Transient

from .xandr_kit import asked, connect, control, journal, live_segment, planned, switch, vendor, violations


@pytest.mark.parametrize(
    "quota", ["hourly_byte_limit", "daily_byte_limit", "hourly_num_lines_limit", "daily_num_lines_limit"]
)
def test_a_used_up_quota_stops_the_member_for_an_hour_and_is_not_retried(box: Sandbox, quota: str):
    connector = connect(box, quotaPauseMinutes=60)
    delivery, part = planned(box, connector, live_segment(box, connector))
    control(box, "configure", **{quota: 1})
    with pytest.raises(QuotaExceeded) as used:
        connector.send_part(delivery, part, journal(box, part))
    assert (used.value.retry_after, used.value.gate) == (3600, connector.gates(delivery)[0].key)
    assert asked(box, "POST", "segment-upload") == 1


@pytest.mark.parametrize(
    ("name", "value", "code"), [("file_too_large", "1x", "too_large"), ("upload_minutes", "91", "upload_too_slow")]
)
def test_a_file_too_large_or_too_slow_asks_for_smaller_parts(box: Sandbox, name: str, value: str, code: str):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, name, value)
    with pytest.raises(TooLarge) as refused:
        connector.send_part(delivery, part, journal(box, part))
    assert refused.value.code == code
    assert refused.value.next_step


def test_a_dead_address_means_a_new_job(box: Sandbox, monkeypatch: pytest.MonkeyPatch):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    host = vendor(box).upload_host
    monkeypatch.setattr(host, "_dead", lambda job: ("UPLOAD_URL_EXPIRED", "too late"))
    with pytest.raises(Transient) as dead:
        connector.send_part(delivery, part, journal(box, part))
    assert dead.value.code == "upload_url_dead"


def test_what_xandr_says_of_a_line_names_nobody(box: Sandbox, monkeypatch: pytest.MonkeyPatch):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    addresses: list[str] = []

    def quoting(job: Any) -> tuple[str, str]:
        addresses.append(job.secret)
        device = "3F2B8F0E-5F4B-4C0E-9A45-6F0D7D1F2A10"
        return "UPLOAD_URL_EXPIRED", f"{job.secret}: 8643177309221874,{device} of segment 4410021"

    monkeypatch.setattr(vendor(box).upload_host, "_dead", quoting)
    with pytest.raises(Transient) as refused:
        connector.send_part(delivery, part, journal(box, part))
    assert refused.value.vendor_text == "UPLOAD_URL_EXPIRED …: …,… of segment 4410021"
    assert addresses


def test_a_refusal_with_a_code_that_nobody_published_means_a_new_job(box: Sandbox):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, "upload_code", "SOMETHING_NEW")
    with pytest.raises(Transient) as refused:
        connector.send_part(delivery, part, journal(box, part))
    assert "SOMETHING_NEW" in refused.value.vendor_text
    switch(box, "upload_code", None)
    box.context.clock.advance(60)
    connector.send_part(delivery, part, journal(box, part))
    assert asked(box, "POST", "batch-segment") == 2
    assert violations(box) == []


def test_a_quota_that_leaves_no_room_for_a_day_ends_the_waiting(box: Sandbox):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, "daily_byte_limit", "100x")
    for hour in range(24):
        with pytest.raises(QuotaExceeded):
            connector.send_part(delivery, part, journal(box, part))
        assert "quota_since" in part.memory, hour
        box.context.clock.advance(3600)
    with pytest.raises(Permanent) as given_up:
        connector.send_part(delivery, part, journal(box, part))
    assert (given_up.value.code, bool(given_up.value.next_step)) == ("quota_too_small", True)
