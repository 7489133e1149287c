"""Anonymised: segments are made and published once, and the names that are sent and kept."""

from __future__ import annotations

import pytest

from audsync_web.vendors.connectors.anonymised.connector import segment_name
from audsync_web.vendors.connectors.base import CannotTell, Intent, SegmentSpec
from audsync_web.vendors.connectors.errors import Permanent, UnknownOutcome

from .anonymised_kit import Bench
from .given import segment_ref, segment_spec


@pytest.mark.parametrize(
    ("name", "technical", "attempt", "sent"),
    [
        ("Lapsed buyers", "aud_k7q2_11107", 1, "Lapsed buyers | aud_k7q2_11107"),
        ("Lapsed buyers", "aud_k7q2_11107", 3, "Lapsed buyers | aud_k7q2_11107-3"),
        ("x" * 150, "aud_k7q2_1", 1, "x" * 100 + " | aud_k7q2_1"),
        ("x" * 150, "aud_k7q2_1234567890123", 2, "x" * 93 + " | aud_k7q2_1234567890123-2"),
        ("  two\nlines\x00 ", "aud_k7q2_1", 1, "two lines | aud_k7q2_1"),
    ],
)
def test_the_name_sent_ends_with_the_technical_name_and_fits(name: str, technical: str, attempt: int, sent: str):
    assert segment_name(SegmentSpec(technical, name, 90, attempt=attempt)) == sent
    assert len(sent) <= 120


def test_a_duration_over_a_year_is_capped(bench: Bench):
    bench.connector.create_segment(segment_spec(duration_days=3650))
    assert bench.box.vendors["anonymised"].state()["segments"][0]["durationDays"] == 365


def test_a_type_other_than_core_is_refused_without_a_call(bench: Bench):
    with pytest.raises(Permanent):
        bench.connector.create_segment(segment_spec(type="custom"))
    assert bench.box.context.ledger.entries("anonymised") == []


def test_a_lost_create_asks_a_person_and_a_repeat_has_another_name(bench: Bench):
    bench.switch("drop_after_create", "1x")
    with pytest.raises(UnknownOutcome):
        bench.connector.create_segment(segment_spec())
    answer = bench.connector.reconcile_segment(segment_spec(), Intent("create", bench.clock.now(), {}))
    assert isinstance(answer, CannotTell)
    bench.connector.create_segment(segment_spec(attempt=2))
    names = [segment["name"] for segment in bench.box.vendors["anonymised"].state()["segments"]]
    assert names == ["Lapsed buyers | aud_k7q2_11107", "Lapsed buyers | aud_k7q2_11107-2"]
    assert bench.box.context.ledger.violations() == []


def test_a_create_that_failed_after_the_work_is_unknown(bench: Bench):
    bench.switch("error_after_create", "1x")
    with pytest.raises(UnknownOutcome):
        bench.connector.create_segment(segment_spec())


def test_a_published_segment_is_not_published_again(bench: Bench):
    segment = bench.segment(published=True)
    with pytest.raises(Permanent):
        bench.connector.publish_segment(segment)
    assert bench.calls("POST", "/publish") == 1


@pytest.mark.parametrize("republish", ["400", "409"])
def test_a_refused_repeat_of_a_lost_publish_stays_uncertain(bench: Bench, republish: str):
    segment = bench.segment()
    bench.switch("republish", republish)
    bench.switch("drop_after_publish", "1x")
    with pytest.raises(UnknownOutcome):
        bench.connector.publish_segment(segment)
    answer = bench.connector.reconcile_publish(segment, Intent("publish", bench.clock.now(), {}))
    assert isinstance(answer, CannotTell)
    assert "uncertain" in answer.text


def test_the_public_name_and_external_id_are_kept(bench: Bench):
    spec = segment_spec()
    remote = bench.connector.create_segment(spec)
    assert (remote.state, remote.public_name, remote.size) == ("created", "", 0)
    live = bench.connector.publish_segment(segment_ref(remote, spec))
    assert (live.state, live.raw_state) == ("published", "published")
    assert live.public_name
    assert live.external_id
    assert live.created_at == remote.created_at
