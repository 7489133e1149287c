"""mediarithmics: how executions end, with their error files, and how often they are looked at."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Found, RemoteStatus
from audsync_web.vendors.connectors.errors import UnknownOutcome
from audsync_web.vendors.connectors.formats import Op

from .fakes import RecordingJournal
from .given import delivery_context
from .mediarithmics_kit import HASHES, clean, connect, looked_at, members, planned, remember, switch
from .mini_engine import MiniEngine
from .parts import make_parts

ENDED_BADLY = {"failed": RemoteStatus.FAILED, "lost": RemoteStatus.FAILED, "canceled": RemoteStatus.CANCELLED}


def test_failed_lines_are_sent_once_more_and_then_stand_with_their_report(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial", "1")
    switch(box, "partial_lines", "3")
    engine = MiniEngine(connector, box.context.clock.advance)
    first, second = engine.deliver(delivery, parts)[0], engine.deliver(delivery, parts)[0]
    for state in (first, second):
        assert (state.status, state.accepted, state.refused) == (RemoteStatus.PARTIAL, 37, 3)
        assert state.report is not None
        assert state.report.count(b"\n") == 3
        assert state.next_step
        assert not state.suspect
    assert first.resend
    assert not second.resend
    assert "again" in str(second.details)
    assert clean(box)


def test_an_error_file_that_cannot_be_had_changes_nothing_else(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial")
    switch(box, "m7.500", "1")
    state = MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)[0]
    assert (state.status, state.refused, state.report) == (RemoteStatus.PARTIAL, 1, None)
    assert "could not be fetched" in str(state.details)


@pytest.mark.parametrize("trouble", ["m7.500", "m7.429"])
def test_an_error_file_out_of_reach_for_a_moment_is_fetched_at_a_later_look(box: Sandbox, trouble: str):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial")
    switch(box, trouble, "2x")
    MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    for _ in range(2):
        waiting = looked_at(box, connector, delivery, parts[0], 120)
        assert (waiting.status, waiting.resend, waiting.report) == (RemoteStatus.RUNNING, False, None)
        assert "error file" in str(waiting.details)
    state = looked_at(box, connector, delivery, parts[0], 120)
    assert (state.status, state.refused, state.resend) == (RemoteStatus.PARTIAL, 1, True)
    assert state.report


def test_the_error_file_of_a_job_that_ended_before_its_answer_was_found_is_fetched_too(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial")
    switch(box, "m4.drop_after")
    journal = RecordingJournal(box.context.clock, dict(parts[0].memory), dict(delivery.memory))
    with pytest.raises(UnknownOutcome):
        connector.send_part(delivery, parts[0], journal)
    box.context.clock.advance(60)
    assert journal.intent is not None
    found = connector.reconcile_part(delivery, parts[0], journal.intent, frozenset())
    assert isinstance(found, Found)
    assert not found.value.status.is_final, "its error file is still to be fetched"
    remember(parts[0], found.value)
    state = looked_at(box, connector, delivery, parts[0], 5)
    assert state.status is RemoteStatus.PARTIAL
    assert state.report


def test_removals_that_the_vendor_counts_as_failed_again_are_only_a_warning(box: Sandbox):
    switch(box, "delete_absent_fails", "1")
    connector = connect(box)
    delivery, parts = planned(box, connector, [(Op.REMOVE, value) for value in HASHES])
    engine = MiniEngine(connector, box.context.clock.advance)
    first = remember(parts[0], engine.deliver(delivery, parts)[0])
    assert (first.status, first.refused, first.resend) == (RemoteStatus.PARTIAL, 40, True)
    second = engine.deliver(delivery, parts)[0]
    assert (second.status, second.accepted, second.refused) == (RemoteStatus.SUCCEEDED, 40, 0)
    assert "counted 40 of 40 removals as failed" in second.suspect
    assert second.counters["total_failure"] == 40


def test_removals_of_which_some_failed_are_sent_once_more(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    engine = MiniEngine(connector, box.context.clock.advance)
    engine.deliver(delivery, parts)
    leavers = delivery_context(delivery.segment, delivery.identifier, box.context.clock, number=2)
    (part,) = make_parts(connector, leavers, [(Op.REMOVE, value) for value in HASHES])
    switch(box, "partial")
    switch(box, "partial_lines", "3")
    first = remember(part, engine.deliver(leavers, [part])[0])
    assert (first.resend, len(members(box, delivery.segment))) == (True, 3)
    assert engine.deliver(leavers, [part])[0].status is RemoteStatus.SUCCEEDED
    assert members(box, delivery.segment) == set()


@pytest.mark.parametrize("ending", sorted(ENDED_BADLY))
def test_bad_endings_are_told_and_can_be_sent_again(box: Sandbox, ending: str):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, ending)
    engine = MiniEngine(connector, box.context.clock.advance)
    state = engine.deliver(delivery, parts)[0]
    assert state.status is ENDED_BADLY[ending]
    assert state.details
    assert not state.resend
    assert members(box, delivery.segment) == set()
    assert engine.deliver(delivery, parts)[0].status is RemoteStatus.SUCCEEDED
    assert members(box, delivery.segment) == set(HASHES)


@pytest.mark.parametrize("word", ["success", "waiting", "scheduled"])
def test_the_vendors_other_words_are_understood(box: Sandbox, word: str):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, word)
    engine = MiniEngine(connector, box.context.clock.advance)
    begun = engine.send(delivery, parts[0])
    assert begun.status is RemoteStatus.QUEUED
    assert engine.follow(delivery, parts[0], begun).status is RemoteStatus.SUCCEEDED


def test_a_job_that_does_not_respond_may_recover(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "not_responding")
    MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    stalled = looked_at(box, connector, delivery, parts[0], 3.5)
    assert (stalled.status, stalled.raw) == (RemoteStatus.STALLED, "EXECUTOR_NOT_RESPONDING")
    recovered = looked_at(box, connector, delivery, parts[0], 60)
    assert recovered.status is RemoteStatus.SUCCEEDED
    assert parts[0].memory["stalled_since"] is None


def test_a_job_that_does_not_respond_for_two_hours_has_failed(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "not_responding")
    switch(box, "hold", "running")
    MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    assert looked_at(box, connector, delivery, parts[0], 3).status is RemoteStatus.STALLED
    assert looked_at(box, connector, delivery, parts[0], 7_190).status is RemoteStatus.STALLED
    assert looked_at(box, connector, delivery, parts[0], 11).status is RemoteStatus.FAILED


def test_a_job_that_the_list_does_not_show_is_unknown_and_asked_for_again(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    switch(box, "hide_executions")
    assert looked_at(box, connector, delivery, parts[0], 5).status is RemoteStatus.UNKNOWN
    assert looked_at(box, connector, delivery, parts[0], 5).status is RemoteStatus.SUCCEEDED


def test_looks_start_after_five_seconds_and_stay_under_a_minute(box: Sandbox):
    connector = connect(box)
    waits = [connector.next_poll(0.0, polls) for polls in range(20)]
    assert waits[0] == 5
    assert 6.75 <= waits[1] <= 7.5
    assert all(54 <= wait <= 60 for wait in waits[8:])
    assert connector.next_poll(0.0, 5_000) <= 60
    assert connect(box, pollFirstSeconds=0, pollMaxSeconds=0).next_poll(9.0, 3) == 0
