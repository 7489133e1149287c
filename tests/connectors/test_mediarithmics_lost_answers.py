"""mediarithmics: an answer that was lost is looked into before a file is sent again."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Found, Intent, Nothing, RemoteStatus
from audsync_web.vendors.connectors.errors import Transient
from audsync_web.vendors.connectors.mediarithmics.imports import import_name

from .fakes import RecordingJournal
from .mediarithmics_kit import HASHES, clean, connect, members, planned, state_of, switch
from .mini_engine import MiniEngine


def test_a_500_after_the_work_was_done_is_looked_into_and_not_sent_again(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "m4.answer_500")
    engine = MiniEngine(connector, box.context.clock.advance)
    states = engine.deliver(delivery, parts)
    assert states[0].status is RemoteStatus.SUCCEEDED
    assert engine.sends == 1
    assert len(state_of(box)["executions"]) == 1
    assert clean(box)


def test_a_worker_killed_after_the_import_was_made_uses_it_again(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    name = import_name(delivery, 1)
    connector._imports.create(name, "application/x-ndjson")  # the answer never reached the journal
    intent = Intent("document_import", box.context.clock.now(), {"name": name})
    assert isinstance(connector.reconcile_part(delivery, parts[0], intent, frozenset()), Nothing)
    begun = replace(delivery, memory={"import_begun": name})
    MiniEngine(connector, box.context.clock.advance).deliver(begun, parts)
    assert len(state_of(box)["imports"]) == 1
    assert clean(box)


@pytest.mark.parametrize("every", [2, 3, 4])
@pytest.mark.parametrize("trouble", [429, 503])
def test_a_vendor_that_turns_down_every_nth_call_gets_the_file_all_the_same(box: Sandbox, every: int, trouble: int):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    engine, calls = MiniEngine(connector, box.context.clock.advance), itertools.count(1)
    sent = connector._imports._api._client._session.send

    def send(request: Any, **options: Any) -> Any:
        if next(calls) % every == 0:
            switch(box, str(trouble), "1x")
        return sent(request, **options)

    connector._imports._api._client._session.send = send  # type: ignore[method-assign]
    tries = 0
    while not state_of(box)["executions"]:
        tries += 1
        assert tries < 6, "turned down again and again"
        try:
            engine.send(delivery, parts[0])
        except Transient as wait:
            box.context.clock.advance(wait.retry_after or 0.0)
    assert len(state_of(box)["imports"]) == 1
    assert clean(box)


def test_a_worker_killed_right_after_the_answer_finds_its_execution(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    journal = RecordingJournal(box.context.clock, {}, {})
    posted = connector.send_part(delivery, parts[0], journal)
    assert journal.intent is not None, "stands until the state is stored"
    context = replace(delivery, memory=dict(journal.delivery))
    found = connector.reconcile_part(context, parts[0], journal.intent, frozenset())
    assert isinstance(found, Found)
    assert found.value.job_id == posted.job_id
    assert found.value.memory == posted.memory
    assert isinstance(connector.reconcile_part(context, parts[0], journal.intent, frozenset({posted.job_id})), Nothing)


def test_an_execution_from_before_our_start_is_not_taken_for_ours(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    box.context.clock.advance(600)
    fresh = replace(parts[0], memory={})
    intent = Intent("execution", box.context.clock.now(), dict(delivery.memory))
    assert isinstance(connector.reconcile_part(delivery, fresh, intent, frozenset()), Nothing)


def test_a_lost_second_sending_never_adopts_the_first(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial")
    engine = MiniEngine(connector, box.context.clock.advance)
    first = engine.deliver(delivery, parts)[0]
    assert first.resend
    switch(box, "m4.drop_after")
    second = engine.deliver(delivery, parts)[0]
    assert second.status is RemoteStatus.SUCCEEDED
    assert second.job_id != first.job_id
    assert [e["id"] for e in state_of(box)["executions"]] == [first.job_id, second.job_id]
    assert members(box, delivery.segment) == set(HASHES)
    assert clean(box)


def test_a_part_whose_execution_stands_is_not_posted_again(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    engine = MiniEngine(connector, box.context.clock.advance)
    first = engine.send(delivery, parts[0])
    again = engine.send(delivery, parts[0])  # as a worker does that does not know of the first sending
    assert again.job_id == first.job_id
    engine.follow(delivery, parts[0], again)
    assert engine.send(delivery, parts[0]).status is RemoteStatus.SUCCEEDED
    assert len(state_of(box)["executions"]) == 1
    assert clean(box)
