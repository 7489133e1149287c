"""Anonymised: an upload is followed to its end, in both vocabularies of the vendor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS, DEMO_SETTINGS
from audsync_web.vendors.connectors.anonymised import AnonymisedConnector, wire
from audsync_web.vendors.connectors.base import Found, Intent, RemoteState, RemoteStatus, SegmentRef
from audsync_web.vendors.connectors.errors import Transient

from .anonymised_kit import Bench
from .canned_server import Canned, CannedServer
from .fakes import MovableClock, services
from .given import account_config, delivery_context
from .parts import FilePayload


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
    ("polls", "seconds"), [(0, 5), (1, 7.5), (2, 11.25), (20, 60)], ids=["first", "second", "third", "late"]
)
def test_looks_come_after_five_seconds_and_then_ever_more_slowly(bench: Bench, polls: int, seconds: float):
    connector = bench.connect(pollFirstSeconds=5, pollMaxSeconds=60)
    assert connector.poll_step(polls) == seconds
    waits = {connector.next_poll(0, polls) for _ in range(20)}
    assert all(seconds * 0.9 <= wait <= seconds for wait in waits)
    assert len(waits) == 1 if polls == 0 else len(waits) > 1, "later looks are spread by jitter"
