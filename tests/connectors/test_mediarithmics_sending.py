"""mediarithmics: imports and their files, and that members arrive, stay and leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import RemoteStatus
from audsync_web.vendors.connectors.errors import Permanent, RemoteMissing, TooLarge, Transient
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.mediarithmics.imports import import_name

from .fakes import RecordingJournal
from .mediarithmics_kit import HASHES, clean, connect, members, planned, state_of, switch
from .mini_engine import MiniEngine
from .parts import FilePayload, additions


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
