"""Xandr: an answer that was lost is looked into before anything is sent again."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Found, Nothing, RemoteStatus
from audsync_web.vendors.connectors.errors import NotYet, Transient, UnknownOutcome

from .xandr_kit import asked, connect, control, journal, live_segment, planned, switch, vendor, violations


def lose(box: Sandbox, name: str):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, name)
    book = journal(box, part)
    with pytest.raises(UnknownOutcome):
        connector.send_part(delivery, part, book)
    assert book.intent is not None
    return connector, delivery, part, book.intent


@pytest.mark.parametrize("name", ["drop_after_upload", "fails_after_upload"])
def test_a_file_that_arrived_is_found_by_its_job_and_followed(box: Sandbox, name: str):
    connector, delivery, part, intent = lose(box, name)
    found = connector.reconcile_part(delivery, part, intent, frozenset())
    assert isinstance(found, Found)
    assert (found.value.job_id, found.value.raw) == (part.memory["job_id"], "validating")
    assert asked(box, "POST", "segment-upload") == 1


@pytest.mark.parametrize("name", ["drop_before_job", "drop_after_job", "fails_after_job"])
def test_a_lost_job_without_a_file_is_no_unknown_outcome_and_a_new_one_serves(box: Sandbox, name: str):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, name)
    with pytest.raises(Transient):
        connector.send_part(delivery, part, journal(box, part))
    assert connector.send_part(delivery, part, journal(box, part)).status is RemoteStatus.QUEUED
    assert asked(box, "POST", "segment-upload") == 1
    assert violations(box) == []


@pytest.mark.parametrize("name", ["drop_before_upload", "drop_during_upload"])
def test_nothing_arrived_where_no_whole_file_did(box: Sandbox, name: str):
    connector, delivery, part, intent = lose(box, name)
    assert isinstance(connector.reconcile_part(delivery, part, intent, frozenset()), Nothing)


def test_a_job_that_seems_to_be_receiving_is_waited_for(box: Sandbox):
    connector, delivery, part, intent = lose(box, "drop_after_upload")
    job = vendor(box).world.jobs[part.memory["job_id"]]
    job.uploaded_at = None
    with pytest.raises(NotYet):
        connector.reconcile_part(delivery, part, intent, frozenset())


@pytest.mark.parametrize("form", ["null", "object", "array", "error"])
def test_an_unknown_job_is_nothing_in_every_form_the_vendor_may_say_it(box: Sandbox, form: str):
    connector, delivery, part, intent = lose(box, "drop_after_upload")
    switch(box, "unknown_job", form)
    control(box, "forget", jobId=part.memory["job_id"])
    with pytest.raises(NotYet):
        connector.reconcile_part(delivery, part, intent, frozenset())
    box.context.clock.advance(60)
    assert isinstance(connector.reconcile_part(delivery, part, intent, frozenset()), Nothing)


def test_a_blind_second_file_is_noted_by_the_sandbox(box: Sandbox):
    connector, delivery, part, _ = lose(box, "drop_after_upload")
    box.context.clock.advance(60)
    connector.send_part(delivery, part, journal(box, part))
    assert any("nobody has asked for" in text for text in violations(box))


def test_a_failure_after_the_file_arrived_is_found_and_not_taken_for_nothing(box: Sandbox):
    switch(box, "fails_validating")
    connector, delivery, part, intent = lose(box, "drop_after_upload")
    box.context.clock.advance(60)
    found = connector.reconcile_part(delivery, part, intent, frozenset())
    assert isinstance(found, Found)
    assert found.value.status is RemoteStatus.FAILED
