"""The live board in words: what a delivery is doing, how far it is, and what happens next. Asks no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from audsync_web.templatetags.formats import format_count
from audsync_web.vendors.models import AccountStatus
from uploads.models import Delivery, DeliveryStatus, Upload, UploadStatus
from uploads.settling import countable

# A wait shorter than this is no wait that anybody needs to be told of.
SOON = timedelta(seconds=1.5)
# Work that has been due for so long and that nobody has taken is said to wait for a worker.
OVERDUE = timedelta(seconds=15)


@dataclass(frozen=True)
class Next:
    """What happens next: a sentence, and the moment it speaks of (told as "in 12 s"), if any."""

    text: str
    at: datetime | None = None


@dataclass(frozen=True)
class Bar:
    """How far something is: `value` of `maximum`, unknown (None) while nobody can tell."""

    value: float | None
    maximum: float | None
    tone: str = ""


@dataclass(frozen=True)
class Row:
    """One destination on the board."""

    delivery: Delivery
    word: str
    bar: Bar | None
    next: Next | None
    jobs: int
    first_job: str
    retried: bool
    """A later delivery of the same upload stands for this one."""

    @property
    def has_not_taken(self) -> bool:
        """Whether some of its members were held back or refused."""
        return bool(self.delivery.held or self.delivery.refused)

    @property
    def bar_name(self) -> str:
        """The bar's id, the same in every answer, so that it glides."""
        return f"bar-{self.delivery.pk}"

    @property
    def more_jobs(self) -> int:
        """Vendor jobs beyond the one that is named."""
        return max(0, self.jobs - 1)


@dataclass(frozen=True)
class Board:
    """One upload as its page shows it."""

    upload: Upload
    rows: list[Row]
    word: str
    worker_lives: bool
    check: Check | None

    @property
    def staged(self) -> str:
        """The accounts that get it once the segment is published, as a list in words."""
        names = [
            row.delivery.destination.vendor_account.name
            for row in self.rows
            if row.delivery.status == DeliveryStatus.STAGED
        ]
        return ", ".join(names)

    @property
    def earlier(self) -> list[Row]:
        """Deliveries that a retry stands for by now."""
        return [row for row in self.rows if row.retried]

    @property
    def is_under_way(self) -> bool:
        """Whether a vendor may have a part of it already, so that stopping leaves something there."""
        return any(row.delivery.first_sent_at is not None and not row.delivery.has_ended for row in self.rows)

    @property
    def has_not_taken(self) -> bool:
        """Whether some identifiers were held back or refused at a destination."""
        return any(row.has_not_taken for row in self.rows if not row.retried)

    @property
    def waits_for_worker(self) -> bool:
        """Whether work is due and nobody is there to do it."""
        return self.is_live and not self.worker_lives

    @property
    def is_live(self) -> bool:
        """Whether anything will still change by itself."""
        running = not self.upload.has_ended and self.upload.status != UploadStatus.READY
        # A delivery that waits for publish, or that outlived its upload's word, still changes.
        return running or any(not row.delivery.has_ended for row in self.rows)

    @property
    def phase(self) -> str:
        """Check, ready, going or ended. What stands around the live part of the page changes with it."""
        if self.upload.status in {UploadStatus.RECEIVING, UploadStatus.INSPECTING}:
            return "check-stopping" if self.upload.cancel_requested_at else "check"
        if self.upload.status == UploadStatus.READY:
            return "ready"
        if not self.upload.has_ended:
            return "going-stopping" if self.upload.cancel_requested_at else "going"
        return "open" if any(not row.delivery.has_ended for row in self.rows) else "ended"

    @property
    def pace(self) -> str:
        """How often the page looks again: often while something moves, seldom while a person is waited for."""
        if not self.is_live:
            return ""
        moving = [row for row in self.rows if not row.delivery.has_ended]
        held = {DeliveryStatus.STAGED, DeliveryStatus.NEEDS_ATTENTION}
        waiting = bool(moving) and all(row.delivery.status in held for row in moving)
        return "every 10s" if waiting else "every 2s"

    @property
    def can_cancel(self) -> bool:
        """Whether there is something left to stop."""
        asked = self.upload.cancel_requested_at is not None
        open_rows = any(not row.delivery.has_ended for row in self.rows)
        return (not self.upload.has_ended or open_rows) and not asked

    @property
    def can_retry(self) -> bool:
        """Whether some destination did not get all of it."""
        again = {DeliveryStatus.FAILED, DeliveryStatus.PARTIAL, DeliveryStatus.CANCELLED}
        stopped = [row.delivery for row in self.rows if not row.retried and row.delivery.status in again]
        return self.upload.has_ended and any(delivery.error_code != "kind_not_taken" for delivery in stopped)


@dataclass(frozen=True)
class Check:
    """How far the check of the file is: done of all in bytes, or in members where `by_member`; rows; as many a second;
    seconds left (None: not known)."""

    stage: str
    done: int
    total: int
    rows: int
    rate: int
    left: float | None
    by_member: bool = False


STAGES = {
    "check": "Checking rows",
    "checking": "Checking rows",
    "members": "Sorting and removing duplicates",
    "comparing": "Comparing with what vendors have",
}
# What the difference counts are members; every other stage counts bytes of the file.
COUNTS_MEMBERS = "comparing"


def board_of(found: Sequence[Any]) -> Board:
    """The board from the rows of `selectors.upload_with_deliveries`."""
    upload: Upload = found[0]
    lives = bool(found[0].worker_lives)
    joined = [row for row in found if getattr(row, "delivery", None) is not None]
    counting = {delivery.pk for delivery in countable([row.delivery for row in joined])}
    return Board(
        upload=upload,
        rows=[_row(row, lives, row.delivery.pk not in counting) for row in joined],
        word=_upload_word(upload, (row.delivery for row in joined)),
        worker_lives=lives,
        check=check_of(upload),
    )


def check_of(upload: Upload) -> Check | None:
    """The progress of an inspection, None when there is none to show."""
    told = upload.progress
    if upload.status != UploadStatus.INSPECTING or not told:
        return None
    done, total, rate = told.get("bytes") or 0, told.get("bytes_total") or upload.bytes, told.get("bytes_per_second")
    left = (total - done) / rate if rate and total > done else None
    stage = told.get("stage", "")
    shown = STAGES.get(stage, "Working through the file")
    return Check(shown, done, total, told.get("rows") or 0, rate or 0, left, stage == COUNTS_MEMBERS)


def _upload_word(upload: Upload, deliveries: Iterable[Delivery]) -> str:
    if upload.has_ended:
        held = any(delivery.status == DeliveryStatus.STAGED for delivery in deliveries)
        return DeliveryStatus.STAGED if held and upload.status == UploadStatus.COMPLETED else upload.status
    if upload.cancel_requested_at:
        return "cancelling"
    return "stalled" if upload.is_stalled else upload.status


def _row(found: Any, worker_lives: bool, retried: bool) -> Row:
    delivery: Delivery = found.delivery
    # The join has read the upload already.
    delivery.upload = found
    return Row(
        delivery=delivery,
        word=_word(delivery, bool(found.unsettled)),
        bar=bar_of(delivery),
        next=None if delivery.has_ended else _next(found, delivery, worker_lives),
        jobs=found.jobs or 0,
        first_job=found.first_job or "",
        retried=retried,
    )


def _word(delivery: Delivery, unsettled: bool) -> str:
    if delivery.has_ended:
        return delivery.status
    if delivery.is_stalled:
        return "stalled"
    if delivery.cancel_requested_at:
        return "cancelling"
    if unsettled and not delivery.is_leased:
        return "checking with the vendor"
    return delivery.status


def bar_of(delivery: Delivery) -> Bar | None:
    """The bar of a delivery. It never shows all while somebody is waited for; what has ended well needs none."""
    if delivery.status in {DeliveryStatus.STAGED, DeliveryStatus.QUEUED}:
        return None
    if delivery.status in {DeliveryStatus.COMPLETED, DeliveryStatus.FAILED}:
        return None
    answered = (delivery.accepted or 0) + (delivery.refused or 0)
    if delivery.has_ended:
        return Bar(answered, delivery.sent, "warn") if delivery.sent and answered else None
    if delivery.planned_at is None or not answered:
        return Bar(None, None)
    return Bar(min(answered, delivery.sent * 0.99), delivery.sent)


def _next(found: Any, delivery: Delivery, worker_lives: bool) -> Next:
    """What happens next to a delivery that has not ended, the most telling reason first."""
    now = timezone.now()
    if delivery.is_stalled:
        return Next("Its worker has gone silent. Another one picks it up by itself; nothing is sent twice.")
    if not worker_lives and delivery.status != DeliveryStatus.STAGED:
        return Next("No worker is running. It goes on as soon as one starts.")
    waits = _waits_for(found, delivery)
    if waits is not None:
        return waits
    if delivery.cancel_requested_at:
        return Next("Stopping. What the vendor already has is followed to its end.")
    later = delivery.next_action_at is not None and delivery.next_action_at > now + SOON and not delivery.is_leased
    return _later(found, delivery) if later else _at_once(delivery, now)


def _waits_for(found: Any, delivery: Delivery) -> Next | None:
    """What a delivery waits for that is not its turn or its time; None when nothing."""
    destination = delivery.destination
    account = destination.vendor_account
    if delivery.status == DeliveryStatus.STAGED:
        return Next("Checked and planned. Held until the segment is published.")
    if account.status != AccountStatus.OK:
        return Next(f"Waits until the vendor account {account.name} works again.")
    if delivery.status == DeliveryStatus.NEEDS_ATTENTION:
        return Next("AudSync tries again by itself.", delivery.next_action_at)
    if found.another_first:
        return Next("Another delivery to this destination goes first.")
    if delivery.status == DeliveryStatus.QUEUED and delivery.details:
        return Next(delivery.details)
    if not destination.remote_id:
        return Next(f"Waits until the segment has been created at {account.name}.")
    return None


def _later(found: Any, delivery: Delivery) -> Next:
    at = delivery.next_action_at
    if found.unsettled:
        return Next("An answer was lost. AudSync looks at the vendor before it sends anything again.", at)
    if found.waiting_parts or delivery.status in {DeliveryStatus.SUBMITTED, DeliveryStatus.PROCESSING}:
        return Next(delivery.details or "The vendor is at work. Next look", at)
    if delivery.error_text:
        return Next(f"{delivery.error_text} Next try", at)
    if delivery.status == DeliveryStatus.SENDING:
        return Next(delivery.details or "Waiting for the vendor's pace. Next part", at)
    return Next(delivery.details or "Goes on", at)


def _at_once(delivery: Delivery, now: datetime) -> Next:
    if delivery.is_leased:
        return Next(_doing(delivery))
    overdue = delivery.next_action_at is not None and now - delivery.next_action_at > OVERDUE
    if overdue:
        return Next("Its turn has come; the workers are busy with other jobs.")
    return Next("Starts in a moment." if delivery.status == DeliveryStatus.QUEUED else "Goes on in a moment.")


def _doing(delivery: Delivery) -> str:
    if delivery.planned_at is None:
        rows = delivery.progress.get("rows") if isinstance(delivery.progress, dict) else None
        told = f" {format_count(rows)} rows so far." if rows else ""
        return f"Comparing the file with what the vendor acknowledged last.{told}"
    if delivery.status == DeliveryStatus.SENDING:
        number = min(delivery.parts_done + 1, delivery.parts_total)
        return f"Sending part {format_count(number)} of {format_count(delivery.parts_total)}."
    return "Looking at the vendor now."
