"""Deliveries that wait for somebody else's trouble say so, and go on by themselves once it is mended."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Q

from audsync_web.jobs.waiting import flag, go_on
from audsync_web.vendors.faults import ACCOUNT_IN_TROUBLE, account_trouble
from audsync_web.vendors.models import AccountStatus
from segments.models import EMPTY, DestinationStatus, Wanted
from uploads.models import Delivery, DeliveryStatus, Upload
from uploads.settling import upload_settle

AT_ONCE = 200
DESTINATION_FAILED = "destination_failed"
NO_DESTINATION = (
    "The segment could not be created at this vendor, so nothing can be sent there.",
    "Open the segment, see why its destination stopped, and publish again.",
)


def flag_waiting_for_failed_destinations() -> None:
    """A delivery that waits for a destination which has stopped says so; it goes on when the destination is mended."""
    stopped = Q(destination__status=DestinationStatus.FAILED, destination__remote_id="")
    _flag(stopped, ~Q(destination__remote_id=""), DESTINATION_FAILED, lambda _: NO_DESTINATION)


def flag_waiting_for_accounts() -> None:
    """A delivery whose vendor account needs attention says why; it goes on when the account works again."""
    _flag(
        Q(vendor_account__status=AccountStatus.NEEDS_ATTENTION),
        Q(vendor_account__status=AccountStatus.OK),
        ACCOUNT_IN_TROUBLE,
        lambda delivery: account_trouble(delivery.vendor_account),
    )


def _flag(cause: Q, mended: Q, code: str, why: Callable[[Delivery], tuple[str, str]]) -> None:
    rows = Delivery.objects.filter(is_live=False).select_related("vendor_account")
    touched = flag(rows.filter(cause, status=DeliveryStatus.QUEUED), code, why)
    touched += go_on(rows.filter(mended), code, lambda _: DeliveryStatus.QUEUED)
    for upload in Upload.objects.filter(pk__in={delivery.upload_id for delivery in touched}):
        upload_settle(upload)


def end_for_removed_destinations() -> None:
    """What waits for a destination that has been removed would wait for ever; to be emptied first is another matter."""
    removed = Q(destination__wanted=Wanted.RELEASED) & ~Q(destination__release_choice=EMPTY)
    removed |= Q(destination__status=DestinationStatus.RELEASED)
    waiting = Delivery.objects.open().filter(removed, is_live=False)
    found = list(waiting.values_list("pk", "upload_id")[:AT_ONCE])
    rows = Delivery.objects.filter(pk__in=[pk for pk, _ in found])
    rows.end_waiting(DeliveryStatus.CANCELLED, details="The destination was removed before this was sent.")
    for upload in Upload.objects.filter(pk__in={upload for _, upload in found}):
        upload_settle(upload)
