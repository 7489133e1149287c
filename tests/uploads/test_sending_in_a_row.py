"""Batches whose answer is their end go out in a row; what is counted and who is let in stays right."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.jobs.models import Quota
from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Token
from audsync_web.vendors.runtime import DatabaseTokens
from segments.services import segment_create
from tests.api_world import upload
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from uploads.models import Delivery, PartStatus

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_small_batches_are_all_counted_and_leave_the_workspace_free(
    box: Sandbox, actor: Actor, api: Client
) -> None:
    connect(box, actor, "synerise", identifier="custom_id", batchItems=3, sampleSize=0, graceMinutes=0)
    segment = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    run_until_quiet()
    members = [f"crm-{number:03d}" for number in range(40)]
    assert upload(api, segment, "\n".join(("custom_id", *members, ""))).status_code == 201
    run_until_quiet(wait=5)
    delivery = Delivery.objects.get()
    assert delivery.status == "completed", delivery.error_text
    assert (delivery.accepted, delivery.refused, delivery.wire_lines) == (40, 0, 40)
    assert delivery.parts_done == delivery.parts_total == 14
    assert set(delivery.parts.values_list("status", flat=True)) == {PartStatus.ACKNOWLEDGED}
    assert not Quota.objects.exclude(holder="").exists()
    assert delivery.planned_at is not None
    assert delivery.first_sent_at is not None
    assert delivery.last_sent_at is not None
    assert delivery.planned_at <= delivery.first_sent_at <= delivery.last_sent_at


def test_a_token_that_another_worker_renewed_is_found_once_the_vendor_refuses_the_old_one() -> None:
    def login(value: str) -> Token:
        return Token(value, timezone.now() + timedelta(minutes=5))

    mine, other = DatabaseTokens(), DatabaseTokens()
    assert mine.renew("key", None, lambda: login("first")) == "first"
    assert other.renew("key", "first", lambda: login("second")) == "second"
    assert mine.current("key") == "first"
    assert mine.renew("key", "first", lambda: login("third")) == "second"
    assert mine.current("key") == "second"
