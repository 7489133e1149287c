"""Xandr against its strict sandbox: sessions, segments, three steps, lost answers, refusals, history."""

from __future__ import annotations

import gzip
import logging
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from audsync_web.sandbox import xandr as sandbox
from audsync_web.sandbox.framework import Request, Response
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import (
    Found,
    Intent,
    Level,
    Nothing,
    RemoteStatus,
    SegmentRef,
    SegmentState,
    Totals,
)
from audsync_web.vendors.connectors.errors import (
    AuthenticationFailed,
    NotYet,
    Permanent,
    QuotaExceeded,
    RemoteMissing,
    TooLarge,
    Transient,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.xandr import XandrConnector

from .fakes import FilePayload, InMemoryPacer, InMemoryTokens, MiniEngine, segment_ref, segment_spec
from .xandr_kit import (
    USERS,
    asked,
    connect,
    control,
    deliver,
    jobs,
    journal,
    live_segment,
    members,
    planned,
    sent,
    switch,
    vendor,
    violations,
)

# --- sessions (spec section 3.1; section 12, rules 1 to 5)


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


# --- segments (spec section 3.2)


def test_a_segment_is_made_inactive_with_every_main_field_and_its_own_lifetime(box: Sandbox):
    remote = connect(box).create_segment(segment_spec(duration_days=365))
    (row,) = [row for row in vendor(box).state()["segments"] if str(row["id"]) == remote.remote_id]
    assert remote.state is SegmentState.CREATED
    assert (row["code"], row["short_name"], row["state"]) == ("aud_k7q2_11107", "Lapsed buyers", "inactive")
    assert row["expire_minutes"] == 259_200
    assert violations(box) == []


def test_creating_again_finds_the_segment_whatever_the_case_of_its_code(box: Sandbox):
    connector = connect(box)
    control(box, "segment", code="AUD_K7Q2_11107", state="inactive")
    first, again = connector.create_segment(segment_spec()), connector.create_segment(segment_spec())
    assert first.remote_id == again.remote_id
    assert asked(box, "POST", "/segment") == 0


def test_a_name_too_long_is_refused_before_any_call(box: Sandbox):
    with pytest.raises(Permanent) as refused:
        connect(box).create_segment(segment_spec(name="n" * 256))
    assert refused.value.code == "name_too_long"
    assert asked(box, "POST", "/segment") == 0


@pytest.mark.parametrize("switches", [{"host": "impbus"}, {"host": "impbus", "legacy": "1"}, {"singular": "1"}])
def test_both_hosts_and_both_spellings_work_alike(box: Sandbox, switches: dict[str, str]):
    for name, value in switches.items():
        switch(box, name, value)
    connector = connect(box, hostStyle=switches.get("host", "auto"))
    connector.check()
    segment = live_segment(box, connector)
    assert segment.published
    assert deliver(box, connector, segment).status is RemoteStatus.SUCCEEDED
    assert members(box, segment) == set(USERS)
    assert connector.read_segment(segment.remote_id).state is SegmentState.PUBLISHED
    connector.release_segment(segment, "deactivate")
    assert connector.read_segment(segment.remote_id).state is SegmentState.CREATED
    assert violations(box) == []


def test_an_existing_segment_can_be_linked_and_is_fed_when_it_was_last_changed_long_ago(box: Sandbox):
    connector = connect(box)
    number = control(box, "segment", code="old_one", name="Old one")
    remote = connector.read_segment(str(number))
    assert (remote.name, remote.external_id, remote.state) == ("Old one", "old_one", SegmentState.PUBLISHED)
    segment = segment_ref(remote, segment_spec())
    assert deliver(box, connector, segment).accepted == len(USERS)


@pytest.mark.parametrize(("remote_id", "code"), [("999", "remote_missing"), ("1200", "remote_missing")])
def test_a_segment_that_is_not_there_or_not_ours_cannot_be_linked(box: Sandbox, remote_id: str, code: str):
    with pytest.raises(RemoteMissing) as refused:
        connect(box).read_segment(remote_id)
    assert refused.value.code == code


@pytest.mark.parametrize("remote_id", ["1", "aud_k7q2_1", "4410021x", "²"])
def test_the_shared_segment_and_names_cannot_be_linked(box: Sandbox, remote_id: str):
    with pytest.raises(Permanent):
        connect(box).read_segment(remote_id)
    assert box.context.ledger.entries("xandr") == []


def test_leaving_and_emptying_call_nothing_and_renaming_changes_the_name_only(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    before = len(box.context.ledger.entries("xandr"))
    connector.release_segment(segment, "leave")
    connector.release_segment(segment, "empty")
    assert len(box.context.ledger.entries("xandr")) == before
    connector.rename_segment(segment, "New name")
    remote = connector.read_segment(segment.remote_id)
    assert (remote.name, remote.external_id) == ("New name", segment.technical_name)
    assert remote.state is SegmentState.PUBLISHED


def test_a_reconciled_create_is_dated_late_rather_than_early(box: Sandbox):
    connector = connect(box)
    connector.create_segment(segment_spec())
    intent = Intent("create", box.context.clock.now() - timedelta(hours=1), {})
    found = connector.reconcile_segment(segment_spec(), intent)
    assert isinstance(found, Found)
    assert found.value.created_at == intent.at + timedelta(minutes=2)


# --- what stands before a send


def test_a_young_segment_is_not_fed_before_its_time(box: Sandbox):
    connector = connect(box, newSegmentWaitMinutes=20)
    spec = segment_spec()
    published = connector.publish_segment(segment_ref(connector.create_segment(spec), spec))
    segment = segment_ref(published, spec)
    delivery, part = planned(box, connector, segment)
    with pytest.raises(NotYet) as early:
        connector.send_part(delivery, part, journal(box, part))
    assert early.value.retry_after == pytest.approx(1200, abs=5)
    box.context.clock.advance(1201)
    assert connector.send_part(delivery, part, journal(box, part)).job_id


def test_a_young_segment_that_is_fed_all_the_same_is_caught_by_the_sandbox(box: Sandbox):
    switch(box, "propagation_seconds", "1200")
    connector = connect(box, newSegmentWaitMinutes=0)
    spec = segment_spec()
    segment = segment_ref(connector.publish_segment(segment_ref(connector.create_segment(spec), spec)), spec)
    state = deliver(box, connector, segment)
    assert (state.status, state.accepted, state.refused) == (RemoteStatus.FAILED, 0, len(USERS))
    assert "does not know the segment" in state.suspect
    assert violations(box)


def test_no_job_is_opened_while_the_most_allowed_are_waiting(box: Sandbox):
    switch(box, "stuck", "validating")
    connector = connect(box, maxWaitingJobs=2, minSecondsBetweenUploads=0)
    segment = live_segment(box, connector)
    for _ in range(2):
        delivery, part = planned(box, connector, segment)
        connector.send_part(delivery, part, journal(box, part))
        box.context.clock.advance(60)
    opened = asked(box, "POST", "/batch-segment")
    delivery, part = planned(box, connector, segment)
    with pytest.raises(QuotaExceeded) as full:
        connector.send_part(delivery, part, journal(box, part))
    assert full.value.gate == connector.gates(delivery)[0].key
    assert asked(box, "POST", "/batch-segment") == opened
    assert violations(box) == []


def test_uploads_slow_down_when_three_quarters_are_waiting(box: Sandbox):
    switch(box, "stuck", "validating")
    connector = connect(box, maxWaitingJobs=4, minSecondsBetweenUploads=0)
    segment = live_segment(box, connector)
    for _ in range(4):
        delivery, part = planned(box, connector, segment)
        connector.send_part(delivery, part, journal(box, part))
        box.context.clock.advance(60)
    pacer = connector.services.pacer
    assert isinstance(pacer, InMemoryPacer)
    assert [rate for key, rate, _ in pacer.taken if key.endswith(":crowded")] == [1 / 300]


def test_the_vendors_own_refusal_of_one_more_job_pauses_the_member(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    switch(box, "most_waiting", "0")
    delivery, part = planned(box, connector, segment)
    with pytest.raises(QuotaExceeded) as full:
        connector.send_part(delivery, part, journal(box, part))
    assert full.value.code == "too_many_waiting"
    assert jobs(box) == []


def test_an_empty_part_and_one_over_the_limit_are_never_sent(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    delivery, _ = planned(box, connector, segment)
    empty, huge = FilePayload(b"", lines=0), FilePayload(b"x", lines=1)
    huge.bytes = 500_000_001
    for bad, error in ((empty, Permanent), (huge, TooLarge)):
        with pytest.raises(error):
            connector.send_part(delivery, bad, journal(box, bad))
    assert asked(box, "POST", "/batch-segment") == 0


# --- the three steps


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
    assert book.intent is None
    assert book.beats >= 1
    assert "http" not in str(book.events), "the address is a secret and used once"


def test_uploads_of_a_member_pass_one_gate_and_are_kept_exactly_apart(box: Sandbox):
    connector = connect(box, minSecondsBetweenUploads=60)
    delivery, _, _ = sent(box, connector)
    (gate,) = connector.gates(delivery)
    assert (gate.interval, gate.exclusive, gate.most_waiting) == (60, "call", 200)
    assert gate.key.startswith(connector.quota_scope)
    pacer = connector.services.pacer
    assert isinstance(pacer, InMemoryPacer)
    assert [rate for key, rate, _ in pacer.taken if key.endswith(":distance")] == [1 / 60]


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


# --- refusals of the upload host (spec section 10.2)


@pytest.mark.parametrize(
    "quota", ["hourly_byte_limit", "daily_byte_limit", "hourly_num_lines_limit", "daily_num_lines_limit"]
)
def test_a_used_up_quota_stops_the_member_for_an_hour_and_is_not_retried(box: Sandbox, quota: str):
    connector = connect(box, quotaPauseMinutes=60)
    delivery, part = planned(box, connector, live_segment(box, connector))
    control(box, "configure", **{quota: 1})
    with pytest.raises(QuotaExceeded) as used:
        connector.send_part(delivery, part, journal(box, part))
    assert (used.value.retry_after, used.value.gate) == (3600, connector.gates(delivery)[0].key)
    assert asked(box, "POST", "segment-upload") == 1


@pytest.mark.parametrize(
    ("name", "value", "code"), [("file_too_large", "1x", "too_large"), ("upload_minutes", "91", "upload_too_slow")]
)
def test_a_file_too_large_or_too_slow_asks_for_smaller_parts(box: Sandbox, name: str, value: str, code: str):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, name, value)
    with pytest.raises(TooLarge) as refused:
        connector.send_part(delivery, part, journal(box, part))
    assert refused.value.code == code
    assert refused.value.next_step


def test_a_dead_address_means_a_new_job(box: Sandbox, monkeypatch: pytest.MonkeyPatch):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    host = vendor(box).upload_host
    monkeypatch.setattr(host, "_dead", lambda job: ("UPLOAD_URL_EXPIRED", "too late"))
    with pytest.raises(Transient) as dead:
        connector.send_part(delivery, part, journal(box, part))
    assert dead.value.code == "upload_url_dead"


def test_a_refusal_with_a_code_that_nobody_published_means_a_new_job(box: Sandbox):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, "upload_code", "SOMETHING_NEW")
    with pytest.raises(Transient) as refused:
        connector.send_part(delivery, part, journal(box, part))
    assert "SOMETHING_NEW" in refused.value.vendor_text
    switch(box, "upload_code", None)
    box.context.clock.advance(60)
    connector.send_part(delivery, part, journal(box, part))
    assert asked(box, "POST", "batch-segment") == 2
    assert violations(box) == []


def test_a_quota_that_leaves_no_room_for_a_day_ends_the_waiting(box: Sandbox):
    connector = connect(box)
    delivery, part = planned(box, connector, live_segment(box, connector))
    switch(box, "daily_byte_limit", "100x")
    for hour in range(24):
        with pytest.raises(QuotaExceeded):
            connector.send_part(delivery, part, journal(box, part))
        assert "quota_since" in part.memory, hour
        box.context.clock.advance(3600)
    with pytest.raises(Permanent) as given_up:
        connector.send_part(delivery, part, journal(box, part))
    assert (given_up.value.code, bool(given_up.value.next_step)) == ("quota_too_small", True)


# --- lost answers (section 12, rule 29)


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


# --- following


def test_every_phase_is_shown_with_progress_short_of_the_end(box: Sandbox):
    connector = connect(box)
    delivery, part, state = sent(box, connector)
    seen = []
    while not state.status.is_final:
        state = connector.poll_part(delivery, part.ref(state, box.context.clock.now()))
        seen.append((state.raw, state.progress))
        box.context.clock.advance(0.5)
    assert list(dict(seen)) == ["validating", "processing", "completed"]
    progress = [share for _, share in seen if share is not None]
    assert len(progress) == len(seen)
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert all(share < 0.96 for share in progress[:-1])


@pytest.mark.parametrize("name", ["fails_uploading", "fails_validating", "fails_processing"])
def test_a_job_that_failed_with_the_file_is_sent_once_more_and_then_shown(box: Sandbox, name: str):
    switch(box, name, "1")
    connector = connect(box)
    delivery, part, state = sent(box, connector)
    box.context.clock.advance(60)
    failed = connector.poll_part(delivery, part.ref(state, box.context.clock.now()))
    assert (failed.status, failed.resend) == (RemoteStatus.FAILED, True)
    assert ("uploading-error" if name == "fails_uploading" else "processing-error") in (failed.details or "")
    part.memory = {**part.memory, **failed.memory}
    again = connector.poll_part(delivery, part.ref(state, box.context.clock.now()))
    assert (again.status, again.resend) == (RemoteStatus.FAILED, False)
    assert again.next_step
    # A job that had the file may have done some of it; what the first one did stays, however the second one fails.
    assert again.perhaps is (name != "fails_uploading")
    part.memory = {**part.memory, "perhaps": True}
    assert connector.poll_part(delivery, part.ref(state, box.context.clock.now())).perhaps


def test_a_job_without_an_end_is_stalled_after_a_day_and_still_looked_at(box: Sandbox):
    switch(box, "stuck", "processing")
    connector = connect(box)
    delivery, part, state = sent(box, connector)
    sent_at = box.context.clock.now()
    box.context.clock.advance(25 * 3600)
    stalled = connector.poll_part(delivery, part.ref(state, sent_at))
    assert (stalled.status, stalled.status.is_final) == (RemoteStatus.STALLED, False)
    assert state.job_id in stalled.next_step


def test_a_job_not_shown_yet_is_looked_for_again_and_one_long_gone_is_missing(box: Sandbox):
    connector = connect(box)
    delivery, part, state = sent(box, connector)
    sent_at = box.context.clock.now()
    control(box, "forget", jobId=state.job_id)
    with pytest.raises(Transient):
        connector.poll_part(delivery, part.ref(state, sent_at))
    box.context.clock.advance(3600)
    for _ in range(2):
        odd = connector.poll_part(delivery, part.ref(state, sent_at))
        assert (odd.status, odd.status.is_final) == (RemoteStatus.UNKNOWN, False)
        part.memory = {**part.memory, **odd.memory}
    with pytest.raises(RemoteMissing):
        connector.poll_part(delivery, part.ref(state, sent_at))


def test_unknown_users_count_as_refused_and_the_figures_balance(box: Sandbox):
    control(box, "unknown", ids=USERS[:3])
    connector = connect(box, matchRateFloor=95)
    segment = live_segment(box, connector)
    state = deliver(box, connector, segment)
    assert (state.status, state.accepted, state.refused) == (RemoteStatus.SUCCEEDED, 27, 3)
    assert state.counters["match_rate"] == pytest.approx(0.9)
    assert "floor of 95" in state.suspect
    assert state.counters["added"] == {segment.remote_id: 27}
    assert state.report is not None
    assert len(state.report.splitlines()) == 3
    assert not any(user in str(state.counters) for user in USERS), "identifiers stand in the private report only"


@pytest.mark.parametrize("form", ["current", "lines", "dashes", "garbage"])
def test_every_form_of_the_segment_log_is_read_or_said_to_be_unavailable(box: Sandbox, form: str):
    switch(box, "segment_log", form)
    connector = connect(box)
    segment = live_segment(box, connector)
    state = deliver(box, connector, segment)
    if form == "garbage":
        assert "unavailable" in (state.details or "")
        assert "added" not in state.counters
    else:
        assert state.counters["added"] == {segment.remote_id: len(USERS)}


def test_figures_that_do_not_add_up_are_marked(box: Sandbox):
    switch(box, "counters", "num_valid:12")
    connector = connect(box)
    state = deliver(box, connector, live_segment(box, connector))
    assert (state.accepted, state.refused) == (12, 18)
    assert "12 lines where 30 were sent" in state.suspect


def test_a_segment_deactivated_at_the_vendor_fails_the_part_and_says_why(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    connector.release_segment(segment, "deactivate")
    state = deliver(box, connector, segment)
    assert (state.status, state.accepted) == (RemoteStatus.FAILED, 0)
    assert "inactive" in (state.details or "")


# --- other layouts and identifier types


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


# --- preflight, estimate, history


def findings(connector: XandrConnector, segment: SegmentRef, identifier: str = "xandr_id"):
    return {f.check: f for f in connector.preflight(segment, identifier, Totals(1, 1, 0, 0, 0))}


def test_preflight_is_green_for_a_segment_that_can_be_fed(box: Sandbox):
    connector = connect(box)
    found = findings(connector, live_segment(box, connector))
    assert {finding.level for finding in found.values()} == {Level.OK}


def test_preflight_tells_of_youth_deactivation_loss_and_pauses(box: Sandbox):
    connector = connect(box, newSegmentWaitMinutes=20)
    spec = segment_spec()
    young = segment_ref(connector.create_segment(spec), spec)
    assert findings(connector, young)["age"].level is Level.WARNING
    segment = live_segment(box, connector)
    connector.release_segment(segment, "deactivate")
    assert findings(connector, segment)["segment"].level is Level.BLOCKED
    gone = SegmentRef("999999", "aud_k7q2_1", "x", 30, True, None)
    assert findings(connector, gone)["segment"].fix
    connector.services.pacer.pause(f"{connector.quota_scope}:upload", 600, "The quota is used up.")
    assert findings(connector, segment)["queue"].text == "The quota is used up."
    assert findings(connector, segment, "tifa")["identifier"].level is Level.WARNING


def test_preflight_says_where_a_segment_keeps_others_for_one_ad_call_only(box: Sandbox):
    connector = connect(box)
    segment = live_segment(box, connector)
    vendor(box).world.segments[int(segment.remote_id)].expire_minutes = 0
    found = {finding.check: finding for finding in connector.preflight(segment, "xandr_id", None)}
    assert found["lifetime"].level is Level.WARNING
    assert "expire_minutes 0" in found["lifetime"].text


def test_an_estimate_counts_a_minute_between_parts_and_the_wait_for_a_new_segment(box: Sandbox):
    settings = {"maxPartLines": 1000, "minSecondsBetweenUploads": 60, "newSegmentWaitMinutes": 20}
    connector = connect(box, **settings)
    spec = segment_spec()
    young = segment_ref(connector.create_segment(spec), spec)
    delivery, _ = planned(box, connector, young)
    estimate = connector.estimate(delivery, Totals(10_000, 9_500, 0, 500, 0), 19.0)
    assert (estimate.parts, estimate.lines) == (10, 10_000)
    assert estimate.seconds == pytest.approx(1200 + 600, abs=30)
    assert connector.estimate(delivery, Totals(10, 0, 0, 0, 10), 19.0).parts == 0


@pytest.mark.parametrize("counted", [None, "1"])
def test_history_is_read_page_by_page_newest_first_and_once(box: Sandbox, counted: str | None):
    switch(box, "null_count", counted)
    control(box, "jobs", count=250)
    entries = list(connect(box).history(None))
    moments = [entry.updated_at for entry in entries if entry.updated_at]
    assert len(moments) == len(entries)
    assert len({entry.job_id for entry in entries}) == len(entries) == 250
    assert moments == sorted(moments, reverse=True)
    assert all(entry.state.status is RemoteStatus.SUCCEEDED for entry in entries)
    assert violations(box) == []


def test_history_of_one_segment_holds_the_jobs_whose_log_names_it(box: Sandbox):
    connector = connect(box)
    first, second = live_segment(box, connector), live_segment(box, connector, "aud_k7q2_2")
    wanted = deliver(box, connector, first)
    deliver(box, connector, second)
    assert [entry.job_id for entry in connector.history(first)] == [wanted.job_id]


def test_no_upload_address_and_no_identifier_reaches_a_log(box: Sandbox, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    connector = connect(box)
    deliver(box, connector, live_segment(box, connector))
    assert "segment-upload" not in caplog.text
    assert not any(user in caplog.text for user in USERS)
