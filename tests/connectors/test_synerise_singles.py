"""Synerise: members taken out of a segment, or tagged, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import RemoteStatus
from audsync_web.vendors.connectors.errors import (
    NotYet,
)
from audsync_web.vendors.connectors.synerise import SyneriseConnector

from .fakes import InMemoryPacer, RecordingJournal
from .given import delivery_context
from .mini_engine import MiniEngine
from .parts import additions, make_parts
from .synerise_support import (
    MEMBERS,
    asked,
    connect,
    control,
    deliver,
    made,
    members_of,
    memory_of,
    removals,
    switch,
    violations,
)

# --- members who leave


def test_those_who_leave_lose_this_tag_only_and_strangers_do_no_harm(box: Sandbox):
    connector = connect(box, singleItems=5)
    segment = made(connector)
    control(box, "profiles", profiles=[{"customId": value, "tags": ["vip"]} for value in MEMBERS])
    switch(box, "tags_mode", "append")
    deliver(box, connector, segment, additions(MEMBERS))
    box.context.clock.advance(1)
    states = deliver(box, connector, segment, removals([*MEMBERS[:12], "nobody"]), number=2)
    assert len(states) == 3
    assert all(state.status is RemoteStatus.SUCCEEDED for state in states)
    assert members_of(box, segment.remote_id) == set(MEMBERS[12:])
    assert members_of(box, "vip") == set(MEMBERS)
    assert violations(box) == []


def test_a_tag_that_is_gone_is_held_by_nobody(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    deliver(box, connector, segment, additions(MEMBERS))
    connector.release_segment(segment, "delete_tag")
    box.context.clock.advance(5)
    (state,) = deliver(box, connector, segment, removals(MEMBERS[:3]), number=2)
    assert state.status is RemoteStatus.SUCCEEDED


def test_those_who_leave_lose_a_tag_whose_name_came_back_under_another_number(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    connector.release_segment(segment, "delete_tag")
    box.context.clock.advance(5)
    control(box, "profiles", profiles=[{"customId": value, "tags": [segment.remote_id]} for value in MEMBERS])
    deliver(box, connector, segment, removals(MEMBERS[:3]))
    assert members_of(box, segment.remote_id) == set(MEMBERS[3:])


def test_an_identifier_that_no_address_can_hold_is_refused_alone(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    (state,) = deliver(box, connector, segment, removals([".", *MEMBERS[:2]]))
    assert (state.accepted, state.refused) == (2, 1)
    assert [refusal.row for refusal in state.refusals] == [0]


@pytest.mark.parametrize("fault", ["drop_before_unassign", "drop_after_unassign", "error_after_unassign"])
def test_a_lost_answer_to_an_unassign_goes_on_at_the_cursor(box: Sandbox, fault: str):
    connector = connect(box)
    segment = made(connector)
    deliver(box, connector, segment, additions(MEMBERS))
    box.context.clock.advance(1)
    delivery = delivery_context(segment, "custom_id", box.context.clock, number=2)
    (part,) = make_parts(connector, delivery, removals(MEMBERS[:25]))
    memory_of(part)["cursor"] = 10
    switch(box, fault)
    state = MiniEngine(connector, box.context.clock.advance).send(delivery, part)
    assert state.status is RemoteStatus.SUCCEEDED
    assert part.memory["cursor"] == 25
    assert members_of(box, segment.remote_id) == set(MEMBERS) - set(MEMBERS[10:25])
    assert asked(box, "DELETE", "/v4/clients/{client:int}/tags/{tag:int}") == 16
    assert violations(box) == []


class Killed(BaseException):
    """A worker that dies."""


def test_a_killed_worker_goes_on_where_it_was(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    deliver(box, connector, segment, additions(MEMBERS))
    box.context.clock.advance(1)
    delivery = delivery_context(segment, "custom_id", box.context.clock, number=2)
    (part,) = make_parts(connector, delivery, removals(MEMBERS[:30]))

    class Dying(RecordingJournal):
        def alive(self) -> None:
            raise Killed

    with pytest.raises(Killed):
        connector.send_part(delivery, part, Dying(box.context.clock, memory_of(part)))
    assert part.memory["cursor"] == 1
    connector.send_part(delivery, part, RecordingJournal(box.context.clock, memory_of(part)))
    assert members_of(box, segment.remote_id) == set(MEMBERS[30:])
    assert asked(box, "DELETE", "/v4/clients/{client:int}/tags/{tag:int}") == 30


@pytest.mark.parametrize(("left_at", "calls"), [(1, 3), (2, 3)])
def test_a_worker_killed_between_two_halves_sends_only_what_was_not_answered(box: Sandbox, left_at: int, calls: int):
    switch(box, "batch_too_large", "1x")
    connector = connect(box)
    segment = made(connector)
    delivery = delivery_context(segment, "custom_id", box.context.clock)
    (part,) = make_parts(connector, delivery, additions(MEMBERS))

    class Dying(RecordingJournal):
        settled = 0

        def settle(self, **outcome: Any) -> None:
            super().settle(**outcome)
            self.settled += 1
            if self.settled == left_at:
                raise Killed

    with pytest.raises(Killed):
        connector.send_part(delivery, part, Dying(box.context.clock, memory_of(part)))
    assert part.memory.get("cursor", 0) == 20 * (left_at - 1)
    state = connector.send_part(delivery, part, RecordingJournal(box.context.clock, memory_of(part)))
    assert (state.status, state.accepted) == (RemoteStatus.SUCCEEDED, 40)
    assert asked(box, "POST", "/v4/clients/batch") == calls
    assert members_of(box, segment.remote_id) == set(MEMBERS)


@pytest.mark.parametrize("status", ["409", "422"])
def test_a_refusal_that_size_cannot_explain_is_not_sent_again(box: Sandbox, status: str):
    switch(box, "batch_refused", "1")
    switch(box, "refusal_status", status)
    connector = connect(box)
    (state,) = deliver(box, connector, made(connector), additions(MEMBERS))
    assert state.status is RemoteStatus.FAILED
    assert status in (state.details or "")
    assert asked(box, "POST", "/v4/clients/batch") == 1


def test_a_long_part_is_left_and_taken_up_again(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    deliver(box, connector, segment, additions(MEMBERS))
    box.context.clock.advance(1)

    class Slow(InMemoryPacer):
        def take(self, key: str, *, per_second: float, burst: int = 1) -> None:
            super().take(key, per_second=per_second, burst=burst)
            box.context.clock.advance(4)

    slow = SyneriseConnector(connector.config, replace(connector.services, pacer=Slow(box.context.clock)))
    delivery = delivery_context(segment, "custom_id", box.context.clock, number=2)
    (part,) = make_parts(slow, delivery, removals(MEMBERS))
    for left_at in (8, 16, 24, 32):
        with pytest.raises(NotYet):
            slow.send_part(delivery, part, RecordingJournal(box.context.clock, memory_of(part)))
        assert part.memory["cursor"] == left_at
    assert slow.send_part(delivery, part, RecordingJournal(box.context.clock, memory_of(part))).accepted == 40
    assert members_of(box, segment.remote_id) == set()


# --- assign mode


def test_assigning_one_by_one_leaves_other_systems_tags_alone(box: Sandbox):
    connector = connect(box, tagWriteMode="assign", singleItems=15)
    segment = made(connector)
    control(box, "profiles", profiles=[{"customId": value, "tags": ["theirs"]} for value in MEMBERS[:20]])
    delivery = delivery_context(segment, "custom_id", box.context.clock)
    parts = make_parts(connector, delivery, additions(MEMBERS))
    assert [part.lines for part in parts] == [15, 15, 10]
    for part in parts:
        journal = RecordingJournal(box.context.clock, memory_of(part))
        if any(value in MEMBERS[20:] for _, value in part.rows()):
            with pytest.raises(NotYet):
                connector.send_part(delivery, part, journal)
            box.context.clock.advance(1)
        assert connector.send_part(delivery, part, journal).accepted == part.lines
    assert members_of(box, segment.remote_id) == set(MEMBERS)
    assert members_of(box, "theirs") == set(MEMBERS[:20])
    assert asked(box, "POST", "/v4/clients/batch") == 3
    assert violations(box) == []


def test_a_profile_that_never_appears_is_refused_after_the_wait(box: Sandbox):
    switch(box, "ignore_batches", "1")
    connector = connect(box, tagWriteMode="assign", appearMinutes=5)
    delivery = delivery_context(made(connector), "custom_id", box.context.clock)
    (part,) = make_parts(connector, delivery, additions(MEMBERS[:3]))
    journal = RecordingJournal(box.context.clock, memory_of(part))
    with pytest.raises(NotYet):
        connector.send_part(delivery, part, journal)
    box.context.clock.advance(301)
    state = connector.send_part(delivery, part, journal)
    assert (state.accepted, state.refused) == (0, 3)
    assert "did not appear" in state.refusals[0].reason
