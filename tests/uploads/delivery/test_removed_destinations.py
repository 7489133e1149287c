"""Nothing waits for ever where its destination is gone, and nothing wished at a bad moment is lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from audsync_web.jobs.kinds import kind_named
from audsync_web.jobs.leases import seize
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from audsync_web.vendors import services as account_services
from audsync_web.vendors.connectors.base import AccountCheck, RemoteSegment, SegmentState
from audsync_web.vendors.models import AccountStatus
from segments import publishing
from segments.models import Destination, DestinationStatus, Wanted
from segments.services import destination_release
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads import services
from uploads.delivery import job as delivery_job
from uploads.delivery import waiting
from uploads.delivery.run import Run
from uploads.models import DeliveryStatus, Mode, UploadStatus

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_waits_for_a_removed_destination_is_cancelled(company: Company) -> None:
    destination = make_destination(make_segment(company))
    upload = make_upload(destination.segment, UploadStatus.DELIVERING)
    delivery = make_delivery(upload, destination, DeliveryStatus.QUEUED, next_action_at=timezone.now())
    Destination.objects.update(wanted=Wanted.RELEASED, release_choice="leave")
    waiting.end_for_removed_destinations()
    delivery.refresh_from_db()
    upload.refresh_from_db()
    assert (delivery.status, upload.status) == (DeliveryStatus.CANCELLED, UploadStatus.CANCELLED)


def test_an_upload_whose_destinations_were_removed_cannot_be_started(actor: Actor, company: Company) -> None:
    destination = make_destination(make_segment(company))
    upload = make_upload(destination.segment, UploadStatus.READY, hold=True, uploaded_by=actor.user)
    Destination.objects.update(status=DestinationStatus.RELEASED, wanted=Wanted.RELEASED)
    with pytest.raises(services.UploadConflict, match="removed"):
        services.upload_go(actor=actor, upload=upload)


def test_a_newer_list_supersedes_what_waits_but_not_the_removal_of_an_erased_person(
    actor: Actor, company: Company
) -> None:
    destination = make_destination(make_segment(company))
    erasing = make_upload(destination.segment, UploadStatus.DELIVERING, mode=Mode.REMOVE, origin={"erasure": "x"})
    troubled = make_upload(destination.segment, UploadStatus.DELIVERING)
    removal = make_delivery(erasing, destination, DeliveryStatus.QUEUED)
    flagged = make_delivery(troubled, destination, DeliveryStatus.NEEDS_ATTENTION)
    newer = make_upload(destination.segment, UploadStatus.READY, hold=True, uploaded_by=actor.user)
    services.upload_go(actor=actor, upload=newer)
    removal.refresh_from_db()
    flagged.refresh_from_db()
    assert (removal.status, flagged.status) == (DeliveryStatus.QUEUED, DeliveryStatus.SUPERSEDED)


def test_a_removal_that_is_asked_for_while_the_vendor_publishes_is_not_lost(actor: Actor, company: Company) -> None:
    destination = make_destination(make_segment(company))
    Destination.objects.update(wanted=Wanted.PUBLISHED, next_action_at=timezone.now())
    stale = Destination.objects.get(pk=destination.pk)
    lease = seize(kind_named("segments.destination"), destination.pk)
    assert lease is not None

    def publish(segment: Any) -> RemoteSegment:
        destination_release(actor=actor, destination=stale, choice="leave")
        return RemoteSegment(segment.remote_id, SegmentState.PUBLISHED)

    taken = Destination.objects.get(pk=destination.pk)
    publishing._publish(lease, taken, SimpleNamespace(publish_segment=publish))  # type: ignore[arg-type]
    publishing._keep_going(taken)
    row = Destination.objects.get(pk=destination.pk)
    assert (row.wanted, row.status) == (Wanted.RELEASED, DestinationStatus.PUBLISHED)
    assert row.next_action_at is not None


def test_a_delivery_whose_end_cannot_be_written_is_shown_to_people(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = make_destination(make_segment(company))
    upload = make_upload(destination.segment, UploadStatus.DELIVERING)
    delivery = make_delivery(upload, destination, DeliveryStatus.SENDING, is_live=True)
    lease = seize(kind_named("uploads.delivery"), delivery.pk)
    assert lease is not None

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(delivery_job, "end_delivery", full)
    with pytest.raises(OSError, match="no space"):
        delivery_job.crashed(lease, "abcd1234")
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attention_since is not None) == (DeliveryStatus.NEEDS_ATTENTION, True)


def test_a_delivery_that_was_cancelled_while_it_was_planned_is_not_held_until_publication(company: Company) -> None:
    destination = make_destination(make_segment(company))
    upload = make_upload(destination.segment, UploadStatus.DELIVERING)
    fields = {"is_live": True, "parts_total": 1, "next_action_at": timezone.now()}
    delivery = make_delivery(upload, destination, DeliveryStatus.PREPARING, **fields)
    lease = seize(kind_named("uploads.delivery"), delivery.pk)
    assert lease is not None
    services.delivery_request_cancel(delivery)
    held_there = SimpleNamespace(capabilities=SimpleNamespace(uploads_before_publish=False))
    assert not delivery_job._goes_on_after_planning(Run(lease, delivery, held_there))  # type: ignore[arg-type]
    delivery.refresh_from_db()
    assert (delivery.status, delivery.is_live) == (DeliveryStatus.CANCELLED, False)


def test_an_account_that_is_paused_while_its_health_is_looked_at_stays_paused(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = make_destination(make_segment(company)).vendor_account
    lease = seize(kind_named("vendors.account"), account.pk)
    assert lease is not None

    def check(*_: Any) -> AccountCheck:
        type(account).objects.update(status=AccountStatus.PAUSED, next_action_at=None)
        return AccountCheck("Signed in.")

    monkeypatch.setattr(account.connector, "check", check)
    account_services.account_advance(lease)
    account.refresh_from_db()
    assert (account.status, account.next_action_at) == (AccountStatus.PAUSED, None)
