"""Xandr: segments are made, found, linked, renamed and left, on both of the vendor's hosts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Found, Intent, RemoteStatus, SegmentState
from audsync_web.vendors.connectors.errors import Permanent, RemoteMissing

from .given import segment_ref, segment_spec
from .xandr_kit import USERS, asked, connect, control, deliver, live_segment, members, switch, vendor, violations


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
