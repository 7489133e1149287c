"""Anonymised: a list is live when it is the active membership."""

from __future__ import annotations

import json

import pytest

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS, DEMO_SETTINGS
from audsync_web.vendors.connectors.anonymised import AnonymisedConnector
from audsync_web.vendors.connectors.base import Confirmation, SegmentRef

from .anonymised_kit import Bench
from .canned_server import Canned, CannedServer
from .fakes import MovableClock, services
from .given import account_config


@pytest.mark.parametrize(
    ("published", "switches", "state", "words"),
    [
        (True, {}, Confirmation.CONFIRMED, "Live"),
        (False, {}, Confirmation.CONFIRMED, "live from its publishing on"),
        (False, {"show_staged": "1"}, Confirmation.CONFIRMED, "Live"),
        (True, {"activation_seconds": "900"}, Confirmation.PENDING, "yet"),
    ],
)
def test_only_the_active_membership_proves_that_a_list_is_live(
    bench: Bench, published: bool, switches: dict[str, str], state: Confirmation, words: str
):
    for name, value in switches.items():
        bench.switch(name, value)
    delivery = bench.delivery(bench.segment(published=published))
    part = bench.part(delivery)
    (done,) = bench.engine.deliver(delivery, [part])
    seen = bench.connector.confirm_delivery(delivery, [part.ref(done, None)], bench.clock.now())
    assert seen.state is state
    assert words in seen.text
    assert (seen.look_again > 0) == (state is Confirmation.PENDING)


def test_a_list_that_does_not_show_for_half_an_hour_is_unverified(bench: Bench):
    bench.switch("activation_seconds", "86400")
    delivery = bench.delivery(bench.segment(published=True))
    part = bench.part(delivery)
    (done,) = bench.engine.deliver(delivery, [part])
    since = bench.clock.now()
    bench.clock.advance(1801)
    seen = bench.connector.confirm_delivery(delivery, [part.ref(done, None)], since)
    assert seen.state is Confirmation.UNVERIFIED
    assert "30 minutes" in seen.text


def test_an_active_membership_of_null_is_none():
    clock = MovableClock()
    answers = {"/login": {"token": "opaque"}, "/segment/5/membership": {"activeMembershipUploadId": None}}
    with CannedServer(lambda method, path: Canned(200, json.dumps(answers[path]).encode())) as server:
        config = account_config(AnonymisedConnector, server.url, DEMO_CREDENTIALS, DEMO_SETTINGS)
        connector = AnonymisedConnector(config, services(clock))
        assert connector.active_membership(SegmentRef("5", "aud_k7q2_5", "Lapsed", 90, True, None)) is None


def test_active_membership_is_none_where_nothing_is_active(bench: Bench):
    segment = bench.segment(published=True)
    assert bench.connector.active_membership(segment) is None
    delivery = bench.delivery(segment)
    (done,) = bench.engine.deliver(delivery, [bench.part(delivery)])
    assert bench.connector.active_membership(segment) == done.job_id
