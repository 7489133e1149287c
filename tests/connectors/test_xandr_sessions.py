"""Xandr: logins and their limits, sessions that end, throttling, outages, and how many calls are under way."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from audsync_web.sandbox import xandr as sandbox
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.errors import AuthenticationFailed, NotYet, Transient, UnknownOutcome
from audsync_web.vendors.connectors.xandr import XandrConnector

from .fakes import InMemoryPacer, InMemoryTokens
from .given import segment_ref, segment_spec
from .xandr_kit import asked, connect, control, switch, violations


def test_one_login_serves_all_calls_and_connectors_of_a_user(box: Sandbox):
    first = connect(box)
    first.check()
    second = type(first)(first.config, first.services)
    second.check()
    assert asked(box, "POST", "/auth") == 1


def test_a_stored_session_does_not_vouch_for_a_changed_password(box: Sandbox):
    connector = connect(box)
    connector.check()
    credentials = {**connector.config.credentials, "password": "changed-and-wrong"}
    changed = XandrConnector(replace(connector.config, credentials=credentials), connector.services)
    with pytest.raises(AuthenticationFailed):
        changed.check()


def test_a_session_that_ended_while_nobody_can_log_in_is_tried_again(box: Sandbox):
    connector = connect(box)
    connector.check()
    control(box, "logout")
    switch(box, "drop_before_auth")
    with pytest.raises(Transient):
        connector.check()
    connector.check()
    assert violations(box) == []


def test_a_session_that_ended_is_renewed_once_and_the_call_repeated(box: Sandbox):
    connector = connect(box)
    connector.check()
    for noauth_status in ("200", "401"):
        switch(box, "noauth_status", noauth_status)
        control(box, "logout")
        connector.check()
    assert asked(box, "POST", "/auth") == 3


def test_a_session_that_is_never_accepted_is_an_authentication_failure(box: Sandbox):
    switch(box, "expired_token", "yes")
    with pytest.raises(AuthenticationFailed):
        connect(box).check()
    assert asked(box, "POST", "/auth") == 2


@pytest.mark.parametrize("error_id", ["NOAUTH_DISABLED", "NOAUTH_EXPIRED"])
def test_a_user_that_may_not_log_in_is_told_apart(box: Sandbox, error_id: str):
    switch(box, "login_refused", error_id)
    with pytest.raises(AuthenticationFailed) as refused:
        connect(box).check()
    assert refused.value.next_step


def test_any_other_refusal_of_a_login_waits_five_minutes(box: Sandbox):
    switch(box, "login_refused", "LIMIT")
    with pytest.raises(Transient) as refused:
        connect(box).check()
    assert refused.value.retry_after == 300


def test_logins_are_capped_below_the_vendors_limit_by_user_and_by_member(box: Sandbox):
    connector = connect(box)
    connector.check()
    pacer = connector.services.pacer
    assert isinstance(pacer, InMemoryPacer)
    logins = {key: (rate, burst) for key, rate, burst in pacer.taken if key.endswith(":login") or ":login:" in key}
    assert len(logins) == 2
    assert all(burst + rate * 300 <= 5 for rate, burst in logins.values())


def test_the_token_is_sent_bare_and_renewed_before_its_hard_end(box: Sandbox):
    connector = connect(box)
    connector.check()
    tokens = connector.services.tokens
    assert isinstance(tokens, InMemoryTokens)
    (token,) = tokens.stored.values()
    assert token.renew_at - box.context.clock.now() < timedelta(hours=23, minutes=1)
    assert violations(box) == []


@pytest.mark.parametrize(("name", "wait"), [("throttle", 2), ("throttle_503", 2), ("throttle_200", 60)])
def test_a_throttle_in_any_form_pauses_the_member_and_is_waited_for(box: Sandbox, name: str, wait: float):
    connector = connect(box)
    connector.check()
    switch(box, name)
    with pytest.raises(Transient) as slowed:
        connector.check()
    assert (slowed.value.code, slowed.value.retry_after) == ("throttled", wait)
    with pytest.raises(NotYet):
        connector.check()


@pytest.mark.parametrize("trouble", ["unavailable", "server_error", "system"])
def test_an_outage_is_transient_on_reads_and_unknown_on_effects(box: Sandbox, trouble: str):
    connector = connect(box)
    connector.check()
    spec = segment_spec()
    remote = connector.create_segment(spec)
    switch(box, trouble, "1")
    with pytest.raises(Transient):
        connector.find_segment(spec)
    with pytest.raises(UnknownOutcome):
        connector.publish_segment(segment_ref(remote, spec))


def test_requests_stay_under_the_strictest_published_budget(box: Sandbox):
    connector = connect(box, requestsPerSecond=1.25)
    connector.create_segment(segment_spec())
    pacer = connector.services.pacer
    assert isinstance(pacer, InMemoryPacer)
    for key, rate, burst in pacer.taken:
        if key.endswith((":read", ":write")):
            assert burst + rate * 60 <= (80 if key.endswith(":read") else 40)


def test_at_most_five_calls_of_a_member_are_under_way_at_once(box: Sandbox):
    connector = connect(box)
    connector.check()
    pacer = connector.services.pacer
    assert isinstance(pacer, InMemoryPacer)
    (key,) = pacer.under_way
    assert key.startswith(connector.quota_scope)
    with ExitStack() as others:
        for _ in range(5):
            others.enter_context(pacer.inside(key, places=5))
        with pytest.raises(NotYet):
            connector.check()
    connector.check()
    assert pacer.under_way[key] == 0


def test_the_check_names_a_member_that_the_user_may_not_use(box: Sandbox):
    with pytest.raises(AuthenticationFailed) as refused:
        connect(box, memberId=sandbox.PARTNER_MEMBER).check()
    assert str(sandbox.PARTNER_MEMBER) in refused.value.text
