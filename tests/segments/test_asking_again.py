"""A person asks for something while a worker stores what a vendor has made: neither stops nor undoes the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from audsync_web.jobs.kinds import kind_named
from audsync_web.jobs.leases import seize
from audsync_web.people.actors import Actor
from audsync_web.vendors.connectors.base import RemoteSegment, SegmentState
from segments import publishing
from segments.models import Destination, DestinationStatus, Wanted
from segments.services import destination_release, destination_retry, segment_publish
from tests.factories import make_actor, make_company, make_person
from tests.postgres import OnPostgres, database, on_postgres, wait_until_somebody_waits
from tests.uploads.kit import make_destination, make_segment

__all__ = ["database", "on_postgres"]

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.xdist_group("postgres"),
    pytest.mark.django_db(transaction=True),
]

Ask = Callable[[Actor, Destination], Any]
PATIENCE = 10.0


def world() -> tuple[Actor, Destination]:
    """A destination whose segment is being made at the vendor, after a fault."""
    company = make_company("northwind")
    actor = make_actor(make_person(company, "manager", email="mo@northwind.example"), company)
    made = make_destination(make_segment(company), vendor="mediarithmics", identifier="email_sha256")
    Destination.objects.update(remote_id="", published_at=None, status=DestinationStatus.NEEDS_ATTENTION)
    made.refresh_from_db()
    return actor, made


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        pytest.param(
            lambda actor, one: segment_publish(actor=actor, segment=one.segment), Wanted.PUBLISHED, id="publish"
        ),
        pytest.param(lambda actor, one: destination_retry(actor=actor, destination=one), None, id="retry"),
        pytest.param(
            lambda actor, one: destination_release(actor=actor, destination=one), Wanted.RELEASED, id="remove"
        ),
    ],
)
def test_a_wish_that_comes_while_a_segment_is_stored_waits_for_it_and_leaves_it_as_it_is(
    on_postgres: OnPostgres, monkeypatch: pytest.MonkeyPatch, ask: Ask, wanted: Wanted | None
) -> None:
    actor, destination = on_postgres.run(world)
    segment_is_held = threading.Event()
    refuse_held_beside = publishing._refuse_held_beside

    def hold(*found: Any) -> None:
        refuse_held_beside(*found)
        segment_is_held.set()
        wait_until_somebody_waits()

    monkeypatch.setattr(publishing, "_refuse_held_beside", hold)

    def work() -> None:
        lease = seize(kind_named("segments.destination"), destination.pk)
        assert lease is not None
        remote = RemoteSegment("5001", SegmentState.CREATED)
        publishing._store_created(lease, Destination.objects.get(pk=destination.pk), remote)

    def person() -> None:
        asked = Destination.objects.select_related("segment__company", "vendor_account").get(pk=destination.pk)
        assert segment_is_held.wait(PATIENCE)
        ask(actor, asked)

    assert on_postgres.together(work, person) == [None, None]
    row = on_postgres.run(lambda: Destination.objects.get())
    assert (row.remote_id, row.intent) == ("5001", None)
    assert row.wanted == (wanted or destination.wanted)
