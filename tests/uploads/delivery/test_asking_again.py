"""A person asks for something while a worker writes down what the vendor has answered: neither undoes the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.kinds import kind_named
from audsync_web.jobs.leases import seize
from audsync_web.people.actors import Actor
from tests.factories import make_actor, make_company, make_person
from tests.postgres import OnPostgres, database, on_postgres, wait_until_somebody_waits
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads.delivery.writing import write_part
from uploads.models import Delivery, DeliveryStatus, Part, PartStatus, UploadStatus
from uploads.services import delivery_retry, upload_cancel

__all__ = ["database", "on_postgres"]

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.xdist_group("postgres"),
    pytest.mark.django_db(transaction=True),
]

Ask = Callable[[Actor, Delivery], Any]
PATIENCE = 10.0


def world() -> tuple[Actor, Delivery]:
    """A delivery of one part that the vendor has, and whose outcome is looked for."""
    company = make_company("northwind")
    actor = make_actor(make_person(company, "manager", email="mo@northwind.example"), company)
    destination = make_destination(make_segment(company), vendor="mediarithmics", identifier="email_sha256")
    upload = make_upload(destination.segment, UploadStatus.DELIVERING)
    now = timezone.now()
    fields = {"planned_at": now, "adds": 1, "sent": 1, "members": 1, "parts_total": 1, "next_action_at": now}
    made = make_delivery(upload, destination, DeliveryStatus.NEEDS_ATTENTION, is_live=True, **fields)
    intent = {"step": "send", "at": now.isoformat(), "detail": {}, "look_at": now.isoformat()}
    Part.objects.create(delivery=made, number=1, status=PartStatus.SUBMITTED, adds=1, lines=1, intent=intent)
    return actor, made


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda actor, delivery: delivery_retry(actor=actor, delivery=delivery), id="retry"),
        pytest.param(lambda actor, delivery: upload_cancel(actor=actor, upload=delivery.upload), id="cancel"),
    ],
)
def test_a_wish_that_comes_while_an_answer_is_written_waits_for_it_and_leaves_it_as_it_is(
    on_postgres: OnPostgres, ask: Ask
) -> None:
    actor, delivery = on_postgres.run(world)
    part_is_written = threading.Event()

    def work() -> None:
        lease = seize(kind_named("uploads.delivery"), delivery.pk)
        assert lease is not None
        with transaction.atomic():
            part = Part.objects.get()
            part.status, part.intent = PartStatus.ACKNOWLEDGED, None
            write_part(lease, part, ["status", "intent"])
            part_is_written.set()
            wait_until_somebody_waits()
            lease.update(parts_done=1)

    def person() -> None:
        assert part_is_written.wait(PATIENCE)
        ask(actor, Delivery.objects.get(pk=delivery.pk))

    assert on_postgres.together(work, person) == [None, None]
    part, row = on_postgres.run(lambda: (Part.objects.get(), Delivery.objects.get()))
    assert (part.status, part.intent, row.parts_done) == (PartStatus.ACKNOWLEDGED, None, 1)
