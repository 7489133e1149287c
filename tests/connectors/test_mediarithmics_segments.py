"""mediarithmics: segments are made, found, linked and renamed, and looked at before every file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import SegmentState
from audsync_web.vendors.connectors.errors import Permanent, RemoteMissing

from .fakes import RecordingJournal
from .given import segment_spec
from .mediarithmics_kit import asked, clean, connect, fed, planned, state_of


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
