"""Deliveries that wait for somebody else's trouble say so, and go on by themselves once it is mended."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils import timezone

from audsync_web.vendors.models import AccountStatus
from segments.models import EMPTY, DestinationStatus, Wanted

from .models import Delivery, DeliveryStatus, Upload
from .settling import upload_settle

AT_ONCE = 200
DESTINATION_FAILED = "destination_failed"
ACCOUNT_IN_TROUBLE = "account_needs_attention"

_WELL: dict[str, Any] = {
    "status": DeliveryStatus.QUEUED,
    "error_code": "",
    "error_text": "",
    "next_step": "",
    "attention_since": None,
}


def flag_waiting_for_failed_destinations() -> None:
    """A delivery that waits for a destination which has stopped says so; it goes on when the destination is mended."""
    stopped = Q(destination__status=DestinationStatus.FAILED, destination__remote_id="")
    for delivery in _waiting(stopped):
        _flag(
            delivery,
            DESTINATION_FAILED,
            "The segment could not be created at this vendor, so nothing can be sent there.",
            "Open the segment, see why its destination stopped, and publish again.",
        )
    _go_on(~Q(destination__remote_id=""), DESTINATION_FAILED)


def flag_waiting_for_accounts() -> None:
    """A delivery whose vendor account needs attention says why; it goes on when the account works again."""
    for delivery in _waiting(Q(destination__vendor_account__status=AccountStatus.NEEDS_ATTENTION)):
        account = delivery.destination.vendor_account
        said = account.error_text or "It needs attention."
        _flag(delivery, ACCOUNT_IN_TROUBLE, f"{account.name}: {said}", account.next_step or "Open the vendor account.")
    _go_on(Q(destination__vendor_account__status=AccountStatus.OK), ACCOUNT_IN_TROUBLE)


def end_for_removed_destinations() -> None:
    """What waits for a destination that has been removed would wait for ever; to be emptied first is another matter."""
    removed = Q(destination__wanted=Wanted.RELEASED) & ~Q(destination__release_choice=EMPTY)
    removed |= Q(destination__status=DestinationStatus.RELEASED)
    waiting = Delivery.objects.open().filter(removed, is_live=False)
    found, now = list(waiting.values_list("pk", "upload_id")[:AT_ONCE]), timezone.now()
    Delivery.objects.open().filter(pk__in=[pk for pk, _ in found], is_live=False).update(
        status=DeliveryStatus.CANCELLED,
        details="The destination was removed before this was sent.",
        finished_at=now,
        next_action_at=None,
        updated_at=now,
    )
    for upload in Upload.objects.filter(pk__in={upload for _, upload in found}):
        upload_settle(upload)


def _waiting(cause: Q) -> list[Delivery]:
    rows = Delivery.objects.filter(cause, status=DeliveryStatus.QUEUED, is_live=False)
    return list(rows.select_related("destination__vendor_account")[:AT_ONCE])


def _flag(delivery: Delivery, code: str, text: str, next_step: str) -> None:
    Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.QUEUED, is_live=False).update(
        status=DeliveryStatus.NEEDS_ATTENTION,
        error_code=code,
        error_text=text,
        next_step=next_step,
        attention_since=timezone.now(),
    )
    for upload in Upload.objects.filter(pk=delivery.upload_id):
        upload_settle(upload)


def _go_on(mended: Q, code: str) -> None:
    rows = Delivery.objects.filter(
        mended, status=DeliveryStatus.NEEDS_ATTENTION, error_code=code, is_live=False
    ).values_list("pk", "upload_id")[:AT_ONCE]
    found = list(rows)
    Delivery.objects.filter(pk__in=[pk for pk, _ in found]).update(**_WELL, next_action_at=timezone.now())
    for upload in Upload.objects.filter(pk__in={upload for _, upload in found}):
        upload_settle(upload)
