"""Anonymised: one login for many calls, tokens that end or are refused, and the pace of requests."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS, DEMO_SETTINGS
from audsync_web.vendors.connectors.anonymised import AnonymisedConnector
from audsync_web.vendors.connectors.base import RemoteStatus
from audsync_web.vendors.connectors.errors import AuthenticationFailed, NotYet, Transient

from .anonymised_kit import Bench
from .canned_server import Canned, CannedServer
from .fakes import InMemoryPacer, InMemoryTokens, MovableClock, services
from .given import account_config, segment_spec


def test_one_login_serves_many_calls_and_connectors(bench: Bench):
    bench.connector.check()
    bench.segment()
    bench.connect().check()
    assert bench.logins == 1


def test_a_token_is_renewed_a_minute_before_it_ends(bench: Bench):
    bench.connector.check()
    bench.clock.advance(3600 - 90)
    bench.connector.check()
    assert bench.logins == 1
    bench.clock.advance(40)
    bench.connector.check()
    assert bench.logins == 2
    assert all(entry.status != 401 for entry in bench.box.context.ledger.entries("anonymised"))


def test_a_revoked_token_is_replaced_once_and_the_call_repeated_once(bench: Bench):
    segment = bench.segment()
    bench.box.vendors["anonymised"].control("revoke", {})
    delivery = bench.delivery(segment)
    state = bench.connector.send_part(delivery, bench.part(delivery), bench.journal)
    assert state.status is RemoteStatus.QUEUED
    assert len(bench.jobs) == 1
    assert bench.logins == 2


def test_a_second_401_ends_as_credentials(bench: Bench):
    bench.switch("reject_token", "1")
    with pytest.raises(AuthenticationFailed):
        bench.connector.create_segment(segment_spec())
    assert bench.logins == 2


def test_a_refused_login_is_not_tried_again(bench: Bench):
    with pytest.raises(AuthenticationFailed):
        bench.connect(password="wrong").check()
    assert bench.calls("POST", "/login") == 1


def test_a_changed_password_is_proved_anew_though_a_token_is_stored(bench: Bench):
    bench.connector.check()
    with pytest.raises(AuthenticationFailed):
        bench.connect(password="wrong").check()
    bench.connector.check()
    assert bench.logins == 1


def test_a_lost_login_is_transient_and_sent_once(bench: Bench):
    bench.switch("drop_after_login", "1x")
    with pytest.raises(Transient):
        bench.connector.check()
    assert bench.calls("POST", "/login") == 1


def test_a_token_that_lives_for_seconds_is_used_for_half_of_them(bench: Bench):
    bench.switch("token_seconds", "10")
    bench.connector.check()
    bench.connector.check()
    assert bench.logins == 1
    bench.clock.advance(6)
    bench.connector.check()
    assert bench.logins == 2


@pytest.mark.parametrize(
    ("token", "minutes"),
    [("opaque", 10), ("a.b.c", 10), ("a.e30.c", 10), ("a.!!!.c", 10)],
)
def test_a_token_that_tells_no_end_is_used_for_ten_minutes(token: str, minutes: int):
    clock = MovableClock()
    shared = services(clock)
    assert isinstance(shared.tokens, InMemoryTokens)
    with CannedServer(lambda method, path: Canned(200, json.dumps({"token": token}).encode())) as server:
        config = account_config(AnonymisedConnector, server.url, DEMO_CREDENTIALS, DEMO_SETTINGS)
        AnonymisedConnector(config, shared).check()
    (stored,) = shared.tokens.stored.values()
    assert stored.renew_at - clock.now() == timedelta(minutes=minutes)


def test_requests_keep_their_distance_and_never_come_in_bursts(bench: Bench):
    bench.connector.check()
    pacer = bench.services.pacer
    assert isinstance(pacer, InMemoryPacer)
    paced = [place for place in pacer.taken if not place[0].endswith(":login")]
    assert paced
    assert {(per_second, burst) for _, per_second, burst in paced} == {(DEMO_SETTINGS["requestsPerSecond"], 1)}


def test_being_throttled_pauses_everyone_on_the_connection(bench: Bench):
    bench.switch("retry_after", "30")
    bench.switch("throttle_create", "1x")
    with pytest.raises(Transient):
        bench.connector.create_segment(segment_spec())
    with pytest.raises(NotYet):
        bench.connect().check()
    bench.clock.advance(31)
    bench.connect().check()
