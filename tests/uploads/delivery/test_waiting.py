"""What waits for somebody else's trouble says so, and goes on by itself once that is mended."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from audsync_web.people.models import Company
from audsync_web.vendors.models import AccountStatus, VendorAccount
from segments import housekeeping
from segments.models import Destination, DestinationStatus
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads.delivery import waiting
from uploads.models import Delivery, DeliveryStatus, UploadStatus
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
    VendorAccount.objects.update(**TROUBLE)
    waiting.flag_waiting_for_accounts()
    end(queued)
    queued.refresh_from_db()
    assert (queued.status, queued.error_text, queued.attention_since) == (DeliveryStatus.CANCELLED, "", None)
    assert (queued.finished_at is not None, queued.next_action_at) == (True, None)
