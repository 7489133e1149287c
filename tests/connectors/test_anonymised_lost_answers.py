"""Anonymised: an upload whose answer was lost is looked for before it is sent again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audsync_web.vendors.connectors.base import Found, Intent, Nothing, RemoteStatus

from .anonymised_kit import Bench


@pytest.mark.parametrize("switch", ["drop_after_send", "error_after_send"])
@pytest.mark.parametrize("omit_md5", ["0", "1"])
def test_an_upload_whose_answer_was_lost_is_found_and_not_repeated(bench: Bench, switch: str, omit_md5: str):
    bench.switch("omit_md5", omit_md5)
    bench.switch("shuffle_list")
    delivery = bench.delivery(bench.segment(published=True))
    bench.switch(switch, "1x")
    states = bench.engine.deliver(delivery, [bench.part(delivery)])
    assert [state.status for state in states] == [RemoteStatus.SUCCEEDED]
    assert len(bench.jobs) == 1
    assert bench.engine.sends == 1
    assert bench.box.context.ledger.violations() == []


def test_the_same_list_uploaded_long_ago_is_not_taken_for_the_lost_one(bench: Bench):
    delivery = bench.delivery(bench.segment(published=True))
    part = bench.part(delivery)
    bench.connector.send_part(delivery, part, bench.journal)
    bench.clock.advance(121)
    intent = Intent("send", bench.clock.now(), {})
    assert isinstance(bench.connector.reconcile_part(delivery, part, intent, frozenset()), Nothing)


def test_a_clock_two_minutes_off_does_not_hide_the_lost_one(bench: Bench):
    delivery = bench.delivery(bench.segment(published=True))
    part = bench.part(delivery)
    state = bench.connector.send_part(delivery, part, bench.journal)
    intent = Intent("send", bench.clock.now() + timedelta(seconds=115), {})
    found = bench.connector.reconcile_part(delivery, part, intent, frozenset())
    assert isinstance(found, Found)
    assert found.value.job_id == state.job_id


def test_another_list_is_not_taken_for_the_lost_one(bench: Bench):
    delivery = bench.delivery(bench.segment(published=True))
    intent = Intent("send", bench.clock.now(), {})
    bench.connector.send_part(delivery, bench.part(delivery, ["someone"]), bench.journal)
    assert isinstance(bench.connector.reconcile_part(delivery, bench.part(delivery), intent, frozenset()), Nothing)
