"""Xandr: a job is followed to its end, and its figures and logs are read."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import RemoteStatus
from audsync_web.vendors.connectors.errors import RemoteMissing, Transient

from .xandr_kit import USERS, connect, control, deliver, live_segment, sent, switch


def test_every_phase_is_shown_with_progress_short_of_the_end(box: Sandbox):
    connector = connect(box)
    delivery, part, state = sent(box, connector)
    seen = []
    while not state.status.is_final:
        state = connector.poll_part(delivery, part.ref(state, box.context.clock.now()))
        seen.append((state.raw, state.progress))
        box.context.clock.advance(0.5)
    assert list(dict(seen)) == ["validating", "processing", "completed"]
    progress = [share for _, share in seen if share is not None]
    assert len(progress) == len(seen)
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert all(share < 0.96 for share in progress[:-1])


@pytest.mark.parametrize("name", ["fails_uploading", "fails_validating", "fails_processing"])
def test_a_job_that_failed_with_the_file_is_sent_once_more_and_then_shown(box: Sandbox, name: str):
    switch(box, name, "1")
    connector = connect(box)
    delivery, part, state = sent(box, connector)
    box.context.clock.advance(60)
    failed = connector.poll_part(delivery, part.ref(state, box.context.clock.now()))
    assert (failed.status, failed.resend) == (RemoteStatus.FAILED, True)
    assert ("uploading-error" if name == "fails_uploading" else "processing-error") in (failed.details or "")
    part.memory = {**part.memory, **failed.memory}
    again = connector.poll_part(delivery, part.ref(state, box.context.clock.now()))
    assert (again.status, again.resend) == (RemoteStatus.FAILED, False)
    assert again.next_step
    # A job that had the file may have done some of it; what the first one did stays, however the second one fails.
    assert again.perhaps is (name != "fails_uploading")
    part.memory = {**part.memory, "perhaps": True}
    assert connector.poll_part(delivery, part.ref(state, box.context.clock.now())).perhaps


def test_a_job_without_an_end_is_stalled_after_a_day_and_still_looked_at(box: Sandbox):
    switch(box, "stuck", "processing")
    connector = connect(box)
    delivery, part, state = sent(box, connector)
    sent_at = box.context.clock.now()
    box.context.clock.advance(25 * 3600)
    stalled = connector.poll_part(delivery, part.ref(state, sent_at))
    assert (stalled.status, stalled.status.is_final) == (RemoteStatus.STALLED, False)
    assert state.job_id in stalled.next_step


def test_a_job_not_shown_yet_is_looked_for_again_and_one_long_gone_is_missing(box: Sandbox):
    connector = connect(box)
    delivery, part, state = sent(box, connector)
    sent_at = box.context.clock.now()
    control(box, "forget", jobId=state.job_id)
    with pytest.raises(Transient):
        connector.poll_part(delivery, part.ref(state, sent_at))
    box.context.clock.advance(3600)
    for _ in range(2):
        odd = connector.poll_part(delivery, part.ref(state, sent_at))
        assert (odd.status, odd.status.is_final) == (RemoteStatus.UNKNOWN, False)
        part.memory = {**part.memory, **odd.memory}
    with pytest.raises(RemoteMissing):
        connector.poll_part(delivery, part.ref(state, sent_at))


def test_unknown_users_count_as_refused_and_the_figures_balance(box: Sandbox):
    control(box, "unknown", ids=USERS[:3])
    connector = connect(box, matchRateFloor=95)
    segment = live_segment(box, connector)
    state = deliver(box, connector, segment)
    assert (state.status, state.accepted, state.refused) == (RemoteStatus.SUCCEEDED, 27, 3)
    assert state.counters["match_rate"] == pytest.approx(0.9)
    assert "floor of 95" in state.suspect
    assert state.counters["added"] == {segment.remote_id: 27}
    assert state.report is not None
    assert len(state.report.splitlines()) == 3
    assert not any(user in str(state.counters) for user in USERS), "identifiers stand in the private report only"


@pytest.mark.parametrize("form", ["current", "lines", "dashes", "garbage"])
def test_every_form_of_the_segment_log_is_read_or_said_to_be_unavailable(box: Sandbox, form: str):
    switch(box, "segment_log", form)
    connector = connect(box)
    segment = live_segment(box, connector)
    state = deliver(box, connector, segment)
    if form == "garbage":
        assert "unavailable" in (state.details or "")
        assert "added" not in state.counters
    else:
        assert state.counters["added"] == {segment.remote_id: len(USERS)}


def test_figures_that_do_not_add_up_are_marked(box: Sandbox):
    switch(box, "counters", "num_valid:12")
    connector = connect(box)
    state = deliver(box, connector, live_segment(box, connector))
    assert (state.accepted, state.refused) == (12, 18)
    assert "12 lines where 30 were sent" in state.suspect


def test_a_segment_deactivated_at_the_vendor_fails_the_part_and_says_why(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    connector.release_segment(segment, "deactivate")
    state = deliver(box, connector, segment)
    assert (state.status, state.accepted) == (RemoteStatus.FAILED, 0)
    assert "inactive" in (state.details or "")
