"""Synerise as a source, and single profiles: browse, materialise, export, look up, erase."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from audsync_web.sandbox import synerise as sandbox
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.errors import (
    NotSupported,
    NotYet,
    Permanent,
    RemoteMissing,
    Transient,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.source import SnapshotExpired, SourcePage
from audsync_web.vendors.connectors.synerise import SyneriseConnector
from audsync_web.vendors.connectors.synerise.sources import duration

from .canned_server import Canned, CannedServer
from .fakes import services
from .given import account_config, segment_spec
from .parts import additions
from .synerise_support import (
    MEMBERS,
    asked,
    connect,
    control,
    deliver,
    made,
    members_of,
    removals,
    switch,
    violations,
)

DEMO = sandbox.DEMO_SEGMENTATION
EVERYBODY = [f"demo-crm-{number:06d}" for number in range(1, 251)]


def custom_ids(page: SourcePage) -> list[str]:
    return [profile.identifiers["custom_id"] for profile in page.profiles]


# --- browsing


def test_a_segmentation_is_browsed_page_by_page_to_its_end(box: Sandbox):
    connector = connect(box)
    seen: list[str] = []
    page = connector.segmentation_page(DEMO)
    while True:
        seen += custom_ids(page)
        if page.last:
            break
        page = connector.segmentation_page(DEMO, offset=len(seen))
    assert seen == EVERYBODY
    assert page.matching == 250
    assert asked(box, "GET", "/crm/v1/segmentations/{uuid}/clients") == 3
    assert violations(box) == []


def test_a_vendor_that_gives_smaller_pages_than_asked_is_read_to_the_end(box: Sandbox):
    switch(box, "list_cap", "60")
    connector = connect(box)
    first, last = connector.segmentation_page(DEMO), connector.segmentation_page(DEMO, offset=240)
    assert (len(first.profiles), first.last, last.last) == (60, False, True)


def test_what_goes_on_beside_a_delivery_waits_for_each_other(box: Sandbox):
    """One call of a delivery and one other: never more than two at a time in a workspace."""
    connector = connect(box)
    segment = made(connector)
    calls = (
        lambda: connector.segmentation_page(DEMO),
        lambda: connector.find_profile("custom_id", EVERYBODY[0]),
        lambda: connector.erase_profile(EVERYBODY[1]),
        lambda: connector.create_segment(segment_spec("aud_k7q2_2")),
        lambda: connector.preflight(segment, "custom_id", None),
        connector.check,
    )
    with connector.services.pacer.inside(f"{connector.quota_scope}:aside", places=1):
        for call in calls:
            with pytest.raises(NotYet):
                call()
        deliver(box, connector, segment, additions(MEMBERS))
        box.context.clock.advance(1)
        deliver(box, connector, segment, removals(MEMBERS[:2]), number=2)
    for call in calls:
        call()
    assert members_of(box, segment.remote_id) == set(MEMBERS[2:])


def test_a_page_is_never_larger_than_the_vendor_is_known_to_give(box: Sandbox):
    assert len(connect(box).segmentation_page(DEMO, limit=5000).profiles) == 100
    assert violations(box) == []


def test_a_segmentation_can_be_searched_and_filtered(box: Sandbox):
    connector = connect(box)
    assert custom_ids(connector.segmentation_page(DEMO, search="custom_identify:demo-crm-00024")) == EVERYBODY[239:249]
    assert connector.segmentation_page(DEMO, recognised=False).profiles == []


def test_identifiers_stay_out_of_reprs(box: Sandbox):
    assert "demo-crm" not in repr(connect(box).segmentation_page(DEMO))


def test_wrong_and_unknown_uuids_are_told_apart(box: Sandbox):
    connector = connect(box)
    with pytest.raises(Permanent) as refused:
        connector.segmentation_page("not-a-uuid")
    assert refused.value.code == "bad_uuid"
    assert box.context.ledger.entries("synerise") == []
    with pytest.raises(RemoteMissing):
        connector.segmentation_page("00000000-0000-4000-8000-000000000000")


# --- snapshots


def test_unconfirmed_calls_are_off_until_switched_on(box: Sandbox):
    connector = connect(box)
    for start in (
        lambda: connector.materialise(DEMO),
        lambda: connector.start_export(DEMO, ["email"], name="x"),
    ):
        with pytest.raises(NotSupported) as refused:
            start()
        assert refused.value.code == "endpoint_unconfirmed"
    assert box.context.ledger.entries("synerise") == []


def test_an_unconfirmed_call_that_is_not_there_says_so(box: Sandbox):
    switch(box, "unconfirmed_absent", "1")
    with pytest.raises(Permanent) as refused:
        connect(box, unconfirmedEndpoints=True).materialise(DEMO)
    assert refused.value.code == "endpoint_unconfirmed"


def test_a_materialisation_is_read_as_it_was_when_it_was_made(box: Sandbox):
    connector = connect(box, unconfirmedEndpoints=True)
    frozen = connector.materialise(DEMO)
    assert frozen.count == 250
    assert connector.erase_profile(EVERYBODY[0])
    seen: list[str] = []
    page = connector.read_materialisation(frozen)
    while True:
        seen += custom_ids(page)
        if page.last:
            break
        page = connector.read_materialisation(frozen, offset=len(seen))
    assert seen == EVERYBODY
    assert connector.segmentation_page(DEMO).matching == 249
    assert violations(box) == []
    box.context.clock.advance(90_000)
    with pytest.raises(SnapshotExpired):
        connector.read_materialisation(frozen)


def test_an_export_gives_the_chosen_kinds_whatever_was_estimated(box: Sandbox):
    switch(box, "estimate_off_by", "-100")
    connector = connect(box, unconfirmedEndpoints=True)
    task = connector.start_export(DEMO, ["custom_id", "email"], name="for-our-segment")
    assert task.estimated == 150
    assert list(task.columns) == ["id", "custom_identify", "email"]
    pages = [connector.read_export(task, limit=100, offset=offset) for offset in (0, 100, 200)]
    assert [page.last for page in pages] == [False, False, True]
    assert [one for page in pages for one in custom_ids(page)] == EVERYBODY
    assert pages[0].profiles[0].identifiers == {"custom_id": EVERYBODY[0], "email": "person-1@example.invalid"}
    assert violations(box) == []


def test_an_export_of_exactly_full_pages_ends_with_an_empty_one(box: Sandbox):
    connector = connect(box, unconfirmedEndpoints=True)
    task = connector.start_export(DEMO, ["custom_id"], name="x")
    assert not connector.read_export(task, limit=125, offset=125).last
    end = connector.read_export(task, limit=125, offset=250)
    assert end.last
    assert end.profiles == []


def test_an_export_is_read_within_its_life_or_not_at_all(box: Sandbox):
    connector = connect(box, unconfirmedEndpoints=True)
    task = connector.start_export(DEMO, ["custom_id"], name="x")
    assert (task.ends_at - box.context.clock.now()).total_seconds() == pytest.approx(90 * 60, abs=5)
    box.context.clock.advance(91 * 60)
    calls = asked(box, "GET", "/client-exporter/v2/export/clients/task/{id:int}")
    with pytest.raises(SnapshotExpired):
        connector.read_export(task)
    assert asked(box, "GET", "/client-exporter/v2/export/clients/task/{id:int}") == calls
    box.context.clock.advance(3600)
    late = replace(task, ends_at=box.context.clock.now().replace(year=2100))
    with pytest.raises(SnapshotExpired):
        connector.read_export(late)


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("45s", 45), ("1d", 86_400), ("soon", 7200), (None, 7200)]
)
def test_the_life_of_an_export_is_read(text: str | None, seconds: int):
    assert duration(text).total_seconds() == seconds


# --- profiles


def test_a_profile_is_found_by_every_kind_and_shows_its_tags(box: Sandbox):
    connector = connect(box)
    found = connector.find_profile("email", "person-7@example.invalid")
    assert found is not None
    assert found.identifiers["custom_id"] == "demo-crm-000007"
    assert list(found.tags) == [sandbox.DEMO_TAG]
    assert list(connector.profile_tags(found.profile_id).values()) == [sandbox.DEMO_TAG]
    assert "person-7" not in repr(found)
    assert connector.find_profile("custom_id", "nobody / at all?") is None
    assert violations(box) == []


def test_a_profile_is_erased_once(box: Sandbox):
    connector = connect(box)
    assert connector.erase_profile(EVERYBODY[0]) is True
    assert connector.erase_profile(EVERYBODY[0]) is False
    assert connector.find_profile("custom_id", EVERYBODY[0]) is None
    assert len(control(box, "members", segment=sandbox.DEMO_TAG)) == 249


@pytest.mark.parametrize("fault", ["drop_before_erase", "drop_after_erase", "error_after_erase"])
def test_an_erasure_whose_answer_was_lost_is_not_repeated_by_itself(box: Sandbox, fault: str):
    switch(box, fault)
    with pytest.raises(UnknownOutcome) as lost:
        connect(box).erase_profile(EVERYBODY[0])
    assert "Look the profile up first" in lost.value.next_step
    assert asked(box, "DELETE", "/v4/clients/by-custom-id/{value}") == 1


def answering(status: int, body: bytes) -> Callable[[str, str], Canned]:
    """Logs in whoever asks, and gives this answer to everything else."""
    return lambda method, path: Canned(200, b'{"token": "t"}') if "login" in path else Canned(status, body)


@pytest.mark.parametrize("call", ["find", "erase"])
@pytest.mark.parametrize("told", ["crm+7", "crm%2B7", "CRM%2b7"])
def test_what_the_vendor_says_about_a_person_is_cut_out(call: str, told: str):
    said = f'{{"status": 400, "message": "{told} is odd", "traceId": "tr-1"}}'
    with CannedServer(answering(400, said.encode())) as server:
        connector = SyneriseConnector(account_config(SyneriseConnector, server.url, {"apiKey": "k"}), services())
        with pytest.raises(Permanent) as refused:
            connector.find_profile("custom_id", "crm+7") if call == "find" else connector.erase_profile("crm+7")
    assert refused.value.vendor_text == "••• is odd"
    assert refused.value.reference == "tr-1"


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b"[]", b'{"message": "later"}'])
def test_an_answer_that_is_no_profile_is_not_taken_for_nobody(body: bytes):
    with CannedServer(answering(200, body)) as server:
        connector = SyneriseConnector(account_config(SyneriseConnector, server.url, {"apiKey": "k"}), services())
        with pytest.raises(Transient) as unread:
            connector.find_profile("custom_id", "crm-7")
    assert unread.value.code == "answer_unreadable"


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b'{"message": "later"}'])
def test_an_answer_that_is_no_list_of_tags_is_not_taken_for_none(body: bytes):
    with CannedServer(answering(200, body)) as server:
        connector = SyneriseConnector(account_config(SyneriseConnector, server.url, {"apiKey": "k"}), services())
        calls = (
            lambda: connector.read_segment("aud-1"),
            lambda: connector.find_segment(segment_spec()),
            lambda: connector.profile_tags("501"),
        )
        for call in calls:
            with pytest.raises(Transient) as unread:
                call()
            assert unread.value.code == "answer_unreadable"
