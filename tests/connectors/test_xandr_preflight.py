"""Xandr: what is told beforehand (preflight and estimate) and afterwards (history)."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Level, RemoteStatus, SegmentRef, Totals
from audsync_web.vendors.connectors.xandr import XandrConnector

from .given import segment_ref, segment_spec
from .xandr_kit import connect, control, deliver, live_segment, planned, switch, vendor, violations


def findings(connector: XandrConnector, segment: SegmentRef, identifier: str = "xandr_id"):
    return {f.check: f for f in connector.preflight(segment, identifier, Totals(1, 1, 0, 0, 0))}


def test_preflight_is_green_for_a_segment_that_can_be_fed(box: Sandbox):
    connector = connect(box)
    found = findings(connector, live_segment(box, connector))
    assert {finding.level for finding in found.values()} == {Level.OK}


def test_preflight_tells_of_youth_deactivation_loss_and_pauses(box: Sandbox):
    connector = connect(box, newSegmentWaitMinutes=20)
    spec = segment_spec()
    young = segment_ref(connector.create_segment(spec), spec)
    assert findings(connector, young)["age"].level is Level.WARNING
    segment = live_segment(box, connector)
    connector.release_segment(segment, "deactivate")
    assert findings(connector, segment)["segment"].level is Level.BLOCKED
    gone = SegmentRef("999999", "aud_k7q2_1", "x", 30, True, None)
    assert findings(connector, gone)["segment"].fix
    connector.services.pacer.pause(f"{connector.quota_scope}:upload", 600, "The quota is used up.")
    assert findings(connector, segment)["queue"].text == "The quota is used up."
    assert findings(connector, segment, "tifa")["identifier"].level is Level.WARNING


def test_preflight_says_where_a_segment_keeps_others_for_one_ad_call_only(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    vendor(box).world.segments[int(segment.remote_id)].expire_minutes = 0
    found = {finding.check: finding for finding in connector.preflight(segment, "xandr_id", None)}
    assert found["lifetime"].level is Level.WARNING
    assert "expire_minutes 0" in found["lifetime"].text


def test_an_estimate_counts_a_minute_between_parts_and_the_wait_for_a_new_segment(box: Sandbox):
    settings = {"maxPartLines": 1000, "minSecondsBetweenUploads": 60, "newSegmentWaitMinutes": 20}
    connector = connect(box, **settings)
    spec = segment_spec()
    young = segment_ref(connector.create_segment(spec), spec)
    delivery, _ = planned(box, connector, young)
    estimate = connector.estimate(delivery, Totals(10_000, 9_500, 0, 500, 0), 19.0)
    assert (estimate.parts, estimate.lines) == (10, 10_000)
    assert estimate.seconds == pytest.approx(1200 + 600, abs=30)
    assert connector.estimate(delivery, Totals(10, 0, 0, 0, 10), 19.0).parts == 0


@pytest.mark.parametrize("counted", [None, "1"])
def test_history_is_read_page_by_page_newest_first_and_once(box: Sandbox, counted: str | None):
    switch(box, "null_count", counted)
    control(box, "jobs", count=250)
    entries = list(connect(box).history(None))
    moments = [entry.updated_at for entry in entries if entry.updated_at]
    assert len(moments) == len(entries)
    assert len({entry.job_id for entry in entries}) == len(entries) == 250
    assert moments == sorted(moments, reverse=True)
    assert all(entry.state.status is RemoteStatus.SUCCEEDED for entry in entries)
    assert violations(box) == []


def test_history_of_one_segment_holds_the_jobs_whose_log_names_it(box: Sandbox):
    connector = connect(box)
    first, second = live_segment(box, connector), live_segment(box, connector, "aud_k7q2_2")
    wanted = deliver(box, connector, first)
    deliver(box, connector, second)
    assert [entry.job_id for entry in connector.history(first)] == [wanted.job_id]
