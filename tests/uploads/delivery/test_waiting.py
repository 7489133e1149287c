"""What waits for somebody else's trouble says so, and goes on by itself once that is mended."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from audsync_web.jobs.kinds import kind_named
from audsync_web.jobs.leases import Lease
from audsync_web.people.models import Company
from audsync_web.vendors.models import AccountStatus, VendorAccount
from segments import housekeeping
from segments.models import Destination, DestinationStatus
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads.delivery import waiting
from uploads.delivery.finishing import STOPPED_BY_A_PERSON, end_delivery
from uploads.delivery.job import BEHIND_ANOTHER
from uploads.models import Delivery, DeliveryStatus, Part, PartStatus, UploadStatus
from uploads.services import delivery_request_cancel

pytestmark = pytest.mark.django_db

TROUBLE = {"status": AccountStatus.NEEDS_ATTENTION, "error_text": "The password is wrong.", "next_step": "Correct it."}


def test_deliveries_and_destinations_say_what_is_wrong_with_their_account_and_go_on_once_it_works(
    company: Company,
) -> None:
    destination = make_destination(make_segment(company))
    upload = make_upload(destination.segment, UploadStatus.DELIVERING)
    queued = make_delivery(upload, destination, DeliveryStatus.QUEUED)
    sending = make_delivery(upload, make_destination(destination.segment), DeliveryStatus.SENDING, is_live=True)
    Destination.objects.filter(pk=destination.pk).update(status=DestinationStatus.PUBLISHING)
    VendorAccount.objects.update(**TROUBLE)
    waiting.flag_waiting_for_accounts()
    housekeeping.flag_waiting_for_accounts()
    for job in (queued, destination):
        job.refresh_from_db()
        assert (job.status, job.next_step) == ("needs attention", "Correct it.")
        assert job.error_text == f"{destination.vendor_account.name}: The password is wrong."
        assert job.attention_since is not None
    upload.refresh_from_db()
    assert "needs attention" in upload.details
    VendorAccount.objects.update(status=AccountStatus.OK)
    waiting.flag_waiting_for_accounts()
    housekeeping.flag_waiting_for_accounts()
    for job, word in ((queued, DeliveryStatus.QUEUED), (destination, DestinationStatus.PUBLISHING)):
        job.refresh_from_db()
        assert (job.status, job.error_text, job.attention_since) == (word, "", None)
        assert job.next_action_at is not None
        assert job.next_action_at <= timezone.now()
    sending.refresh_from_db()
    assert (sending.status, sending.next_action_at) == (DeliveryStatus.SENDING, None)


def test_a_delivery_to_a_destination_that_could_not_be_made_waits_for_it_and_says_so(company: Company) -> None:
    destination = make_destination(make_segment(company))
    queued = make_delivery(make_upload(destination.segment, UploadStatus.DELIVERING), destination, "queued")
    Destination.objects.update(status=DestinationStatus.FAILED, remote_id="")
    waiting.flag_waiting_for_failed_destinations()
    queued.refresh_from_db()
    assert (queued.status, queued.error_code) == ("needs attention", "destination_failed")
    Destination.objects.update(status=DestinationStatus.CREATED, remote_id="remote-1")
    waiting.flag_waiting_for_failed_destinations()
    queued.refresh_from_db()
    assert (queued.status, queued.error_code) == ("queued", "")


def cancel(delivery: Delivery) -> None:
    delivery_request_cancel(delivery)


def remove_destination(delivery: Delivery) -> None:
    Destination.objects.update(status=DestinationStatus.RELEASED)
    waiting.end_for_removed_destinations()


@pytest.mark.parametrize("end", [cancel, remove_destination])
def test_what_a_delivery_waited_for_is_not_told_as_the_reason_of_its_end(
    company: Company, end: Callable[[Delivery], None]
) -> None:
    destination = make_destination(make_segment(company))
    queued = make_delivery(make_upload(destination.segment, UploadStatus.DELIVERING), destination, "queued")
    Delivery.objects.update(details=BEHIND_ANOTHER)
    VendorAccount.objects.update(**TROUBLE)
    waiting.flag_waiting_for_accounts()
    end(queued)
    queued.refresh_from_db()
    assert BEHIND_ANOTHER not in queued.details
    assert (queued.status, queued.error_text, queued.attention_since) == (DeliveryStatus.CANCELLED, "", None)
    assert (queued.finished_at is not None, queued.next_action_at) == (True, None)


@pytest.mark.parametrize(
    ("said", "told"),
    [("", STOPPED_BY_A_PERSON["error_text"]), ("The vendor refused the list.", "The vendor refused the list.")],
)
def test_what_a_person_stopped_half_way_says_so_unless_the_vendor_has_said_why(
    company: Company, said: str, told: str
) -> None:
    destination = make_destination(make_segment(company))
    now = timezone.now()
    counts = {"members": 4, "adds": 4, "sent": 4, "parts_total": 2, "planned_at": now, "cancel_requested_at": now}
    upload = make_upload(destination.segment, UploadStatus.DELIVERING)
    made = make_delivery(upload, destination, DeliveryStatus.SENDING, is_live=True, lease_owner="us", **counts)
    Part.objects.create(delivery=made, number=1, adds=2, status=PartStatus.ACKNOWLEDGED, accepted=2, refused=0)
    Part.objects.create(
        delivery=made, number=2, adds=2, status=PartStatus.FAILED if said else PartStatus.CANCELLED, details=said
    )
    end_delivery(Lease(kind_named("uploads.delivery"), made.pk, "us"), made)
    made.refresh_from_db()
    assert (made.status, made.error_text, made.accepted) == (DeliveryStatus.PARTIAL, told, 2)
    assert made.next_step
