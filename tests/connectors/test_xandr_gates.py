"""Xandr: what must be right before a part is sent: the segment's age, the jobs that wait, the part's size."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import RemoteStatus
from audsync_web.vendors.connectors.errors import NotYet, Permanent, QuotaExceeded, TooLarge

from .fakes import InMemoryPacer
from .given import segment_ref, segment_spec
from .parts import FilePayload
from .xandr_kit import USERS, asked, connect, deliver, jobs, journal, live_segment, planned, sent, switch, violations


def test_a_young_segment_is_not_fed_before_its_time(box: Sandbox):
    connector = connect(box, newSegmentWaitMinutes=20)
    spec = segment_spec()
    published = connector.publish_segment(segment_ref(connector.create_segment(spec), spec))
    segment = segment_ref(published, spec)
    delivery, part = planned(box, connector, segment)
    with pytest.raises(NotYet) as early:
        connector.send_part(delivery, part, journal(box, part))
    assert early.value.retry_after == pytest.approx(1200, abs=5)
    box.context.clock.advance(1201)
    assert connector.send_part(delivery, part, journal(box, part)).job_id


def test_a_young_segment_that_is_fed_all_the_same_is_caught_by_the_sandbox(box: Sandbox):
    switch(box, "propagation_seconds", "1200")
    connector = connect(box, newSegmentWaitMinutes=0)
    spec = segment_spec()
    segment = segment_ref(connector.publish_segment(segment_ref(connector.create_segment(spec), spec)), spec)
    state = deliver(box, connector, segment)
    assert (state.status, state.accepted, state.refused) == (RemoteStatus.FAILED, 0, len(USERS))
    assert "does not know the segment" in state.suspect
    assert violations(box)


def test_no_job_is_opened_while_the_most_allowed_are_waiting(box: Sandbox):
    switch(box, "stuck", "validating")
    connector = connect(box, maxWaitingJobs=2, minSecondsBetweenUploads=0)
    segment = live_segment(box, connector)
    for _ in range(2):
        delivery, part = planned(box, connector, segment)
        connector.send_part(delivery, part, journal(box, part))
        box.context.clock.advance(60)
    opened = asked(box, "POST", "/batch-segment")
    delivery, part = planned(box, connector, segment)
    with pytest.raises(QuotaExceeded) as full:
        connector.send_part(delivery, part, journal(box, part))
    assert full.value.gate == connector.gates(delivery)[0].key
    assert asked(box, "POST", "/batch-segment") == opened
    assert violations(box) == []


def test_uploads_slow_down_when_three_quarters_are_waiting(box: Sandbox):
    switch(box, "stuck", "validating")
    connector = connect(box, maxWaitingJobs=4, minSecondsBetweenUploads=0)
    segment = live_segment(box, connector)
    for _ in range(4):
        delivery, part = planned(box, connector, segment)
        connector.send_part(delivery, part, journal(box, part))
        box.context.clock.advance(60)
    pacer = connector.services.pacer
    assert isinstance(pacer, InMemoryPacer)
    assert [rate for key, rate, _ in pacer.taken if key.endswith(":crowded")] == [1 / 300]


def test_the_vendors_own_refusal_of_one_more_job_pauses_the_member(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    switch(box, "most_waiting", "0")
    delivery, part = planned(box, connector, segment)
    with pytest.raises(QuotaExceeded) as full:
        connector.send_part(delivery, part, journal(box, part))
    assert full.value.code == "too_many_waiting"
    assert jobs(box) == []


def test_an_empty_part_and_one_over_the_limit_are_never_sent(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    delivery, _ = planned(box, connector, segment)
    empty, huge = FilePayload(b"", lines=0), FilePayload(b"x", lines=1)
    huge.bytes = 500_000_001
    for bad, error in ((empty, Permanent), (huge, TooLarge)):
        with pytest.raises(error):
            connector.send_part(delivery, bad, journal(box, bad))
    assert asked(box, "POST", "/batch-segment") == 0


def test_uploads_of_a_member_pass_one_gate_and_are_kept_exactly_apart(box: Sandbox):
    connector = connect(box, minSecondsBetweenUploads=60)
    delivery, _, _ = sent(box, connector)
    (gate,) = connector.gates(delivery)
    assert (gate.interval, gate.exclusive, gate.most_waiting) == (60, "call", 200)
    assert gate.key.startswith(connector.quota_scope)
    pacer = connector.services.pacer
    assert isinstance(pacer, InMemoryPacer)
    assert [rate for key, rate, _ in pacer.taken if key.endswith(":distance")] == [1 / 60]
