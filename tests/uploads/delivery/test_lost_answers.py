"""A vendor that loses one answer after another is looked into each time, and is not sent the same part without end."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.jobs.kinds import kind_named
from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.faults import FIRST_BACKOFF, SLOW_RETRY
from segments import publishing
from segments.models import Destination, DestinationStatus
from tests.api_world import make_segment, upload
from tests.jobs_helper import run_due, run_until_quiet
from tests.sandbox_accounts import connect, hurry
from uploads.delivery import sending
from uploads.models import Delivery, DeliveryStatus, Part

pytestmark = pytest.mark.django_db(transaction=True)

HASHES = [hashlib.sha256(f"person{number}@mail.example".encode()).hexdigest() for number in range(3)]
TRIES = 6


@pytest.fixture
def mediarithmics(box: Sandbox, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """An account at mediarithmics, and no time between two looks."""
    for module in (sending, publishing):
        monkeypatch.setattr(module, "SECOND_LOOK", timedelta(0))
    hurry(box, "mediarithmics")
    connect(box, actor, "mediarithmics", identifier="email_sha256")
    return box


def step(kind: str, rows: Any) -> None:
    """Give a job its next slice, as if its hour had come."""
    rows.filter(finished_at=None).update(next_action_at=timezone.now())
    run_due(kind_named(kind))


def wait_between(before: datetime, after: datetime, row: Delivery) -> tuple[float, float]:
    """The seconds until the next try, counted from before and from after the step that chose its moment."""
    assert row.next_action_at is not None
    return (row.next_action_at - before).total_seconds(), (row.next_action_at - after).total_seconds()


def posts(box: Sandbox, ending: str) -> int:
    entries = box.context.ledger.entries("mediarithmics")
    return sum(1 for entry in entries if entry.method == "POST" and entry.path.endswith(ending))


def test_a_part_that_is_lost_every_time_needs_attention_after_six_tries(mediarithmics: Sandbox, api: Client) -> None:
    segment = make_segment(api)
    run_until_quiet()
    mediarithmics.context.faults.set("mediarithmics.m4.500", "1")
    upload(api, segment, "\n".join(["email_sha256", *HASHES, ""]))
    run_until_quiet(kinds=("uploads.inspection",))
    waits: list[tuple[float, float]] = []
    for _ in range(60):
        before = timezone.now()
        step("uploads.delivery", Delivery.objects)
        row = Delivery.objects.get()
        if row.attempts > len(waits):
            waits.append(wait_between(before, timezone.now(), row))
        if row.status == DeliveryStatus.NEEDS_ATTENTION:
            break
    assert (row.status, row.error_code, posts(mediarithmics, "/executions")) == ("needs attention", "lost", TRIES)
    assert "Chosen fault" in row.vendor_text
    for number, (most, least) in enumerate(waits[:-1]):
        longest = FIRST_BACKOFF * 2**number
        assert most >= longest / 2, "each wait is about twice the one before"
        assert least <= longest
    assert waits[-1][0] >= SLOW_RETRY

    mediarithmics.context.faults.set("mediarithmics.m4.500", None)
    step("uploads.delivery", Delivery.objects)
    run_until_quiet(wait=8)
    row.refresh_from_db()
    assert (row.status, row.error_text, row.attempts) == ("completed", "", 0)
    assert Part.objects.get().status == "acknowledged"


def test_a_segment_that_is_lost_every_time_needs_attention_after_six_tries(mediarithmics: Sandbox, api: Client) -> None:
    mediarithmics.context.faults.set("mediarithmics.m9.500", "1")
    make_segment(api)
    for _ in range(60):
        step("segments.destination", Destination.objects)
        row = Destination.objects.get()
        if row.status == DestinationStatus.NEEDS_ATTENTION:
            break
    assert (row.status, row.error_code, posts(mediarithmics, "/audience_segments")) == (
        "needs attention",
        "lost",
        TRIES,
    )
    mediarithmics.context.faults.set("mediarithmics.m9.500", None)
    step("segments.destination", Destination.objects)
    run_until_quiet(wait=8)
    row.refresh_from_db()
    assert (row.status, row.error_text, row.attempts) == ("created", "", 0)
