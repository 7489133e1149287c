"""An upload's own word follows from its deliveries, whoever looked first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from tests.api_world import BASE, csv_of, make_segment, upload
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from uploads.models import Delivery, DeliveryStatus, Upload, UploadStatus
from uploads.settling import upload_settle

from . import kit

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


def test_a_word_that_changes_after_the_end_has_the_moment_of_that(company: Company) -> None:
    """A held delivery that a newer file takes the place of was not in its place before."""
    segment = kit.make_segment(company)
    made = kit.make_upload(segment)
    long_ago = timezone.now() - timedelta(hours=3)
    Upload.objects.update(finished_at=long_ago)
    made.refresh_from_db()
    kit.make_delivery(made, kit.make_destination(segment), "completed")
    held = kit.make_delivery(made, kit.make_destination(segment, "mediarithmics", "email_sha256"), "staged")
    upload_settle(made)
    made.refresh_from_db()
    assert (made.status, made.finished_at) == (UploadStatus.COMPLETED, long_ago)
    Delivery.objects.filter(pk=held.pk).update(status=DeliveryStatus.SUPERSEDED, finished_at=timezone.now())
    upload_settle(made)
    made.refresh_from_db()
    assert made.status == UploadStatus.PARTIAL
    assert made.finished_at is not None
    assert made.finished_at > long_ago


def test_an_upload_that_is_still_delivered_is_left_alone(api: Client, account: VendorAccount) -> None:
    upload(api, make_segment(api), csv_of("a1"))
    Upload.objects.update(status=UploadStatus.DELIVERING, next_action_at=None)
    Delivery.objects.update(status=DeliveryStatus.NEEDS_ATTENTION, next_action_at=None)
    run_until_quiet()
    assert Upload.objects.get().status == UploadStatus.DELIVERING


def test_a_refusal_is_shown_with_the_vendors_words_and_reference(api: Client, company: Company) -> None:
    destination = kit.make_destination(kit.make_segment(company), "mediarithmics", "email_sha256")
    made = kit.make_upload(destination.segment, UploadStatus.FAILED)
    told = {"error_text": "The vendor refused with status 400.", "next_step": "Mend the file."}
    kit.make_delivery(made, destination, "failed", vendor_text="bad file (reference 4f0c)", **told)
    path = f"{BASE}/segment/{destination.segment_id}/membership/upload/{made.pk}"
    (shown,) = api.get(path).json()["deliveries"]
    assert shown["details"] == (
        "The vendor refused with status 400. The vendor says: “bad file (reference 4f0c)”. Mend the file."
    )


def test_a_delivery_that_failed_says_what_to_do_where_the_vendors_reason_does_not(
    api: Client, account: VendorAccount, box: Sandbox, client: Client, actor: Actor
) -> None:
    segment = make_segment(api)
    api.post(f"{BASE}/segment/{segment['id']}/publish")
    run_until_quiet(wait=8)
    box.context.faults.set("anonymised.fail", "The workspace is full")
    made = upload(api, segment, csv_of("a1", "a2")).json()
    run_until_quiet(wait=8)
    row = Delivery.objects.get()
    step = "Send again what failed. If it ends the same way, ask Anonymised UserSync and name the job."
    assert (row.status, row.error_text, row.next_step) == ("failed", "The workspace is full", step)
    assert actor.user is not None
    client.force_login(actor.user)
    board = client.get(reverse("upload_one", args=[made["id"]])).content.decode()
    assert step in board
    assert reverse("upload_retry", args=[made["id"]]) in board


def test_a_delivery_that_can_be_confirmed_ends_when_it_was_seen_live(api: Client, account: VendorAccount) -> None:
    segment = make_segment(api)
    api.post(f"{BASE}/segment/{segment['id']}/publish")
    run_until_quiet(wait=8)
    upload(api, segment, csv_of("a1", "a2"))
    run_until_quiet(wait=8)
    row = Delivery.objects.get()
    assert (row.status, row.details, row.error_code) == ("completed", "Live at Anonymised.", "")


def test_what_a_vendor_refused_beside_the_members_is_told_when_they_are_live(
    api: Client, actor: Actor, box: Sandbox
) -> None:
    synerise = connect(box, actor, "synerise", identifier="custom_id", sendEvents=True)
    segment = make_segment(api, destinations=[synerise.pk])
    run_until_quiet(wait=8)
    box.context.faults.set("synerise.missing_permissions", "API_BATCH_EVENTS_CREATE")
    made = upload(api, segment, csv_of("a1", "a2")).json()
    run_until_quiet(wait=8)
    (shown,) = api.get(f"{BASE}/segment/{segment['id']}/membership/upload/{made['id']}").json()["deliveries"]
    assert shown["status"] == "completed"
    assert "2 members read back agree" in shown["details"]
    assert "refused their events" in shown["details"]


@pytest.mark.parametrize(
    ("state", "answer", "word"),
    [
        (DeliveryStatus.STAGED, 202, UploadStatus.CANCELLED),
        # Published a moment ago: it goes out now, and the upload's word has not followed yet.
        (DeliveryStatus.SENDING, 202, UploadStatus.DELIVERING),
        (DeliveryStatus.COMPLETED, 409, UploadStatus.COMPLETED),
    ],
)
def test_a_completed_upload_can_be_cancelled_while_something_of_it_is_unsent_on_page_and_api_alike(
    api: Client, client: Client, actor: Actor, company: Company, state: DeliveryStatus, answer: int, word: UploadStatus
) -> None:
    destination = kit.make_destination(kit.make_segment(company))
    made = kit.make_upload(destination.segment, UploadStatus.COMPLETED, uploaded_by=actor.user)
    kit.make_delivery(made, destination, state, is_live=state == DeliveryStatus.SENDING)
    assert actor.user is not None
    client.force_login(actor.user)
    page = client.get(reverse("upload_one", args=[made.pk])).content.decode()
    cancel = reverse("upload_cancel", args=[made.pk])
    assert (cancel in page) == (answer == 202)
    url = f"{BASE}/segment/{destination.segment_id}/membership/upload/{made.pk}/cancel"
    assert api.post(url).status_code == answer
    made.refresh_from_db()
    assert made.status == word
    delivery = made.deliveries.get()
    assert (delivery.cancel_requested_at is not None) == (answer == 202)
