"""An upload's own word follows from its deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils import timezone

from .models import Delivery, DeliveryStatus, Upload, UploadStatus

_STOPPED_WORDS = {
    DeliveryStatus.FAILED: "failed",
    DeliveryStatus.PARTIAL: "partly delivered",
    DeliveryStatus.CANCELLED: "cancelled",
    DeliveryStatus.SUPERSEDED: "superseded by a newer upload",
    DeliveryStatus.NEEDS_ATTENTION: "needs attention",
}


def newest_deliveries(upload: Upload) -> list[Delivery]:
    """The delivery that counts for each destination: the newest, as a retry stands for what it retries."""
    return countable(upload.deliveries.select_related("destination__vendor_account").order_by("pk"))


def countable(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Of an upload's deliveries in order of their ids, the newest of each destination."""
    newest: dict[int, Delivery] = {}
    for delivery in deliveries:
        newest[delivery.destination_id] = delivery
    return list(newest.values())


def upload_settle(upload: Upload) -> None:
    """Bring an upload's status and details in line with its deliveries. Safe to call at any time."""
    if upload.status in {UploadStatus.RECEIVING, UploadStatus.INSPECTING, UploadStatus.READY}:
        return
    deliveries = newest_deliveries(upload)
    status = _status_of([DeliveryStatus(delivery.status) for delivery in deliveries])
    if status is None:
        return
    ended = status != UploadStatus.DELIVERING
    # A held delivery that a newer upload takes the place of changes the word after the end: that is when it ended so.
    since = upload.finished_at if upload.status == status else None
    details = "; ".join(filter(None, (_line(delivery) for delivery in deliveries)))
    now = timezone.now()
    Upload.objects.filter(pk=upload.pk).update(
        status=status, finished_at=(since or now) if ended else None, details=details, updated_at=now
    )


def _status_of(statuses: Sequence[DeliveryStatus]) -> UploadStatus | None:
    if not statuses:
        return None
    done = [status in {DeliveryStatus.COMPLETED, DeliveryStatus.STAGED} for status in statuses]
    if all(done):
        return UploadStatus.COMPLETED
    ended = set(statuses) <= set(_STOPPED_WORDS) | {DeliveryStatus.COMPLETED, DeliveryStatus.STAGED}
    if not ended or DeliveryStatus.NEEDS_ATTENTION in statuses:
        return UploadStatus.DELIVERING
    if any(done) or DeliveryStatus.PARTIAL in statuses:
        return UploadStatus.PARTIAL
    if set(statuses) <= {DeliveryStatus.CANCELLED, DeliveryStatus.SUPERSEDED}:
        return UploadStatus.CANCELLED
    return UploadStatus.FAILED


def _line(delivery: Delivery) -> str:
    word = _STOPPED_WORDS.get(DeliveryStatus(delivery.status))
    if word is None:
        return ""
    reason = delivery.error_text or delivery.details
    return f"{delivery.destination.vendor_account.name}: {word}" + (f" ({reason})" if reason else "")
