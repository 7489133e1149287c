"""Synerise: keys, tokens, identifiers, tags, planning."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Found, Intent, Nothing, Totals
from audsync_web.vendors.connectors.errors import (
    AuthenticationFailed,
    InvalidConfiguration,
    Permanent,
    RemoteMissing,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.synerise import SyneriseConnector
from uploads.engine import lines as ln
from uploads.engine.scanning import misfits

from .contract import ConnectorContract
from .given import account_config, delivery_context, segment_spec
from .mini_engine import MiniEngine
from .parts import FilePayload, additions, make_parts
from .synerise_support import (
    MEMBERS,
    UUID,
    asked,
    connect,
    control,
    deliver,
    made,
    members_of,
    switch,
    violations,
)


class TestSyneriseContract(ConnectorContract):
    vendor = "synerise"
    wrong_credentials = {"apiKey": "wrong-synerise-key"}
    members = MEMBERS
    switches = {"unknown_status": None}
    effects = {"create": ["create"], "publish": [], "send": ["batch"]}


# --- keys and tokens


def test_a_token_is_got_once_and_shared(box: Sandbox):
    connector = connect(box)
    connector.check()
    segment = made(connector)
    deliver(box, connector, segment, additions(MEMBERS))
    assert box.vendors["synerise"].state()["logins"] == 1


def test_a_token_that_ends_in_mid_delivery_is_renewed_once_and_nothing_is_sent_twice(box: Sandbox):
    connector = connect(box, batchItems=10)
    segment = made(connector)
    delivery = delivery_context(segment, "custom_id", box.context.clock, days=None)
    parts = make_parts(connector, delivery, additions(MEMBERS))
    engine = MiniEngine(connector, box.context.clock.advance)
    engine.deliver(delivery, parts[:2])
    switch(box, "expire_token")
    engine.deliver(delivery, parts[2:])
    assert members_of(box, segment.remote_id) == set(MEMBERS)
    state = box.vendors["synerise"].state()
    assert state["logins"] == 2
    assert len(state["batches"]) == 4
    assert violations(box) == []


@pytest.mark.parametrize(("opaque", "life", "after"), [("0", 3600, 2890), ("0", 60, 31), ("1", 3600, 2890)])
def test_a_token_is_renewed_before_it_ends(box: Sandbox, opaque: str, life: int, after: int):
    switch(box, "opaque_tokens", opaque)
    switch(box, "token_seconds", str(life))
    connector = connect(box)
    connector.check()
    connector.check()
    assert box.vendors["synerise"].state()["logins"] == 1
    box.context.clock.advance(after)
    connector.check()
    assert box.vendors["synerise"].state()["logins"] == 2
    assert [e.status for e in box.context.ledger.entries("synerise") if e.status == 401] == []


def test_a_second_refusal_is_not_answered_with_a_third_login(box: Sandbox):
    switch(box, "expire_token", "1")
    connector = connect(box)
    with pytest.raises(AuthenticationFailed):
        connector.find_segment(segment_spec())
    assert box.vendors["synerise"].state()["logins"] == 2


def test_a_missing_right_costs_at_most_one_login_and_is_told(box: Sandbox):
    connect(box).check()
    switch(box, "missing_permissions", "API_TAGS_CREATE")
    connector = connect(box)
    with pytest.raises(AuthenticationFailed) as refused:
        connector.create_segment(segment_spec())
    assert refused.value.code == "rights_missing"
    assert "API_TAGS_CREATE" in refused.value.vendor_text
    assert asked(box, "POST", "/v4/tags") == 1


def test_a_refused_address_is_told_apart_from_a_wrong_key(box: Sandbox):
    switch(box, "address_refused", "1")
    with pytest.raises(AuthenticationFailed) as refused:
        connect(box).check()
    assert refused.value.code == "address_refused"


def test_the_check_names_each_missing_permission(box: Sandbox):
    switch(box, "missing_permissions", "API_TAGS_READ,API_BATCH_EVENTS_CREATE")
    checked = connect(box).check()
    assert checked.missing == ["API_TAGS_READ"]
    assert any("API_BATCH_EVENTS_CREATE" in text for text in checked.warnings)
    assert checked.facts["Workspace"] == "Demo workspace"
    switch(box, "missing_permissions", None)
    assert not connect(box).check().missing


def test_where_permissions_cannot_be_asked_a_list_of_tags_proves_the_key(box: Sandbox):
    switch(box, "no_permission_check", "1")
    checked = connect(box).check()
    assert not checked.missing
    assert checked.warnings
    assert violations(box) == []


def test_keys_of_one_workspace_share_its_limits_where_it_is_named(box: Sandbox):
    named = connect(box, workspace="Northwind")
    assert named.quota_scope.endswith(":northwind")
    assert connect(box).quota_scope != named.quota_scope


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"tagColour": "green"}, "tagColour"),
        ({"sendEvents": True, "identifier": "phone"}, "sendEvents"),
        ({"batchItems": 1001}, "batchItems"),
        ({"maxPartBytes": 950_001}, "maxPartBytes"),
        ({"identifier": "idfa"}, "identifier"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(settings: dict[str, Any], name: str):
    with pytest.raises(InvalidConfiguration) as refused:
        account_config(SyneriseConnector, "https://x.example", {"apiKey": "k"}, settings)
    assert list(refused.value.errors) == [name]


# --- identifiers


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        ("custom_id", "crm-000184", True),
        ("custom_id", "ünïcode 日本", True),
        ("custom_id", "with\u00adhyphen", False),
        ("custom_id", "line\u2028end", False),
        ("custom_id", "emoji \U0001f600", False),
        ("custom_id", "variant\ufe0f", False),
        ("custom_id", "a\tb", False),
        ("custom_id", "", False),
        ("custom_id", ".", False),
        ("custom_id", "..", False),
        ("custom_id", "...", True),
        ("custom_id", ".7.", True),
        ("email", "rita+news@shop.example", True),
        ("email", "rita.müller@shop.example", True),
        ("email", "two@signs@shop.example", False),
        ("email", "rita@shop", False),
        ("email", "ri\u00a0ta@shop.example", False),
        ("email", "ri ta@shop.example", False),
        ("email", ".rita@shop.example", False),
        ("phone", "+48 111-222-333", True),
        ("phone", "(048) 111/222", True),
        ("phone", "12345", False),
        ("phone", "+" + "1" * 20, False),
        ("phone", "1" * 21, False),
        ("uuid", "3f2b8f0e-5f4b-4c0e-9a45-6f0d7d1f2a10", True),
        ("uuid", "3f2b8f0e5f4b4c0e9a456f0d7d1f2a10", False),
    ],
)
def test_identifiers_are_checked_as_the_vendor_does_one_by_one_and_in_blocks(kind: str, value: str, taken: bool):
    rule = SyneriseConnector.identifier_rules[kind]
    assert rule.accepts(value) is taken
    assert misfits(ln.from_text(f"crm-1\n{value}\ncrm-2\n".encode()), rule)[1] != taken


# --- tags


def test_a_tag_is_made_once_whoever_asks_and_found_by_its_name(box: Sandbox):
    connector = connect(box)
    first = connector.create_segment(segment_spec())
    assert first.remote_id == "aud-k7q2-11107"
    assert connector.create_segment(segment_spec()).memory["tagId"] == first.memory["tagId"]
    assert connector.find_segment(segment_spec()) == first
    assert connector.find_segment(segment_spec("aud_k7q2_1")) is None
    assert connector.read_segment(str(first.memory["tagId"])).remote_id == first.remote_id
    with pytest.raises(RemoteMissing):
        connector.read_segment("no-such-tag")


def test_a_tag_name_is_never_cut(box: Sandbox):
    with pytest.raises(Permanent) as refused:
        connect(box).create_segment(segment_spec("aud_k7q2_123456789012"))
    assert refused.value.code == "tag_name_too_long"
    assert asked(box, "POST", "/v4/tags") == 0


def test_a_lost_create_is_found_by_listing(box: Sandbox):
    connector, intent = connect(box), Intent("create", box.context.clock.now(), {})
    assert isinstance(connector.reconcile_segment(segment_spec(), intent), Nothing)
    switch(box, "error_after_create")
    with pytest.raises(UnknownOutcome):
        connector.create_segment(segment_spec())
    assert isinstance(connector.reconcile_segment(segment_spec(), intent), Found)


def test_a_deleted_tags_name_is_not_used_again(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    connector.release_segment(segment, "delete_tag")
    connector.release_segment(segment, "delete_tag")
    again = connector.create_segment(segment_spec(attempt=2))
    assert again.remote_id == "aud-k7q2-11107-v2"
    assert connector.create_segment(segment_spec(options={"version": 3})).remote_id.endswith("-v3")
    assert violations(box) == []


def test_publishing_needs_the_tag_and_the_linked_segmentation(box: Sandbox):
    connector = connect(box)
    assert connector.publish_segment(made(connector)).state == "published"
    linked = made(connector, "aud_k7q2_2", segmentationUuid=UUID)
    with pytest.raises(RemoteMissing):
        connector.publish_segment(linked)
    control(box, "segmentation", uuid=UUID, tags=[linked.remote_id])
    assert connector.publish_segment(linked).size == 0
    with pytest.raises(RemoteMissing):
        connector.publish_segment(replace(linked, remote_id="aud-k7q2-9"))


def test_emptying_takes_the_tag_from_everyone_in_the_linked_segmentation(box: Sandbox):
    connector = connect(box, listPageSize=7)
    segment = made(connector, segmentationUuid=UUID)
    control(box, "profiles", count=20, tags=[segment.remote_id, "other"])
    control(box, "profiles", count=5, prefix="o-", tags=["other"])
    control(box, "segmentation", uuid=UUID, tags=[segment.remote_id, "other"])
    connector.release_segment(segment, "empty")
    assert members_of(box, segment.remote_id) == set()
    assert len(members_of(box, "other")) == 25
    with pytest.raises(Permanent):
        connector.release_segment(made(connector, "aud_k7q2_3"), "empty")


# --- planning


def test_the_estimate_tells_the_hours_and_offers_a_new_version_for_many_leavers(box: Sandbox):
    connector = connect(box, requestsPerSecond=5)
    delivery = delivery_context(made(connector), "custom_id", box.context.clock)
    few = connector.estimate(delivery, Totals(100_000, 10_000, 0, 4_000, 86_000), 36.0)
    assert few.parts == 10 + 40
    assert few.calls == 10 + 8_000
    assert few.seconds == pytest.approx(1602, abs=5)
    assert few.notes == ["Taking the tag from 4,000 members goes one by one and takes about 27 minutes."]
    one = connector.estimate(delivery, Totals(100_000, 0, 0, 1, 99_999), 36.0)
    assert one.notes == ["Taking the tag from 1 member goes one by one and takes about a minute."]
    many = connector.estimate(delivery, Totals(100_000, 0, 0, 90_000, 10_000), 36.0)
    assert "10.0 hours" in many.notes[0]
    assert "new version" in many.notes[1]


@pytest.mark.parametrize(
    ("members", "leavers", "offered"), [(1000, 500, False), (1000, 501, True), (20_000, 1000, False)]
)
def test_a_new_version_is_offered_above_500_and_a_twentieth(box: Sandbox, members: int, leavers: int, offered: bool):
    connector = connect(box)
    totals = Totals(members, 0, 0, leavers, members)
    findings = connector.preflight(made(connector), "custom_id", totals)
    leaving = next(finding for finding in findings if finding.check == "leavers")
    assert bool(leaving.fix) is offered
    assert (leaving.level == "warning") is offered


def test_a_twentieth_is_of_those_who_are_there_now(box: Sandbox):
    connector = connect(box)
    segment = made(connector)
    # A file that only takes members out says nothing of the list's size.
    few = connector.preflight(segment, "custom_id", Totals(900, 0, 0, 900, 0, before=20_000))
    many = connector.preflight(segment, "custom_id", Totals(900, 0, 0, 900, 0, before=10_000))
    assert [finding.level for finding in (few[-1], many[-1])] == ["ok", "warning"]


def test_neighbours_are_asked_for_only_where_a_batch_may_replace_tags(box: Sandbox):
    wanted = [
        connect(box, **settings).asks_for_neighbours
        for settings in ({}, {"batchTags": "replace"}, {"batchTags": "add"}, {"tagWriteMode": "assign"})
    ]
    assert wanted == [True, True, False, False]


def test_preflight_sees_a_deleted_tag_and_an_unreadable_segmentation(box: Sandbox):
    connector = connect(box)
    segment = made(connector, segmentationUuid=UUID)
    assert [finding.level for finding in connector.preflight(segment, "custom_id", None)] == ["ok", "warning"]
    connector.release_segment(segment, "delete_tag")
    assert connector.preflight(segment, "custom_id", None)[0].level == "blocked"


def test_one_batch_is_in_flight_in_a_workspace(box: Sandbox):
    connector = connect(box)
    delivery = delivery_context(made(connector), "custom_id", box.context.clock)
    (gate,) = connector.gates(delivery)
    assert gate.exclusive == "call"
    assert gate.key.startswith(connector.quota_scope)


def test_a_part_remade_for_a_second_send_is_the_same(box: Sandbox):
    connector = connect(box)
    delivery = delivery_context(made(connector), "custom_id", box.context.clock)
    later = replace(delivery, memory={"looks": 3})
    box.context.clock.advance(timedelta(days=1).total_seconds())
    first, second = (make_parts(connector, one, additions(MEMBERS)) for one in (delivery, later))
    assert [part.md5 for part in first] == [part.md5 for part in second]
    assert isinstance(first[0], FilePayload)
