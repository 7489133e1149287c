"""An upload's own word follows from its deliveries, whoever looked first."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.vendors.models import VendorAccount
from tests.api_world import csv_of, make_segment, upload
from tests.jobs_helper import run_until_quiet
from uploads.models import Delivery, DeliveryStatus, Upload, UploadStatus

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("ended_as", "word"),
    [
        (DeliveryStatus.SUPERSEDED, UploadStatus.CANCELLED),
        (DeliveryStatus.FAILED, UploadStatus.FAILED),
        (DeliveryStatus.COMPLETED, UploadStatus.COMPLETED),
    ],
)
def test_an_upload_whose_deliveries_ended_unseen_does_not_stay_in_progress(
    api: Client, account: VendorAccount, ended_as: DeliveryStatus, word: UploadStatus
) -> None:
    made = upload(api, make_segment(api), csv_of("a1")).json()
    now = timezone.now()
    Delivery.objects.update(status=ended_as, finished_at=now, next_action_at=None)
    Upload.objects.update(status=UploadStatus.DELIVERING, next_action_at=None)
    run_until_quiet()
    row = Upload.objects.get(pk=made["id"])
    assert (row.status, row.finished_at is not None) == (word, True)


def test_an_upload_that_is_still_delivered_is_left_alone(api: Client, account: VendorAccount) -> None:
    upload(api, make_segment(api), csv_of("a1"))
    Upload.objects.update(status=UploadStatus.DELIVERING, next_action_at=None)
    Delivery.objects.update(status=DeliveryStatus.NEEDS_ATTENTION, next_action_at=None)
    run_until_quiet()
    assert Upload.objects.get().status == UploadStatus.DELIVERING
