"""Synerise: events of those who join and leave, and whether a delivery is live."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Confirmation, RemoteStatus, SegmentRef
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.synerise import SyneriseConnector, events

from .given import delivery_context
from .mini_engine import MiniEngine
from .parts import additions, make_parts
from .synerise_support import (
    MEMBERS,
    UUID,
    asked,
    connect,
    control,
    deliver,
    made,
    members_of,
    removals,
    switch,
    violations,
)

# --- events


def test_events_follow_joins_and_leaves_once(box: Sandbox):
    connector = connect(box, sendEvents=True)
    segment = made(connector)
    switch(box, "refuse_rows", "0")
    switch(box, "drop_after_events")
    deliver(box, connector, segment, [*additions(MEMBERS[:5]), (Op.RENEW, "crm-renewed")])
    switch(box, "refuse_rows", None)
    box.context.clock.advance(1)
    deliver(box, connector, segment, removals(MEMBERS[1:3]), number=2)
    stored = control(box, "events")
    assert [(e["action"], e["client"]["customId"]) for e in stored] == [
        *(("audience.join", value) for value in MEMBERS[1:5]),
        *(("audience.leave", value) for value in MEMBERS[1:3]),
    ]
    assert asked(box, "POST", "/v4/clients/batch") == 1
    assert violations(box) == []


def test_no_event_makes_a_profile_for_somebody_who_has_none(box: Sandbox):
    connector = connect(box, sendEvents=True)
    segment = made(connector)
    deliver(box, connector, segment, removals(MEMBERS[:3]))
    assert control(box, "events") == []
    deliver(box, connector, segment, additions(MEMBERS[:1]), number=2)
    box.context.clock.advance(1)
    deliver(box, connector, segment, removals(MEMBERS[:3]), number=3)
    left = [event["client"]["customId"] for event in control(box, "events") if event["action"] == "audience.leave"]
    assert left == MEMBERS[:1]


def test_events_of_long_identifiers_stay_within_the_bytes_of_a_batch(box: Sandbox):
    connector = connect(box, sendEvents=True)
    segment = made(connector)
    people = [f"{'я' * 120}{number:05d}" for number in range(1000)]
    deliver(box, connector, segment, additions(people))
    stored = control(box, "events")
    assert {event["client"]["customId"] for event in stored} == set(people)
    assert len({event["eventSalt"] for event in stored}) == 1000
    assert violations(box) == []


def test_more_events_than_the_bytes_of_a_batch_go_in_several(box: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "MOST_BYTES", 3_000)
    connector = connect(box, sendEvents=True)
    deliver(box, connector, made(connector), additions(MEMBERS))
    assert {event["client"]["customId"] for event in control(box, "events")} == set(MEMBERS)
    assert len(control(box, "events")) == len(MEMBERS)
    assert 3 < asked(box, "POST", "/v4/events/batch") < 10


def test_events_of_another_audsync_in_the_workspace_never_share_a_salt(box: Sandbox):
    connector = connect(box, sendEvents=True)
    for name in ("aud_k7q2_1", "aud_m3x5_1"):
        deliver(box, connector, made(connector, name), additions(MEMBERS[:3] if "k7" in name else MEMBERS[3:6]))
    assert len(control(box, "events")) == 6
    assert violations(box) == []


def test_events_that_go_again_keep_their_moment_and_leave_no_second_one(box: Sandbox):
    """The host's clock is ahead, so the vendor's is used: it has moved on when the lost answer is made up for."""
    connector = connect(box, sendEvents=True)
    segment = made(connector)
    delivery = delivery_context(segment, "custom_id", box.context.clock)
    ahead = replace(delivery, planned_at=box.context.clock.now() + timedelta(hours=1))
    (part,) = make_parts(connector, ahead, additions(MEMBERS[:4]))
    switch(box, "drop_after_events")
    MiniEngine(connector, box.context.clock.advance).send(ahead, part)
    assert asked(box, "POST", "/v4/events/batch") == 2
    assert len(control(box, "events")) == 4
    assert violations(box) == []


def test_refused_events_do_not_undo_members(box: Sandbox):
    switch(box, "missing_permissions", "API_BATCH_EVENTS_CREATE")
    connector = connect(box, sendEvents=True)
    segment = made(connector)
    (state,) = deliver(box, connector, segment, additions(MEMBERS))
    assert state.status is RemoteStatus.SUCCEEDED
    assert "events" in (state.details or "")
    assert members_of(box, segment.remote_id) == set(MEMBERS)


# --- is it live?


def sent(box: Sandbox, connector: SyneriseConnector, segment: SegmentRef, added: list[str], removed: list[str]) -> Any:
    """A delivery with its parts sent, and a sample in its memory as the engine leaves it there."""
    delivery = delivery_context(segment, "custom_id", box.context.clock)
    delivery.memory["sample"] = {"added": added[:20], "removed": removed[:20]}  # type: ignore[index]
    rows = sorted([*additions(added), *removals(removed)], key=lambda row: row[1])
    parts = make_parts(connector, delivery, rows)
    engine = MiniEngine(connector, box.context.clock.advance)
    refs = [part.ref(engine.send(delivery, part), box.context.clock.now()) for part in parts]
    return delivery, refs


def test_a_delivery_is_confirmed_once_read_backs_agree_in_both_directions(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    sent(box, connector, segment, MEMBERS[:20], [])
    box.context.clock.advance(1)
    switch(box, "apply_seconds", "5")
    delivery, parts = sent(box, connector, segment, MEMBERS[20:], MEMBERS[:10])
    since = box.context.clock.now()
    waiting = connector.confirm_delivery(delivery, parts, since)
    assert waiting.state is Confirmation.PENDING
    assert waiting.look_again == 1
    box.context.clock.advance(6)
    assert connector.confirm_delivery(delivery, parts, since).state is Confirmation.CONFIRMED
    assert violations(box) == []


def test_a_member_who_should_have_left_keeps_a_delivery_unconfirmed(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    delivery, parts = sent(box, connector, segment, MEMBERS[:20], [])
    control(box, "profiles", profiles=[{"customId": "stays", "tags": [segment.remote_id]}])
    delivery.memory["sample"]["removed"] = ["stays"]
    box.context.clock.advance(1)
    assert connector.confirm_delivery(delivery, parts, box.context.clock.now()).state is Confirmation.PENDING


def test_after_the_grace_time_a_delivery_is_accepted_not_verified(box: Sandbox):
    switch(box, "ignore_batches", "1")
    connector = connect(box, graceMinutes=15)
    segment = made(connector)
    delivery, parts = sent(box, connector, segment, MEMBERS, [])
    since = box.context.clock.now()
    box.context.clock.advance(15 * 60 - 1)
    assert connector.confirm_delivery(delivery, parts, since).state is Confirmation.PENDING
    box.context.clock.advance(2)
    ended = connector.confirm_delivery(delivery, parts, since)
    assert ended.state is Confirmation.UNVERIFIED
    assert ended.text == "Accepted, not verified: of 20 members read back, 20 do not show it yet."


def test_refused_members_are_not_read_back(box: Sandbox):
    switch(box, "refuse_rows", "2")
    connector = connect(box)
    delivery, parts = sent(box, connector, made(connector), MEMBERS, [])
    box.context.clock.advance(1)
    assert connector.confirm_delivery(delivery, parts, box.context.clock.now()).state is Confirmation.CONFIRMED


def test_where_everybody_was_refused_nothing_is_waited_for_and_nothing_is_called_accepted(box: Sandbox):
    switch(box, "refuse_rows", ",".join(map(str, range(len(MEMBERS)))))
    connector = connect(box, graceMinutes=15)
    delivery, parts = sent(box, connector, made(connector), MEMBERS, [])
    ended = connector.confirm_delivery(delivery, parts, box.context.clock.now())
    assert ended.state is Confirmation.UNVERIFIED
    assert ended.text == "Not verified: Synerise refused all 20 members that were to be read back."
    linked = replace(delivery, segment=replace(delivery.segment, options={"segmentationUuid": UUID}))
    assert connector.confirm_delivery(linked, parts, box.context.clock.now()).state is Confirmation.PENDING


def test_the_linked_segmentations_count_confirms_as_well(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    delivery, parts = sent(box, connector, segment, MEMBERS, [])
    delivery.memory.update(sample={"added": [], "removed": []}, expected=40)
    box.context.clock.advance(1)
    now = box.context.clock.now()
    assert connector.confirm_delivery(delivery, parts, now).state is Confirmation.PENDING
    control(box, "segmentation", uuid=UUID, tags=[segment.remote_id])
    linked = replace(delivery, segment=replace(segment, options={"segmentationUuid": UUID}))
    confirmed = connector.confirm_delivery(linked, parts, now)
    assert confirmed.state is Confirmation.CONFIRMED
    assert "40 of 40" in confirmed.text
    linked.memory["expected"] = 80
    assert connector.confirm_delivery(linked, parts, now).state is Confirmation.PENDING


def test_a_count_that_was_so_before_proves_nothing(box: Sandbox):
    """Within the tolerance it cannot tell the members that were wanted from those that were there."""
    connector = connect(box, countTolerance=0.05)
    segment = made(connector)
    sent(box, connector, segment, MEMBERS[:38], [])
    box.context.clock.advance(1)
    switch(box, "apply_seconds", "30")
    control(box, "segmentation", uuid=UUID, tags=[segment.remote_id])
    delivery, parts = sent(box, connector, segment, MEMBERS[38:], [])
    delivery.memory.update(expected=40, before=38)
    linked = replace(delivery, segment=replace(segment, options={"segmentationUuid": UUID}))
    now = box.context.clock.now()
    assert connector.confirm_delivery(linked, parts, now).state is Confirmation.PENDING
    box.context.clock.advance(31)
    assert connector.confirm_delivery(linked, parts, now).state is Confirmation.CONFIRMED


@pytest.mark.parametrize("uuid", ["no-uuid", UUID])
def test_a_segmentation_that_cannot_be_read_stops_no_delivery(box: Sandbox, uuid: str):
    connector = connect(box, graceMinutes=0)
    delivery, parts = sent(box, connector, made(connector), MEMBERS, [])
    delivery.memory.update(sample={}, expected=40)
    linked = replace(delivery, segment=replace(delivery.segment, options={"segmentationUuid": uuid}))
    ended = connector.confirm_delivery(linked, parts, box.context.clock.now())
    assert ended.state is Confirmation.UNVERIFIED
    assert "nothing to read back" in ended.text
