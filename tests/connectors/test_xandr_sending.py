"""Xandr: the three steps of an upload, and that members arrive in every layout and kind of identifier."""

from __future__ import annotations

import gzip
import logging

import pytest

from audsync_web.sandbox.framework import Request, Response
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.errors import Permanent, TooLarge, Transient
from audsync_web.vendors.connectors.formats import Op

from .given import segment_ref, segment_spec
from .mini_engine import MiniEngine
from .parts import FilePayload
from .xandr_kit import (
    USERS,
    asked,
    connect,
    control,
    deliver,
    journal,
    live_segment,
    members,
    planned,
    sent,
    switch,
    vendor,
    violations,
)


def test_adds_are_stored_until_their_day_and_removals_leave_the_others(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    added = deliver(box, connector, segment, days=30)
    removed = deliver(box, connector, segment, USERS[:10], op=Op.REMOVE)
    assert (added.accepted, added.refused, removed.accepted, removed.refused) == (30, 0, 10, 0)
    assert members(box, segment) == set(USERS[10:])
    box.context.clock.advance(30 * 86400 + 60)
    assert members(box, segment) == set()
    assert violations(box) == []


def test_the_journal_names_the_job_before_its_file_is_sent(box: Sandbox):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    book = journal(box, part)
    state = connector.send_part(delivery, part, book)
    assert [step for kind, step in book.events if kind == "intend"] == ["job", "upload"]
    assert part.memory["job_id"] == state.job_id
    assert book.intent is not None, "stands until the state is stored"
    assert book.intent.step == "upload"
    assert book.beats >= 1
    assert "http" not in str(book.events), "the address is a secret and used once"


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/segment-upload/x",
        "http://127.0.0.1.evil.example/x",
        "http://127.0.0.1@evil.example/x",
        "http://evil.example\\@127.0.0.1/x",
        "ftp://127.0.0.1/x",
        "not an address",
    ],
)
def test_an_upload_address_outside_the_known_hosts_gets_nothing(box: Sandbox, url: str):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, "upload_url", url)
    with pytest.raises(Permanent) as refused:
        connector.send_part(delivery, part, journal(box, part))
    assert refused.value.code == "upload_host_refused"
    assert asked(box, "POST", "segment-upload") == 0


def test_the_session_token_goes_to_the_upload_host_only_when_wanted(box: Sandbox, monkeypatch: pytest.MonkeyPatch):
    seen: list[str] = []
    host = vendor(box).upload_host
    receive = host.receive

    def watched(request: Request) -> Response:
        seen.append(request.header("authorization"))
        return receive(request)

    monkeypatch.setattr(host, "receive", watched)
    sent(box, connect(box))
    box.context.clock.advance(60)
    sent(box, connect(box, sendTokenToUploadHost=True))
    assert seen[0] == ""
    assert seen[1]


def test_an_upload_that_names_another_job_is_marked(box: Sandbox):
    switch(box, "wrong_job_id")
    connector = connect(box)
    _, part, state = sent(box, connector)
    assert "another job" in state.suspect
    assert state.job_id == part.memory["job_id"]


def test_an_upload_stops_by_itself_before_the_vendors_ninety_minutes(box: Sandbox):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    book = journal(box, part)
    book.alive = lambda: box.context.clock.advance(86 * 60)  # type: ignore[method-assign]
    with pytest.raises(TooLarge) as slow:
        connector.send_part(delivery, part, book)
    assert slow.value.code == "upload_too_slow"


def test_an_address_that_grew_old_is_given_up(box: Sandbox, monkeypatch: pytest.MonkeyPatch):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    pacer = connector.services.pacer
    slow = lambda key, **_: box.context.clock.advance(280 if key.endswith(":distance") else 0)  # noqa: E731
    monkeypatch.setattr(pacer, "take", slow)
    with pytest.raises(Transient) as stale:
        connector.send_part(delivery, part, journal(box, part))
    assert stale.value.code == "upload_url_stale"
    assert asked(box, "POST", "segment-upload") == 0


def test_segments_are_named_by_code_where_the_member_has_it_so(box: Sandbox):
    fields = ["MEMBER_ID", "SEG_CODE", "TIMESTAMP", "EXPIRATION"]
    control(box, "configure", separators=[",", ";", ":", "\t", "^"], segment_fields=fields)
    connector = connect(box, separator1=",", separator2=";", separator3=":", segmentFields=fields)
    segment = live_segment(box, connector)
    assert deliver(box, connector, segment).accepted == len(USERS)
    assert deliver(box, connector, segment, USERS[:5], op=Op.REMOVE).accepted == 5
    assert members(box, segment) == set(USERS[5:])
    linked = segment_ref(connector.read_segment(str(control(box, "segment", code="linked_one"))), segment_spec())
    assert deliver(box, connector, linked).accepted == len(USERS)
    assert violations(box) == []


def test_device_ids_carry_their_type_and_keep_their_case(box: Sandbox):
    connector = connect(box, identifier="aaid")
    segment = live_segment(box, connector)
    devices = [f"6F1c2a90-3b7d-4e58-9a41-0d5c7be2f8{number:02}" for number in range(20)]
    assert deliver(box, connector, segment, devices).accepted == 20
    assert members(box, segment) == set(devices)
    assert violations(box) == []


def test_a_large_part_goes_through_whole(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    many = [str(10**18 + number) for number in range(100_000)]
    delivery, _ = planned(box, connector, segment)
    suffix = connector.line_format(delivery).wrap(Op.ADD, 0).suffix.decode() + "\n"
    lines = suffix.join(many) + suffix
    part = FilePayload(gzip.compress(lines.encode(), 1), lines=len(many), adds=len(many))
    (state,) = MiniEngine(connector, box.context.clock.advance).deliver(delivery, [part])
    assert (state.accepted, state.refused) == (len(many), 0)
    assert members(box, segment) == set(many)
    assert violations(box) == []


def test_no_upload_address_and_no_identifier_reaches_a_log(box: Sandbox, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    connector = connect(box)
    deliver(box, connector, live_segment(box, connector))
    assert "segment-upload" not in caplog.text
    assert not any(user in caplog.text for user in USERS)
