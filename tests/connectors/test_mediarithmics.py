"""mediarithmics: accounts, segments, imports and executions against the strict sandbox."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from audsync_web.sandbox.mediarithmics import DEMO_CREDENTIALS, DEMO_SETTINGS
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import (
    DeliveryContext,
    Found,
    Intent,
    Level,
    Nothing,
    RemoteState,
    RemoteStatus,
    SegmentRef,
    SegmentState,
    Totals,
)
from audsync_web.vendors.connectors.errors import (
    AuthenticationFailed,
    InvalidConfiguration,
    NotYet,
    Permanent,
    RemoteMissing,
    TooLarge,
    Transient,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.mediarithmics import MediarithmicsConnector
from audsync_web.vendors.connectors.mediarithmics.api import cut
from audsync_web.vendors.connectors.mediarithmics.fields import token_warning
from audsync_web.vendors.connectors.mediarithmics.imports import import_name

from .contract import ConnectorContract
from .fakes import (
    Canned,
    CannedServer,
    FilePayload,
    MiniEngine,
    RecordingJournal,
    account_config,
    additions,
    delivery_context,
    make_parts,
    segment_ref,
    segment_spec,
    services,
)

HASHES = [f"{n:064x}" for n in range(1, 41)]
ENDED_BADLY = {"failed": RemoteStatus.FAILED, "lost": RemoteStatus.FAILED, "canceled": RemoteStatus.CANCELLED}


class TestMediarithmicsContract(ConnectorContract):
    vendor = "mediarithmics"
    base_path = "/v1"
    wrong_credentials = {"apiToken": "wrong-mediarithmics-token"}
    members = HASHES
    effects = {"create": ["create"], "publish": [], "send": ["import", "execution"]}
    switches = {
        "throttle": "429",
        "server_error": "500",
        "drop_before_create": "m9.drop_before",
        "drop_after_create": "m9.drop_after",
        "drop_before_import": "m1.drop_before",
        "drop_after_import": "m1.drop_after",
        "drop_before_execution": "m4.drop_before",
        "drop_after_execution": "m4.drop_after",
        "unknown_status": "unknown_word",
    }


def connect(box: Sandbox, **settings: Any) -> MediarithmicsConnector:
    given = {**DEMO_SETTINGS, **settings}
    config = account_config(MediarithmicsConnector, f"{box.url}/mediarithmics/v1", DEMO_CREDENTIALS, given)
    return MediarithmicsConnector(config, services(box.context.clock))


def switch(box: Sandbox, name: str, value: str | None = "1x") -> None:
    box.context.faults.set(f"mediarithmics.{name}", value)


def state_of(box: Sandbox) -> dict[str, Any]:
    return box.vendors["mediarithmics"].state()


def members(box: Sandbox, segment: SegmentRef) -> set[str]:
    return set(box.vendors["mediarithmics"].control("members", {"segment": segment.remote_id}))


def clean(box: Sandbox) -> bool:
    assert box.context.ledger.violations("mediarithmics") == []
    return True


def asked(box: Sandbox, method: str, ending: str) -> int:
    entries = box.context.ledger.entries("mediarithmics")
    return sum(1 for entry in entries if entry.method == method and entry.path.endswith(ending))


def fed(connector: MediarithmicsConnector) -> SegmentRef:
    """A new segment that files may be sent to."""
    spec = segment_spec()
    return segment_ref(connector.create_segment(spec), spec)


def planned(
    box: Sandbox, connector: MediarithmicsConnector, rows: Sequence[tuple[Op, str]] | None = None, number: int = 1
) -> tuple[DeliveryContext, list[FilePayload]]:
    kind = str(connector.config.settings["identifier"])
    delivery = delivery_context(fed(connector), kind, box.context.clock, number=number)
    return delivery, make_parts(connector, delivery, additions(HASHES) if rows is None else rows)


def remember(part: FilePayload, state: RemoteState) -> RemoteState:
    """What the product's engine does with a state's memory."""
    part.memory = {**part.memory, **state.memory}
    return state


def looked_at(
    box: Sandbox, connector: MediarithmicsConnector, delivery: DeliveryContext, part: FilePayload, seconds: float
):
    """The part as it stands after so long."""
    box.context.clock.advance(seconds)
    state = RemoteState(RemoteStatus.UNKNOWN, job_id=part.memory["executions"][-1])
    return remember(part, connector.poll_part(delivery, part.ref(state, box.context.clock.now())))


# --- account (settings, token, rights)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"datamartId": "acme"}, {"datamartId"}),
        ({"organisationId": "٣٤"}, {"organisationId"}),
        ({"identifier": "user_account_id"}, {"compartmentId"}),
        ({"tokenExpiresOn": "next spring"}, {"tokenExpiresOn"}),
        ({"datamartId": "x", "identifier": "user_account_id"}, {"datamartId", "compartmentId"}),
    ],
)
def test_settings_that_cannot_work_are_named_all_at_once(settings: dict[str, Any], wrong: set[str]):
    with pytest.raises(InvalidConfiguration) as refused:
        account_config(MediarithmicsConnector, "https://x.example/v1", DEMO_CREDENTIALS, {**DEMO_SETTINGS, **settings})
    assert set(refused.value.errors) == wrong


@pytest.mark.parametrize("token", ["Bearer demo-token", "demo\ntoken", "demo-tök€n"])
def test_a_token_that_cannot_stand_bare_in_a_header_is_refused_before_a_call(token: str):
    with pytest.raises(InvalidConfiguration) as refused:
        account_config(MediarithmicsConnector, "https://x.example/v1", {"apiToken": token}, DEMO_SETTINGS)
    assert set(refused.value.errors) == {"apiToken"}
    assert token not in str(refused.value)


def test_a_part_can_never_be_set_above_the_hard_limit():
    with pytest.raises(InvalidConfiguration):
        account_config(
            MediarithmicsConnector,
            "https://x.example/v1",
            DEMO_CREDENTIALS,
            {**DEMO_SETTINGS, "maxPartBytes": 100_000_001},
        )


@pytest.mark.parametrize(
    ("day", "word"),
    [
        ("2026-12-23", ""),
        ("2026-12-22", "in 30 days"),
        ("2026-11-29", "Replace it now: the API token ends in 7 days"),
        ("2026-11-23", "in 1 day,"),
        ("2026-11-22", "today"),
        ("2026-11-21", "ended on 2026-11-21"),
    ],
)
def test_the_end_of_a_token_is_told_30_days_and_7_days_ahead(day: str, word: str):
    config = account_config(
        MediarithmicsConnector, "https://x.example", DEMO_CREDENTIALS, {**DEMO_SETTINGS, "tokenExpiresOn": day}
    )
    said = token_warning(config, date(2026, 11, 22))
    assert word in said
    assert bool(said) == bool(word)


def test_the_check_names_a_compartment_that_is_not_there(box: Sandbox):
    account = {"identifier": "user_account_id"}
    assert connect(box, **account, compartmentId="1042").check().missing == ()
    assert "4711" in connect(box, **account, compartmentId="4711").check().missing[0]
    assert clean(box)


def test_the_check_warns_of_a_hash_that_must_be_the_data_marts(box: Sandbox):
    assert any("hash" in warning for warning in connect(box).check().warnings)
    assert not any("hash" in w for w in connect(box, identifier="user_agent_id").check().warnings)


def test_another_organisations_data_mart_is_a_missing_right(box: Sandbox):
    with pytest.raises(AuthenticationFailed) as denied:
        connect(box, datamartId="1472").check()
    assert denied.value.code == "rights_missing"
    assert len(denied.value.reference) == 36


def test_being_asked_to_slow_down_holds_everyone_of_the_data_mart(box: Sandbox):
    connector = connect(box)
    switch(box, "429")
    with pytest.raises(Transient):
        connector.check()
    with pytest.raises(NotYet):
        connector.check()
    box.context.clock.advance(3)
    connector.check()


# --- envelope


def test_a_success_that_says_error_is_an_error_with_its_reference(box: Sandbox):
    connector = connect(box)
    switch(box, "m9.ok_error")
    with pytest.raises(Permanent) as refused:
        connector.create_segment(segment_spec())
    assert refused.value.reference == "chosen-reference"
    assert refused.value.vendor_text == "Chosen fault"


def test_a_read_that_says_error_behind_a_200_is_tried_again(box: Sandbox):
    switch(box, "m2.ok_error")
    with pytest.raises(Transient) as refused:
        connect(box).check()
    assert refused.value.reference == "chosen-reference"
    connect(box).check()


def test_a_vendor_that_repeats_the_token_does_not_bring_it_into_our_pages(box: Sandbox):
    def echo(method: str, path: str) -> Canned:
        said = f"bad header Authorization: {DEMO_CREDENTIALS['apiToken']}"
        return Canned(400, json.dumps({"status": "error", "error": said}).encode())

    with CannedServer(echo) as server:
        config = replace(connect(box).config, base_url=server.url)
        with pytest.raises(Permanent) as refused:
            MediarithmicsConnector(config, services(box.context.clock)).check()
    assert "bad header" in refused.value.vendor_text
    assert DEMO_CREDENTIALS["apiToken"] not in refused.value.vendor_text


def test_an_answer_without_data_is_tried_again_on_reads_and_looked_into_on_effects(box: Sandbox):
    connector = connect(box)
    switch(box, "m2.no_data")
    with pytest.raises(Transient):
        connector.check()
    switch(box, "m9.no_data")
    with pytest.raises(UnknownOutcome):
        connector.create_segment(segment_spec())
    found = connector.reconcile_segment(segment_spec(), Intent("create", box.context.clock.now(), {}))
    assert isinstance(found, Found)


def test_a_gateways_page_instead_of_an_answer_is_transient(box: Sandbox):
    switch(box, "m2.html")
    with pytest.raises(Transient):
        connect(box).check()


def test_what_the_vendor_says_is_kept_without_identifiers():
    line = '{"operation":"UPDATE","user_account_id":"crm-77","segment_id":"90211"}'
    said = cut(f"Line 3 is bad: {line} and {HASHES[0]} and jo@example.invalid")
    assert said.startswith("Line 3 is bad")
    assert not any(hidden in said for hidden in ("crm-77", HASHES[0], "jo@example.invalid"))
    assert "90211" in said
    assert len(cut("x" * 10_000)) == 500


@pytest.mark.parametrize("switches", [{"no_total": "1"}, {"oldest_first": "1"}, {"tasks": "text"}, {"tasks": "null"}])
def test_lists_and_counters_are_read_in_every_form(box: Sandbox, switches: dict[str, str]):
    for name, value in switches.items():
        switch(box, name, value)
    connector = connect(box, pageSize=1, maxPartLines=10)
    delivery, parts = planned(box, connector)
    states = MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    assert [state.status for state in states] == [RemoteStatus.SUCCEEDED] * 4
    assert members(box, delivery.segment) == set(HASHES)
    assert clean(box)


def test_a_list_that_knows_no_paging_ends(box: Sandbox):
    segment = {"id": 7, "technical_name": "another", "type": "USER_LIST"}
    answer = json.dumps({"status": "ok", "count": 1, "data": [segment]}).encode()
    with CannedServer(Canned(200, answer)) as server:
        config = replace(connect(box, pageSize=1).config, base_url=server.url)
        assert MediarithmicsConnector(config, services(box.context.clock)).find_segment(segment_spec()) is None
        assert len(server.requests) == 2


# --- segments


def test_a_segment_is_a_user_list_for_files_whose_lines_alone_decide_its_lifetime(box: Sandbox):
    fed(connect(box))
    made = state_of(box)["segments"][-1]
    wanted = {"type": "USER_LIST", "feed_type": "FILE_IMPORT", "default_ttl": None, "technical_name": "aud_k7q2_11107"}
    assert wanted.items() <= made.items()


def test_a_segment_that_is_there_is_found_instead_of_made_twice(box: Sandbox):
    connector = connect(box, pageSize=1)
    assert connector.create_segment(segment_spec()).remote_id == connector.create_segment(segment_spec()).remote_id
    assert connector.find_segment(segment_spec(technical_name="aud_k7q2_9")) is None
    assert asked(box, "POST", "/audience_segments") == 1


def test_a_name_taken_by_another_kind_of_segment_is_said_and_left_alone(box: Sandbox):
    with pytest.raises(Permanent) as refused:
        connect(box).create_segment(segment_spec(technical_name="present_90003"))
    assert "no USER_LIST" in refused.value.text


def test_a_technical_name_that_the_vendor_may_not_take_is_never_sent(box: Sandbox):
    with pytest.raises(Permanent):
        connect(box).create_segment(segment_spec(technical_name="Has Blanks"))
    assert asked(box, "POST", "/audience_segments") == 0


def test_only_unpaused_lists_for_files_can_be_linked(box: Sandbox):
    connector = connect(box)
    linked = connector.read_segment("90001")
    assert linked.remote_id == "90001"
    assert linked.size == 0
    for number, word in (("90002", "paused"), ("90003", "no USER_LIST")):
        with pytest.raises(Permanent, match=word):
            connector.read_segment(number)
    with pytest.raises(RemoteMissing):
        connector.read_segment("1")


def test_publishing_needs_no_call(box: Sandbox):
    connector = connect(box)
    segment = fed(connector)
    before = len(box.context.ledger.entries("mediarithmics"))
    assert connector.publish_segment(segment).state is SegmentState.PUBLISHED
    assert len(box.context.ledger.entries("mediarithmics")) == before


def test_renaming_changes_the_display_name_only(box: Sandbox):
    connector = connect(box)
    segment = fed(connector)
    connector.rename_segment(segment, "Buyers that left")
    connector.rename_segment(segment, "Buyers that left")
    shown = state_of(box)["segments"][-1]
    assert (shown["name"], shown["technical_name"]) == ("Buyers that left", "aud_k7q2_11107")
    assert asked(box, "PUT", segment.remote_id) == 1
    assert clean(box)


def test_the_segment_is_read_again_before_a_file(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    paused = replace(delivery, segment=replace(delivery.segment, remote_id="90002"))
    with pytest.raises(Permanent, match="paused"):
        connector.send_part(paused, parts[0], RecordingJournal(box.context.clock))
    assert state_of(box)["imports"] == []
    journal = RecordingJournal(box.context.clock)
    connector.send_part(delivery, parts[0], journal)
    later = replace(delivery, segment=paused.segment, memory=dict(journal.delivery))
    box.context.clock.advance(61)
    with pytest.raises(Permanent, match="paused"):
        connector.send_part(later, parts[0], RecordingJournal(box.context.clock))


def test_preflight_says_what_stands_in_the_way(box: Sandbox):
    connector = connect(box, tokenExpiresOn=box.context.clock.now().date().isoformat())
    segment = fed(connector)
    levels = {f.check: f.level for f in connector.preflight(segment, "email_sha256", Totals(5, 5, 0, 0, 0))}
    assert levels == {"segment": Level.OK, "token": Level.WARNING, "load": Level.OK}
    for number in ("90002", "90003", "1"):
        finding = connector.preflight(replace(segment, remote_id=number), "email_sha256", None)[0]
        assert finding.level is Level.BLOCKED
        assert finding.fix


# --- deliveries


def test_one_import_carries_all_files_of_a_delivery(box: Sandbox):
    connector = connect(box, maxPartLines=15)
    delivery, parts = planned(box, connector)
    MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    shown = state_of(box)
    assert [e["lines"] for e in shown["executions"]] == [15, 15, 10]
    assert [i["name"] for i in shown["imports"]] == [import_name(delivery, 1)]
    assert shown["imports"][0]["mime_type"] == "APPLICATION_X_NDJSON"
    assert members(box, delivery.segment) == set(HASHES)
    assert clean(box)


def test_additions_and_removals_go_in_one_file_and_end_right_in_any_order(box: Sandbox):
    switch(box, "shuffle", "1")
    connector = connect(box)
    engine = MiniEngine(connector, box.context.clock.advance)
    engine.deliver(*planned(box, connector, additions(HASHES[:20])))
    rows = sorted([(Op.REMOVE, h) for h in HASHES[:10]] + [(Op.ADD, h) for h in HASHES[20:]] + [(Op.RENEW, HASHES[10])])
    delivery, parts = planned(box, connector, rows, number=2)
    engine.deliver(delivery, parts)
    assert members(box, delivery.segment) == set(HASHES[10:])
    assert len(state_of(box)["executions"]) == 2
    assert clean(box)


def test_members_leave_when_the_segments_duration_is_over(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    box.context.clock.advance(89 * 86_400)
    assert len(members(box, delivery.segment)) == 40
    box.context.clock.advance(86_400)
    assert members(box, delivery.segment) == set()


def test_members_stay_for_ever_only_where_that_was_chosen(box: Sandbox):
    connector = connect(box, neverExpires=True)
    assert connector.lifetime_days(90) is None
    assert connect(box).lifetime_days(90) == 90
    assert connect(box).lifetime_days(9_999) == 3_650
    delivery, parts = planned(box, connector)
    MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    box.context.clock.advance(5_000 * 86_400)
    assert len(members(box, delivery.segment)) == 40


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"identifier": "email_md5"}, [f"{n:032x}" for n in range(3)]),
        ({"identifier": "user_account_id", "compartmentId": "1043"}, ['crm-"7"', "crm\\8", "crm-é, 9"]),
        ({"identifier": "user_agent_id"}, ["vec:81", "web:1471:a=b"]),
        ({"identifier": "user_agent_id", "experimentalCsv": True}, ["vec:81", "net:1,2"]),
        ({"identifier": "user_account_id", "compartmentId": "1042", "experimentalCsv": True}, ["crm-77", "a b"]),
        ({"experimentalCsv": True}, HASHES),
    ],
)
def test_every_kind_of_identifier_arrives_as_it_was(box: Sandbox, settings: dict[str, Any], values: list[str]):
    connector = connect(box, **settings)
    delivery, parts = planned(box, connector, additions(values))
    assert all(connector.rule_for(connector.config.settings["identifier"]).accepts(value) for value in values)
    MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    assert members(box, delivery.segment) == set(values)
    assert clean(box)


def test_csv_takes_no_identifier_with_a_quote(box: Sandbox):
    chosen = {"identifier": "user_agent_id"}
    assert connect(box, **chosen).rule_for("user_agent_id").accepts('vec:"8"')
    assert not connect(box, **chosen, experimentalCsv=True).rule_for("user_agent_id").accepts('vec:"8"')


def test_a_chosen_priority_is_sent_with_the_import(box: Sandbox):
    connector = connect(box, priority="HIGH")
    delivery, parts = planned(box, connector)
    MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    assert state_of(box)["imports"][0]["priority"] == "HIGH"


def test_an_import_takes_no_more_executions_than_set_even_if_every_file_is_sent_twice(box: Sandbox):
    connector = connect(box, maxPartLines=10, maxExecutionsPerImport=4)
    delivery, parts = planned(box, connector)
    MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    assert [i["name"] for i in state_of(box)["imports"]] == [import_name(delivery, 1), import_name(delivery, 2)]
    assert members(box, delivery.segment) == set(HASHES)


def test_an_import_that_is_gone_is_made_anew_once(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "import_gone")
    states = MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)
    assert states[0].status is RemoteStatus.SUCCEEDED
    switch(box, "import_gone", "1")
    with pytest.raises(RemoteMissing):
        connector.send_part(delivery, replace(parts[0], memory={}), RecordingJournal(box.context.clock))
    assert len(state_of(box)["imports"]) == 2


def test_import_names_are_unique_bounded_and_dated(box: Sandbox):
    delivery, _ = planned(box, connect(box))
    other = replace(delivery, key="another delivery")
    names = {import_name(delivery, 1), import_name(delivery, 2), import_name(other, 1)}
    assert len(names) == 3
    for name in names:
        assert len(name) <= 120
        assert f"{delivery.planned_at:%Y-%m-%dT%H:%MZ} run 1 " in name


def test_a_file_over_the_servers_limit_is_told_apart(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "m4.413")
    with pytest.raises(TooLarge):
        connector.send_part(delivery, parts[0], RecordingJournal(box.context.clock))


def test_a_conflict_with_another_import_waits(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "m4.409")
    with pytest.raises(Transient) as waiting:
        connector.send_part(delivery, parts[0], RecordingJournal(box.context.clock))
    assert waiting.value.retry_after == 60


def test_a_file_that_is_refused_at_once_is_permanent_with_the_vendors_reference(box: Sandbox):
    connector = connect(box)
    delivery, _ = planned(box, connector)
    with pytest.raises(Permanent) as refused:
        connector.send_part(delivery, FilePayload(b"[]\n", lines=1, adds=1), RecordingJournal(box.context.clock))
    assert refused.value.reference


# --- lost answers


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


# --- how executions end


def test_failed_lines_are_sent_once_more_and_then_stand_with_their_report(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial", "1")
    switch(box, "partial_lines", "3")
    engine = MiniEngine(connector, box.context.clock.advance)
    first, second = engine.deliver(delivery, parts)[0], engine.deliver(delivery, parts)[0]
    for state in (first, second):
        assert (state.status, state.accepted, state.refused) == (RemoteStatus.PARTIAL, 37, 3)
        assert state.report is not None
        assert state.report.count(b"\n") == 3
        assert state.next_step
        assert not state.suspect
    assert first.resend
    assert not second.resend
    assert "again" in str(second.details)
    assert clean(box)


def test_an_error_file_that_cannot_be_had_changes_nothing_else(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial")
    switch(box, "m7.500", "1")
    state = MiniEngine(connector, box.context.clock.advance).deliver(delivery, parts)[0]
    assert (state.status, state.refused, state.report) == (RemoteStatus.PARTIAL, 1, None)
    assert "could not be fetched" in str(state.details)


@pytest.mark.parametrize("trouble", ["m7.500", "m7.429"])
def test_an_error_file_out_of_reach_for_a_moment_is_fetched_at_a_later_look(box: Sandbox, trouble: str):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial")
    switch(box, trouble, "2x")
    MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    for _ in range(2):
        waiting = looked_at(box, connector, delivery, parts[0], 120)
        assert (waiting.status, waiting.resend, waiting.report) == (RemoteStatus.RUNNING, False, None)
        assert "error file" in str(waiting.details)
    state = looked_at(box, connector, delivery, parts[0], 120)
    assert (state.status, state.refused, state.resend) == (RemoteStatus.PARTIAL, 1, True)
    assert state.report


def test_the_error_file_of_a_job_that_ended_before_its_answer_was_found_is_fetched_too(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "partial")
    switch(box, "m4.drop_after")
    journal = RecordingJournal(box.context.clock, dict(parts[0].memory), dict(delivery.memory))
    with pytest.raises(UnknownOutcome):
        connector.send_part(delivery, parts[0], journal)
    box.context.clock.advance(60)
    assert journal.intent is not None
    found = connector.reconcile_part(delivery, parts[0], journal.intent, frozenset())
    assert isinstance(found, Found)
    assert not found.value.status.is_final, "its error file is still to be fetched"
    remember(parts[0], found.value)
    state = looked_at(box, connector, delivery, parts[0], 5)
    assert state.status is RemoteStatus.PARTIAL
    assert state.report


def test_removals_that_the_vendor_counts_as_failed_again_are_only_a_warning(box: Sandbox):
    switch(box, "delete_absent_fails", "1")
    connector = connect(box)
    delivery, parts = planned(box, connector, [(Op.REMOVE, value) for value in HASHES])
    engine = MiniEngine(connector, box.context.clock.advance)
    first = remember(parts[0], engine.deliver(delivery, parts)[0])
    assert (first.status, first.refused, first.resend) == (RemoteStatus.PARTIAL, 40, True)
    second = engine.deliver(delivery, parts)[0]
    assert (second.status, second.accepted, second.refused) == (RemoteStatus.SUCCEEDED, 40, 0)
    assert "counted 40 of 40 removals as failed" in second.suspect
    assert second.counters["total_failure"] == 40


def test_removals_of_which_some_failed_are_sent_once_more(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    engine = MiniEngine(connector, box.context.clock.advance)
    engine.deliver(delivery, parts)
    leavers = delivery_context(delivery.segment, delivery.identifier, box.context.clock, number=2)
    (part,) = make_parts(connector, leavers, [(Op.REMOVE, value) for value in HASHES])
    switch(box, "partial")
    switch(box, "partial_lines", "3")
    first = remember(part, engine.deliver(leavers, [part])[0])
    assert (first.resend, len(members(box, delivery.segment))) == (True, 3)
    assert engine.deliver(leavers, [part])[0].status is RemoteStatus.SUCCEEDED
    assert members(box, delivery.segment) == set()


@pytest.mark.parametrize("ending", sorted(ENDED_BADLY))
def test_bad_endings_are_told_and_can_be_sent_again(box: Sandbox, ending: str):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, ending)
    engine = MiniEngine(connector, box.context.clock.advance)
    state = engine.deliver(delivery, parts)[0]
    assert state.status is ENDED_BADLY[ending]
    assert state.details
    assert not state.resend
    assert members(box, delivery.segment) == set()
    assert engine.deliver(delivery, parts)[0].status is RemoteStatus.SUCCEEDED
    assert members(box, delivery.segment) == set(HASHES)


@pytest.mark.parametrize("word", ["success", "waiting", "scheduled"])
def test_the_vendors_other_words_are_understood(box: Sandbox, word: str):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, word)
    engine = MiniEngine(connector, box.context.clock.advance)
    begun = engine.send(delivery, parts[0])
    assert begun.status is RemoteStatus.QUEUED
    assert engine.follow(delivery, parts[0], begun).status is RemoteStatus.SUCCEEDED


def test_a_job_that_does_not_respond_may_recover(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "not_responding")
    MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    stalled = looked_at(box, connector, delivery, parts[0], 3.5)
    assert (stalled.status, stalled.raw) == (RemoteStatus.STALLED, "EXECUTOR_NOT_RESPONDING")
    recovered = looked_at(box, connector, delivery, parts[0], 60)
    assert recovered.status is RemoteStatus.SUCCEEDED
    assert parts[0].memory["stalled_since"] is None


def test_a_job_that_does_not_respond_for_two_hours_has_failed(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    switch(box, "not_responding")
    switch(box, "hold", "running")
    MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    assert looked_at(box, connector, delivery, parts[0], 3).status is RemoteStatus.STALLED
    assert looked_at(box, connector, delivery, parts[0], 7_190).status is RemoteStatus.STALLED
    assert looked_at(box, connector, delivery, parts[0], 11).status is RemoteStatus.FAILED


def test_a_job_that_the_list_does_not_show_is_unknown_and_asked_for_again(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    switch(box, "hide_executions")
    assert looked_at(box, connector, delivery, parts[0], 5).status is RemoteStatus.UNKNOWN
    assert looked_at(box, connector, delivery, parts[0], 5).status is RemoteStatus.SUCCEEDED


def test_looks_start_after_five_seconds_and_stay_under_a_minute(box: Sandbox):
    connector = connect(box)
    waits = [connector.next_poll(0.0, polls) for polls in range(20)]
    assert waits[0] == 5
    assert 6.75 <= waits[1] <= 7.5
    assert all(54 <= wait <= 60 for wait in waits[8:])
    assert connector.next_poll(0.0, 5_000) <= 60
    assert connect(box, pollFirstSeconds=0, pollMaxSeconds=0).next_poll(9.0, 3) == 0


# --- cancelling


def test_a_waiting_job_can_be_cancelled_and_nothing_of_it_is_applied(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    begun = MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    ended = connector.cancel_part(delivery, parts[0].ref(begun, None))
    assert (ended.status, ended.raw) == (RemoteStatus.CANCELLED, "CANCELED")
    box.context.clock.advance(60)
    assert members(box, delivery.segment) == set()
    assert clean(box)


def test_a_running_job_is_not_asked_to_stop(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    begun = MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    box.context.clock.advance(2.5)
    assert connector.cancel_part(delivery, parts[0].ref(begun, None)).status is RemoteStatus.RUNNING
    assert asked(box, "POST", "/action") == 0


@pytest.mark.parametrize("trouble", ["m6.drop_after", "m6.drop_before", "m6.409", "m6.ok_error"])
def test_cancelling_tells_what_really_happened(box: Sandbox, trouble: str):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    begun = MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    switch(box, trouble)
    after = connector.cancel_part(delivery, parts[0].ref(begun, None))
    was_done = trouble in ("m6.drop_after", "m6.ok_error")
    assert after.status is (RemoteStatus.CANCELLED if was_done else RemoteStatus.QUEUED)


# --- history, estimate


def test_history_shows_executions_newest_first_and_of_one_segment_only_its_own(box: Sandbox):
    connector = connect(box, maxPartLines=20, pageSize=1)
    engine = MiniEngine(connector, box.context.clock.advance)
    delivery, parts = planned(box, connector)
    engine.deliver(delivery, parts)
    entries = list(connector.history(delivery.segment))
    assert [entry.lines for entry in entries] == [20, 20]
    assert entries[0].created_at is not None
    assert entries[1].created_at is not None
    assert entries[0].created_at > entries[1].created_at
    assert all(entry.state.status is RemoteStatus.SUCCEEDED and entry.updated_at for entry in entries)
    assert len(list(connector.history(None))) == 2
    assert list(connector.history(replace(delivery.segment, technical_name="aud_k7q2_1"))) == []


def test_an_estimate_is_what_the_file_really_takes(box: Sandbox):
    connector = connect(box, maxPartLines=15)
    rows = sorted(additions(HASHES[:30]) + [(Op.REMOVE, value) for value in HASHES[30:]])
    delivery, parts = planned(box, connector, rows)
    estimate = connector.estimate(delivery, Totals(40, 30, 0, 10, 0), 64.0)
    assert (estimate.parts, estimate.lines) == (len(parts), 40)
    assert estimate.bytes == sum(part.bytes for part in parts)
    nothing = connector.estimate(delivery, Totals(40, 0, 0, 0, 40), 64.0)
    assert (nothing.parts, nothing.calls, nothing.seconds) == (0, 0, 0)
