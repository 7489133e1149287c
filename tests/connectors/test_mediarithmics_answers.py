"""mediarithmics: successes that are errors, answers without data, lists and counters in every form."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from audsync_web.sandbox.mediarithmics import DEMO_CREDENTIALS
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Found, Intent, RemoteStatus
from audsync_web.vendors.connectors.errors import Permanent, Transient, UnknownOutcome
from audsync_web.vendors.connectors.mediarithmics import MediarithmicsConnector
from audsync_web.vendors.connectors.mediarithmics.api import cut

from .canned_server import Canned, CannedServer
from .fakes import services
from .given import segment_spec
from .mediarithmics_kit import HASHES, clean, connect, members, planned, switch
from .mini_engine import MiniEngine


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


def test_an_answer_whose_data_is_of_another_shape_leaves_an_effect_unknown(box: Sandbox):
    odd = Canned(200, json.dumps({"status": "ok", "data": [{"id": "5120"}]}).encode())
    with CannedServer(odd) as server:
        connector = MediarithmicsConnector(
            replace(connect(box).config, base_url=server.url), services(box.context.clock)
        )
        with pytest.raises(UnknownOutcome):
            connector._segments.create(segment_spec())
        with pytest.raises(Transient):
            connector.read_segment("90211")
