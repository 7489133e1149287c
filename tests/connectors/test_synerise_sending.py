"""Synerise: batches under both tag semantics."""

from __future__ import annotations

import json

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import RemoteStatus
from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.errors import (
    NotYet,
    RemoteMissing,
    Transient,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.synerise.batches import to_memory
from audsync_web.vendors.connectors.synerise.wire import BatchAnswer, read_batch_answer

from .fakes import RecordingJournal
from .given import delivery_context
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


@pytest.mark.parametrize("semantics", ["replace", "append"])
@pytest.mark.parametrize("batch_tags", ["unknown", "replace"])
def test_members_keep_their_other_segments_under_both_tag_semantics(box: Sandbox, semantics: str, batch_tags: str):
    switch(box, "tags_mode", semantics)
    connector = connect(box, batchTags=batch_tags)
    first, second = made(connector), made(connector, "aud_k7q2_2")
    third = made(connector, "aud_k7q2_3")
    deliver(box, connector, first, additions(MEMBERS[:20]))
    box.context.clock.advance(1)
    deliver(
        box,
        connector,
        third,
        additions(MEMBERS[10:12]),
        neighbours=("aud-k7q2-11107",),
        held_by={
            MEMBERS[10]: 1,
            MEMBERS[11]: 1,
        },
    )
    box.context.clock.advance(1)
    held_by = dict.fromkeys(MEMBERS[10:20], 1) | dict.fromkeys(MEMBERS[10:12], 3)
    deliver(
        box,
        connector,
        second,
        additions(MEMBERS[10:30]),
        neighbours=(first.remote_id, third.remote_id),
        held_by=held_by,
    )
    assert members_of(box, first.remote_id) == set(MEMBERS[:20])
    assert members_of(box, second.remote_id) == set(MEMBERS[10:30])
    assert members_of(box, third.remote_id) == set(MEMBERS[10:12])
    assert violations(box) == []


def test_where_batches_are_known_to_add_only_the_own_tag_is_sent(box: Sandbox):
    connector = connect(box, batchTags="add")
    delivery = delivery_context(made(connector), "custom_id", box.context.clock, neighbours=("other-tag",))
    assert connector.line_format(delivery).wrap(Op.ADD, 1).suffix == b'","tags":["aud-k7q2-11107"]}'


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        ("email", "email", ["a@x.example", "b@x.example"]),
        ("phone", "phone", ["+48 111 222 333", "+48 111 222 334"]),
        ("uuid", "uuid", ["3f2b8f0e-5f4b-4c0e-9a45-6f0d7d1f2a10", "3f2b8f0e-5f4b-4c0e-9a45-6f0d7d1f2a11"]),
        ("custom_id", "customId", ['with "quotes"', "back\\slash", "ünï/ко", "a+b c%20d"]),
    ],
)
def test_every_identifier_kind_comes_and_goes(box: Sandbox, kind: str, name: str, values: list[str]):
    connector = connect(box, identifier=kind)
    segment = made(connector)
    deliver(box, connector, segment, additions(values))
    assert members_of(box, segment.remote_id) == set(values)
    deliver(box, connector, segment, removals(values[:1]), number=2)
    assert set(control(box, "members", segment=segment.remote_id, field=name)) == set(values[1:])
    assert violations(box) == []


def test_parts_stay_within_both_bounds_at_their_edges(box: Sandbox):
    connector = connect(box, maxPartBytes=100_000)
    delivery = delivery_context(made(connector), "custom_id", box.context.clock)
    parts = make_parts(connector, delivery, additions([f"{number:0250d}" for number in range(1500)]))
    assert max(part.bytes for part in parts) <= 100_000
    assert all(json.loads(part.open().read()) for part in parts)
    assert [part.lines for part in make_parts(connect(box), delivery, additions([str(n) for n in range(1001)]))] == [
        1000,
        1,
    ]


def test_scattered_refusals_are_told_by_row_without_the_value(box: Sandbox):
    switch(box, "refuse_rows", "3,17,39")
    connector = connect(box)
    segment = made(connector)
    (state,) = deliver(box, connector, segment, additions(MEMBERS))
    assert state.status is RemoteStatus.SUCCEEDED
    assert (state.accepted, state.refused) == (37, 3)
    assert [refusal.row for refusal in state.refusals] == [3, 17, 39]
    assert state.refusals[0].reason == "customId: refused by a switch"
    assert members_of(box, segment.remote_id) == set(MEMBERS) - {MEMBERS[3], MEMBERS[17], MEMBERS[39]}


def test_a_rejected_value_is_cut_out_of_its_reason_even_as_a_number():
    told = [{"field": "list[0].phone", "rejectedValue": 48123456789, "message": "48123456789 is no number"}]
    answer = read_batch_answer(Reply(207, {}, json.dumps(told).encode()), 1)
    assert answer.refused == {0: "phone: ••• is no number"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (207, b'[{"field": "list[0'),
        (207, b'{"errors": []}'),
        (207, b"[]"),
        (200, b"<html>"),
        (202, b"\n<!doctype html>"),
    ],
)
def test_an_answer_that_does_not_tell_who_was_taken_is_not_taken_for_everybody(status: int, body: bytes):
    with pytest.raises(UnknownOutcome):
        read_batch_answer(Reply(status, {}, body), 3)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"Accepted"])
def test_an_accepted_batch_needs_no_words(body: bytes):
    assert read_batch_answer(Reply(202, {}, body), 3).taken


def test_a_reason_that_quotes_the_member_by_itself_names_nobody():
    quoted = 'jane@mail.example in {"customId":"crm-1","tags":[]} is odd'
    answer = read_batch_answer(Reply(207, {}, json.dumps([{"field": "list[0].email", "message": quoted}]).encode()), 1)
    assert answer.refused == {0: 'email: … in {"customId":"…","tags":[]} is odd'}


def test_a_batch_of_which_every_row_is_refused_accepts_nobody(box: Sandbox):
    switch(box, "refuse_rows", ",".join(str(row) for row in range(40)))
    connector = connect(box)
    (state,) = deliver(box, connector, made(connector), additions(MEMBERS))
    assert (state.status, state.accepted, state.refused) == (RemoteStatus.SUCCEEDED, 0, 40)


def test_a_batch_refused_because_of_some_rows_goes_again_without_them(box: Sandbox):
    switch(box, "array_status", "400")
    connector = connect(box)
    segment = made(connector)
    delivery = delivery_context(segment, "custom_id", box.context.clock)
    # Rows that our own check would have held back: the vendor's answer to them is what counts here.
    (part,) = make_parts(connector, delivery, additions(["bad\u2028one", *MEMBERS, "worse\u00ad"]))
    journal = RecordingJournal(box.context.clock)
    state = connector.send_part(delivery, part, journal)
    assert (state.status, state.accepted, state.refused) == (RemoteStatus.SUCCEEDED, 40, 2)
    assert [refusal.row for refusal in state.refusals] == [0, 41]
    assert all("\u2028" not in refusal.reason for refusal in state.refusals)
    assert [name for name, _ in journal.events] == ["settle", "intend", "settle"]
    assert members_of(box, segment.remote_id) == set(MEMBERS)
    assert asked(box, "POST", "/v4/clients/batch") == 2


@pytest.mark.parametrize(
    ("times", "accepted", "word"), [("1x", 40, "413, then queued"), ("2x", 20, "413, then partly queued")]
)
def test_a_batch_that_is_too_large_goes_in_halves_once(box: Sandbox, times: str, accepted: int, word: str):
    switch(box, "batch_too_large", times)
    connector = connect(box)
    segment = made(connector)
    (state,) = deliver(box, connector, segment, additions(MEMBERS))
    assert (state.status, state.accepted, state.raw) == (RemoteStatus.SUCCEEDED, accepted, word)
    assert len(members_of(box, segment.remote_id)) == accepted
    assert asked(box, "POST", "/v4/clients/batch") == 3
    assert violations(box) == []


def test_a_batch_refused_without_detail_fails_after_its_halves(box: Sandbox):
    switch(box, "batch_refused", "1")
    connector = connect(box)
    (state,) = deliver(box, connector, made(connector), additions(MEMBERS))
    assert state.status is RemoteStatus.FAILED
    assert "400" in (state.details or "")
    assert state.next_step
    assert asked(box, "POST", "/v4/clients/batch") == 3


@pytest.mark.parametrize("fault", ["error_before_batch", "error_after_batch", "drop_before_batch", "drop_after_batch"])
def test_a_lost_answer_costs_one_more_batch_and_no_member(box: Sandbox, fault: str):
    switch(box, fault)
    connector = connect(box, batchItems=10)
    segment = made(connector)
    deliver(box, connector, segment, additions(MEMBERS))
    assert members_of(box, segment.remote_id) == set(MEMBERS)
    assert asked(box, "POST", "/v4/clients/batch") == 5
    assert violations(box) == []


def test_a_vendor_that_keeps_failing_is_tried_again_with_the_engines_backoff(box: Sandbox):
    switch(box, "error_before_batch", "1")
    connector = connect(box)
    delivery = delivery_context(made(connector), "custom_id", box.context.clock)
    (part,) = make_parts(connector, delivery, additions(MEMBERS))
    journal = RecordingJournal(box.context.clock, memory_of(part))
    with pytest.raises(UnknownOutcome):
        connector.send_part(delivery, part, journal)
    assert journal.intent is not None
    for _ in range(2):
        with pytest.raises(Transient):
            connector.send_part(delivery, part, journal)
        assert journal.intent is None
    switch(box, "error_before_batch", None)
    assert connector.send_part(delivery, part, journal).accepted == 40


def test_being_throttled_waits_as_long_as_the_vendor_asks(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    switch(box, "throttle_batch")
    switch(box, "retry_after", "30")
    delivery = delivery_context(segment, "custom_id", box.context.clock)
    (part,) = make_parts(connector, delivery, additions(MEMBERS))
    with pytest.raises(Transient) as slowed:
        connector.send_part(delivery, part, RecordingJournal(box.context.clock))
    assert slowed.value.retry_after == 30
    with pytest.raises(NotYet):
        connector.send_part(delivery, part, RecordingJournal(box.context.clock))
    box.context.clock.advance(31)
    assert connector.send_part(delivery, part, RecordingJournal(box.context.clock)).accepted == 40
    assert violations(box) == []


def test_an_answer_is_read_by_its_shape_whatever_stands_in_it():
    stored = to_memory(BatchAnswer(True, 207, {3: "why"}))
    assert json.loads(json.dumps(stored))["refused"] == [[3, "why"]]


@pytest.mark.parametrize("way", ["batch", "assign"])
def test_a_tag_that_was_deleted_is_not_brought_back_by_a_batch(box: Sandbox, way: str):
    segment = made(connect(box))
    connect(box).release_segment(segment, "delete_tag")
    box.context.clock.advance(5)
    with pytest.raises(RemoteMissing) as gone:
        deliver(box, connect(box, tagWriteMode=way), segment, additions(MEMBERS))
    assert "anew" in gone.value.next_step
    assert asked(box, "POST", "/v4/clients/batch") == 0
    assert segment.remote_id not in [tag.name for tag in connect(box)._profiles.tags()]


def test_a_deleted_tag_of_another_segment_is_not_brought_back_by_a_batch(box: Sandbox):
    connector = connect(box, batchItems=10)
    segment, kept, gone = (made(connector, f"aud_k7q2_{number}") for number in (1, 2, 3))
    deliver(box, connector, kept, additions(MEMBERS))
    connector.release_segment(gone, "delete_tag")
    box.context.clock.advance(5)
    neighbours = (gone.remote_id, kept.remote_id)
    held_by = dict.fromkeys(MEMBERS, 0b11)
    states = deliver(
        box, connect(box, batchItems=10), segment, additions(MEMBERS), neighbours=neighbours, held_by=held_by
    )
    assert [state.accepted for state in states] == [10] * 4
    assert members_of(box, segment.remote_id) == members_of(box, kept.remote_id) == set(MEMBERS)
    assert gone.remote_id not in [tag.name for tag in connector._profiles.tags()]
    assert violations(box) == []


def test_the_tag_is_looked_for_once_however_many_batches_follow(box: Sandbox):
    connector = connect(box, batchItems=10)
    segment = made(connector)
    deliver(box, connector, segment, additions(MEMBERS))
    assert asked(box, "POST", "/v4/clients/batch") == 4
    assert asked(box, "GET", "/v4/clients/tags") == 1
