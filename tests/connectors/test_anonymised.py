"""Anonymised against its sandbox, over HTTP: the contract, and what is this vendor's own."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS, DEMO_SETTINGS, OTHER_CREDENTIALS
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.anonymised import AnonymisedConnector, wire
from audsync_web.vendors.connectors.anonymised.connector import segment_name
from audsync_web.vendors.connectors.base import (
    CannotTell,
    Confirmation,
    DeliveryContext,
    Found,
    Intent,
    Level,
    Nothing,
    RemoteState,
    RemoteStatus,
    SegmentRef,
    SegmentSpec,
    Services,
    Totals,
)
from audsync_web.vendors.connectors.errors import (
    AuthenticationFailed,
    NotSupported,
    NotYet,
    Permanent,
    RemoteMissing,
    TooLarge,
    Transient,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.reading import utc_moment
from audsync_web.vendors.connectors.tokens import token_end

from .contract import ConnectorContract
from .fakes import (
    Canned,
    CannedServer,
    FilePayload,
    InMemoryPacer,
    InMemoryTokens,
    MiniEngine,
    MovableClock,
    RecordingJournal,
    account_config,
    additions,
    delivery_context,
    make_parts,
    segment_ref,
    segment_spec,
    services,
)

MEMBERS = [f"member-{number:04}" for number in range(40)]


class TestAnonymisedContract(ConnectorContract):
    vendor = "anonymised"
    base_path = "/api/public/v3"
    wrong_credentials: ClassVar[dict[str, str]] = {"password": "not-the-demo-password"}
    members: ClassVar[list[str]] = MEMBERS


class Bench:
    """A sandbox, a connector on its clock, and the few steps that tests repeat."""

    def __init__(self, box: Sandbox, **settings: Any) -> None:
        self.box = box
        self.clock = box.context.clock
        self.services = services(self.clock)
        self.connector = self.connect(**settings)
        self.engine = MiniEngine(self.connector, self.clock.advance)
        self.journal = RecordingJournal(self.clock)

    def connect(self, shared: Services | None = None, password: str = "", **settings: Any) -> AnonymisedConnector:
        credentials = {**DEMO_CREDENTIALS, **({"password": password} if password else {})}
        config = account_config(
            AnonymisedConnector, self.box.base_url("anonymised"), credentials, {**DEMO_SETTINGS, **settings}
        )
        return AnonymisedConnector(config, shared or self.services)

    def switch(self, name: str, value: str | None = "1") -> None:
        self.box.context.faults.set(f"anonymised.{name}", value)

    def segment(self, *, published: bool = False, name: str = "aud_k7q2_11107") -> SegmentRef:
        spec = segment_spec(name)
        remote = self.connector.create_segment(spec)
        if published:
            remote = self.connector.publish_segment(segment_ref(remote, spec))
        return segment_ref(remote, spec)

    def delivery(self, segment: SegmentRef, number: int = 1) -> DeliveryContext:
        return delivery_context(segment, "provider_id", self.clock, number=number, days=None)

    def part(self, delivery: DeliveryContext, members: Sequence[str] = MEMBERS) -> FilePayload:
        (part,) = make_parts(self.connector, delivery, additions(members))
        return part

    def calls(self, method: str, ending: str) -> int:
        entries = self.box.context.ledger.entries("anonymised")
        return sum(1 for entry in entries if entry.method == method and entry.path.endswith(ending))

    @property
    def logins(self) -> int:
        return int(self.box.vendors["anonymised"].state()["logins"])

    @property
    def jobs(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self.box.vendors["anonymised"].state()["jobs"]
        return jobs


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Sandbox() as box:
        yield Bench(box)


# --- signing in ------------------------------------------------------------------------------------------------------


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


# --- segments --------------------------------------------------------------------------------------------------------


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


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_is_a_header_and_one_id_a_line(bench: Bench):
    delivery = bench.delivery(bench.segment())
    part = bench.part(delivery, ["acme-0001", "acme-0002", "acme-0003"])
    assert part.content == b"provider_id\nacme-0001\nacme-0002\nacme-0003\n"
    assert part.md5 == "85118789516f48fa299bed5362c5daca"


@pytest.mark.parametrize("kind", ["provider_id", "custom_id", "user_account_id", "uuid", "email_sha256", "email_md5"])
@pytest.mark.parametrize("value", ["a,b", 'a"b', "a\tb", "x" * 256, "é" * 128, ""])
def test_no_kind_lets_a_value_through_that_would_need_quoting(kind: str, value: str):
    assert not AnonymisedConnector.identifier_rules[kind].accepts(value)


def test_ids_keep_their_letter_case():
    assert {rule.case for rule in AnonymisedConnector.identifier_rules.values()} == {"keep"}


def test_an_empty_list_is_refused_without_a_call(bench: Bench):
    delivery = bench.delivery(bench.segment())
    empty = FilePayload(b"provider_id\n")
    with pytest.raises(Permanent, match="0 members"):
        bench.connector.send_part(delivery, empty, bench.journal)
    assert bench.calls("POST", "/upload") == 0


def test_a_file_over_our_limit_is_refused_without_a_call_and_names_the_numbers(bench: Bench):
    connector = bench.connect(maxUploadBytes=100)
    delivery = bench.delivery(bench.segment())
    with pytest.raises(TooLarge, match="492 bytes; this account takes at most 100,") as refused:
        connector.send_part(delivery, bench.part(delivery), bench.journal)
    assert refused.value.refused_bytes is None
    assert bench.calls("POST", "/upload") == 0


def test_a_413_below_our_limit_tells_the_size_that_was_refused(bench: Bench):
    bench.switch("max_bytes", "100")
    delivery = bench.delivery(bench.segment())
    with pytest.raises(TooLarge, match="492 bytes") as refused:
        bench.connector.send_part(delivery, bench.part(delivery), bench.journal)
    assert refused.value.refused_bytes == 492
    assert refused.value.vendor_text == "file size exceeds maximum allowed size"


def test_a_part_damaged_on_disk_is_told_apart_from_a_bad_file(bench: Bench):
    delivery = bench.delivery(bench.segment())
    part = bench.part(delivery)
    part.content = b"provider_id\nother-0000\n"
    part.bytes = len(part.content)
    with pytest.raises(Permanent) as refused:
        bench.connector.send_part(delivery, part, bench.journal)
    assert refused.value.code == "part_damaged"


def test_a_bad_file_is_permanent_and_keeps_the_vendors_words(bench: Bench):
    delivery = bench.delivery(bench.segment())
    with pytest.raises(Permanent) as refused:
        bench.connector.send_part(delivery, FilePayload(b"a,b\nc,d\n", lines=1), bench.journal)
    assert refused.value.vendor_text == "invalid CSV header: expected exactly one column"
    assert not isinstance(refused.value, AuthenticationFailed)


def test_a_segment_of_another_company_is_missing(bench: Bench):
    other = AnonymisedConnector(
        account_config(AnonymisedConnector, bench.box.base_url("anonymised"), OTHER_CREDENTIALS, DEMO_SETTINGS),
        bench.services,
    )
    delivery = bench.delivery(bench.segment())
    with pytest.raises(RemoteMissing):
        other.send_part(delivery, bench.part(delivery), bench.journal)


@pytest.mark.parametrize(
    ("switch", "words"),
    [("wrong_count", "counts 39 rows where 40 were sent"), ("omit_md5", "")],
)
def test_figures_that_are_not_ours_make_it_suspect(bench: Bench, switch: str, words: str):
    bench.switch(switch)
    delivery = bench.delivery(bench.segment())
    state = bench.connector.send_part(delivery, bench.part(delivery), bench.journal)
    assert words in state.suspect
    assert bool(words) == bool(state.suspect)


def test_a_swallowed_first_member_is_noticed(bench: Bench):
    bench.switch("lax_header")
    delivery = bench.delivery(bench.segment())
    headerless = FilePayload(b"acme-0001\nacme-0002\n", lines=2)
    assert "counts 1 rows" in bench.connector.send_part(delivery, headerless, bench.journal).suspect


# --- a lost answer ---------------------------------------------------------------------------------------------------


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


# --- following -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", RemoteStatus.QUEUED),
        ("processing", RemoteStatus.RUNNING),
        ("completed", RemoteStatus.SUCCEEDED),
        ("processed", RemoteStatus.SUCCEEDED),
        ("failed", RemoteStatus.FAILED),
        ("processing_failed", RemoteStatus.FAILED),
        (" Processing-Failed ", RemoteStatus.FAILED),
        ("PROCESSING FAILED", RemoteStatus.FAILED),
        ("archived", RemoteStatus.UNKNOWN),
        ("", RemoteStatus.UNKNOWN),
    ],
)
def test_both_vocabularies_mean_the_same(word: str, status: RemoteStatus):
    upload = wire.UploadObject.read({"id": "u1", "status": word, "later": {}})
    assert upload is not None
    assert upload.status is status
    assert upload.state().raw == word


@pytest.mark.parametrize("vocabulary", ["short", "long", "mixed"])
def test_a_failure_keeps_the_vendors_details(bench: Bench, vocabulary: str):
    bench.switch("vocabulary", vocabulary)
    bench.switch("fail", "column is odd")
    delivery = bench.delivery(bench.segment())
    (state,) = bench.engine.deliver(delivery, [bench.part(delivery)])
    assert (state.status, state.details) == (RemoteStatus.FAILED, "column is odd")


def test_a_failure_found_in_the_list_is_looked_up_for_its_details(bench: Bench):
    bench.switch("fail", "column is odd")
    delivery = bench.delivery(bench.segment())
    part, intent = bench.part(delivery), Intent("send", bench.clock.now(), {})
    bench.connector.send_part(delivery, part, bench.journal)
    bench.clock.advance(60)
    found = bench.connector.reconcile_part(delivery, part, intent, frozenset())
    assert isinstance(found, Found)
    assert (found.value.status, found.value.details) == (RemoteStatus.FAILED, "column is odd")
    (entry,) = bench.connector.history(delivery.segment)
    assert entry.state.details == "column is odd"


def test_an_upload_removed_without_being_processed_has_failed(bench: Bench):
    bench.switch("removed_unprocessed")
    delivery = bench.delivery(bench.segment(published=True))
    (state,) = bench.engine.deliver(delivery, [bench.part(delivery)])
    assert state.status is RemoteStatus.FAILED
    assert state.raw in {"deletion", "deleted"}
    assert "removed" in (state.details or "")


@pytest.mark.parametrize("word", ["deletion", "deleted", "deletion_failed"])
@pytest.mark.parametrize(("active", "status"), [("u1", RemoteStatus.SUCCEEDED), ("u0", RemoteStatus.FAILED)])
def test_a_removal_word_counts_as_applied_only_where_ours_is_active(word: str, active: str, status: RemoteStatus):
    def answer(method: str, path: str) -> Canned:
        shown: dict[str, Any] = {"token": "t", "id": "u1", "status": word, "activeMembershipUploadId": active}
        return Canned(200, json.dumps(shown).encode())

    assert polled(answer).status is status


@pytest.mark.parametrize(
    ("seen", "status"), [({}, RemoteStatus.QUEUED), ({"seen": "running"}, RemoteStatus.RUNNING)], ids=["first", "back"]
)
def test_a_move_backwards_keeps_the_later_state(seen: dict[str, str], status: RemoteStatus):
    def answer(method: str, path: str) -> Canned:
        return Canned(200, json.dumps({"token": "t", "id": "u1", "status": "pending"}).encode())

    assert polled(answer, seen).status is status


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"id": null}', b""])
def test_an_unreadable_look_is_tried_again_later(body: bytes):
    def answer(method: str, path: str) -> Canned:
        return Canned(200, b'{"token": "t"}' if path == "/login" else body)

    with pytest.raises(Transient):
        polled(answer)


def test_vendor_texts_are_cut():
    def answer(method: str, path: str) -> Canned:
        shown = {"token": "t", "id": "u1", "status": "failed" + "!" * 999, "details": "<b>" + "x" * 9999}
        return Canned(200, json.dumps(shown).encode())

    state = polled(answer)
    assert len(state.raw) == 60
    assert len(state.details or "") <= 500


def polled(answer: Any, memory: dict[str, Any] | None = None) -> RemoteState:
    """One look at an upload `u1`, answered as given, with what the part remembers."""
    with CannedServer(answer) as server:
        clock = MovableClock()
        config = account_config(AnonymisedConnector, server.url, DEMO_CREDENTIALS, DEMO_SETTINGS)
        connector = AnonymisedConnector(config, services(clock))
        segment = SegmentRef("5", "aud_k7q2_1", "x", 90, True, None)
        payload = FilePayload(b"provider_id\na\n", lines=1, memory=memory or {})
        part = payload.ref(RemoteState(RemoteStatus.QUEUED, job_id="u1"), clock.now())
        return connector.poll_part(delivery_context(segment, "provider_id", clock), part)


@pytest.mark.parametrize(
    ("published", "switches", "state", "words"),
    [
        (True, {}, Confirmation.CONFIRMED, "Live"),
        (False, {}, Confirmation.CONFIRMED, "publishing makes it live"),
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


# --- looking, planning, pace -----------------------------------------------------------------------------------------


def test_history_is_newest_first_with_the_vendors_figures(bench: Bench):
    bench.switch("shuffle_list")
    segment = bench.segment(published=True)
    for number in range(1, 5):
        delivery = bench.delivery(segment, number)
        bench.engine.deliver(delivery, [bench.part(delivery, MEMBERS[:number])])
    entries = list(bench.connector.history(segment))
    assert [entry.lines for entry in entries] == [4, 3, 2, 1]
    assert all(entry.md5 and entry.bytes and entry.created_at for entry in entries)
    with pytest.raises(NotSupported):
        list(bench.connector.history(None))


def test_preflight_names_what_stands_in_the_way(bench: Bench):
    segment = bench.segment()
    totals = Totals(40, 40, 0, 0, 0)
    assert {finding.level for finding in bench.connector.preflight(segment, "provider_id", totals)} == {Level.OK}
    delivery = bench.delivery(segment)
    bench.connector.send_part(delivery, bench.part(delivery), bench.journal)
    running = bench.connector.preflight(segment, "provider_id", totals)
    assert [finding.level for finding in running] == [Level.OK, Level.WARNING]
    unknown = SegmentRef("999999", "aud_k7q2_2", "x", 90, False, None)
    blocked = bench.connector.preflight(unknown, "provider_id", Totals(0, 0, 0, 0, 0))
    assert [finding.level for finding in blocked] == [Level.BLOCKED, Level.BLOCKED]
    assert all(finding.fix for finding in blocked)


def test_an_estimate_over_the_limit_says_so(bench: Bench):
    delivery = bench.delivery(bench.segment())
    fine = bench.connector.estimate(delivery, Totals(1000, 10, 0, 0, 990), 36)
    assert (fine.parts, fine.bytes, fine.lines) == (1, 12 + 1000 * 37, 1000)
    large = bench.connector.estimate(delivery, Totals(2_000_000, 1, 0, 0, 0), 36)
    assert any("at most 50,000,000" in note for note in large.notes)


def test_one_upload_of_a_segment_at_a_time_and_one_a_minute(bench: Bench):
    delivery = bench.delivery(bench.segment())
    (gate,) = bench.connect(minSecondsBetweenUploads=60).gates(delivery)
    assert (gate.interval, gate.exclusive) == (60, "job")
    assert gate.key.endswith(f":segment:{delivery.segment.remote_id}")


@pytest.mark.parametrize(
    ("polls", "seconds"), [(0, 5), (1, 7.5), (2, 11.25), (20, 60)], ids=["first", "second", "third", "late"]
)
def test_looks_come_after_five_seconds_and_then_ever_more_slowly(bench: Bench, polls: int, seconds: float):
    connector = bench.connect(pollFirstSeconds=5, pollMaxSeconds=60)
    assert connector.poll_step(polls) == seconds
    waits = {connector.next_poll(0, polls) for _ in range(20)}
    assert all(seconds * 0.9 <= wait <= seconds for wait in waits)
    assert len(waits) == 1 if polls == 0 else len(waits) > 1, "later looks are spread by jitter"


# --- the wire --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T08:16:02Z", datetime(2026, 11, 22, 8, 16, 2, tzinfo=UTC)),
        ("2026-11-22T08:16:02.1Z", datetime(2026, 11, 22, 8, 16, 2, 100_000, tzinfo=UTC)),
        ("2026-11-22T08:15:30.120934Z", datetime(2026, 11, 22, 8, 15, 30, 120_934, tzinfo=UTC)),
        ("2026-11-22T08:15:30.123456789Z", datetime(2026, 11, 22, 8, 15, 30, 123_456, tzinfo=UTC)),
        ("2026-11-22T10:16:02+02:00", datetime(2026, 11, 22, 8, 16, 2, tzinfo=UTC)),
        ("yesterday", None),
        (1_700_000_000, None),
        (None, None),
    ],
)
def test_times_are_read_with_any_number_of_digits(text: Any, moment: datetime | None):
    assert utc_moment(text) == moment


@pytest.mark.parametrize("value", [None, [], "x", {}, {"id": True}, {"id": ""}, {"id": {"a": 1}}])
def test_what_holds_no_id_is_no_upload(value: Any):
    assert wire.UploadObject.read(value) is None


@pytest.mark.parametrize("value", [{}, {"id": "5x"}, {"id": "-5"}, {"id": True}, {"id": 1.5}])
def test_what_holds_no_whole_number_is_no_segment(value: Any):
    assert wire.segment(value) is None


def test_numbers_may_come_as_texts():
    found = wire.segment({"id": "24518", "status": "created", "size": "12"})
    assert found is not None
    assert (found.remote_id, found.size) == ("24518", 12)
    upload = wire.UploadObject.read({"id": "0b9f", "recordsCount": "40", "uploadedBytes": "900"})
    assert upload is not None
    assert upload.differs_from(lines=40, size=900, md5="") == ""
    assert "41" in upload.differs_from(lines=41, size=900, md5="")


def test_a_segment_needs_no_more_than_its_id_and_keeps_an_unknown_status():
    found = wire.segment({"id": 5, "status": "archived", "future": 1})
    assert found is not None
    assert (found.remote_id, found.state, found.raw_state) == ("5", "unknown", "archived")


@pytest.mark.parametrize("claims", [{"exp": 1_800_000_000}, {"exp": "x"}, {"exp": 1e30}, {}, []])
def test_the_end_of_a_token_is_read_where_it_is_told(claims: Any):
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    told = isinstance(claims, dict) and claims.get("exp") == 1_800_000_000
    assert token_end(f"h.{body}.s") == (datetime.fromtimestamp(1_800_000_000, UTC) if told else None)
