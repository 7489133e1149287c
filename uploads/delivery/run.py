"""One slice's working set: the lease, the delivery, its connector, and the small moves they share."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min, QuerySet
from django.utils import timezone

from audsync_web.jobs.leases import CancelRequested, Lease
from audsync_web.jobs.models import cleared_error
from audsync_web.vendors.connectors.base import Connector, DeliveryContext, PartRef, RemoteStatus
from uploads.engine.progress import Progress
from uploads.models import Delivery, DeliveryStatus, Part, PartStatus

from .planning import context_of
from .sums import SentSums

PROGRESS_EVERY = 0.8
PART_HOLDER = "part:"
# In a delivery's memory: the columns that tell why its unsent rest was dropped, while what the vendor has is followed.
STOPPED = "stopped"


def part_holder(part_id: int) -> str:
    """How a part is named in gates."""
    return f"{PART_HOLDER}{part_id}"


def row_holder(delivery_id: int) -> str:
    """How the parts of a delivery that are sent in a row are named in gates."""
    return f"delivery:{delivery_id}"


class Run:
    """A delivery being worked on. `goes_on` while its slice does; `not_before` is the earliest moment something can be
    done.

    `row`: while parts are sent in a row, what their sends add to the delivery's sums.
    """

    def __init__(self, lease: Lease, delivery: Delivery, connector: Connector) -> None:
        self.lease = lease
        self.delivery = delivery
        self.connector = connector
        self.goes_on = True
        self.not_before: datetime | None = None
        self.row: SentSums | None = None
        self._next_report = 0.0

    @property
    def destination(self) -> Any:
        """The delivery's destination."""
        return self.delivery.destination

    def context(self, **memory: Any) -> DeliveryContext:
        """The delivery as its connector sees it."""
        return context_of(self.delivery, self.destination, **memory)

    def parts(self) -> QuerySet[Part]:
        """The delivery's parts."""
        return Part.objects.filter(delivery_id=self.delivery.pk)

    def reload(self) -> None:
        """Read the delivery's own columns again; the related rows stay."""
        self.delivery.refresh_from_db(fields=[f.attname for f in Delivery._meta.concrete_fields if not f.is_relation])

    def report(self, progress: Progress) -> None:
        """Show planning's progress about once a second, and stop it when somebody cancels."""
        now = time.monotonic()
        if now < self._next_report:
            return
        self._next_report = now + PROGRESS_EVERY
        self.lease.update(progress={"stage": progress.stage, "rows": progress.rows})
        if Delivery.objects.filter(pk=self.delivery.pk, cancel_requested_at__isnull=False).exists():
            raise CancelRequested

    def put_off(self, seconds: float) -> None:
        """Something can be done again in so many seconds; the earliest such moment counts."""
        moment = timezone.now() + timedelta(seconds=max(0.0, seconds))
        self.not_before = moment if self.not_before is None else min(self.not_before, moment)

    def wait(self) -> None:
        """Leave the delivery until its next poll or until a closed gate may be open."""
        poll = self.parts().filter(status=PartStatus.SUBMITTED).aggregate(at=Min("next_poll_at"))["at"]
        moments = [moment for moment in (poll, self.not_before) if moment is not None]
        self.lease.update(next_action_at=min(moments) if moments else timezone.now() + timedelta(seconds=1))

    def show_phase(self) -> None:
        """Bring the delivery's word in line with its parts: sending, submitted or processing. An error that it told of
        is overcome, but for the one that stopped its unsent rest.

        While a part's outcome is looked for, the word stays what that look has made it.
        """
        parts = self.parts()
        if parts.filter(intent__isnull=False).exists():
            return
        if parts.filter(status__in=[PartStatus.PLANNED, PartStatus.SENDING]).exists():
            status = DeliveryStatus.SENDING
        elif parts.filter(status=PartStatus.SUBMITTED, phase=RemoteStatus.RUNNING).exists():
            status = DeliveryStatus.PROCESSING
        elif parts.filter(status=PartStatus.SUBMITTED, phase=RemoteStatus.QUEUED).exists():
            status = DeliveryStatus.SUBMITTED
        else:
            status = DeliveryStatus.PROCESSING
        fields: dict[str, Any] = {"status": status}
        if self.delivery.error_code or self.delivery.attention_since is not None:
            fields |= cleared_error() | self.delivery.memory.get(STOPPED, {})
        changed = {name: value for name, value in fields.items() if getattr(self.delivery, name) != value}
        if changed:
            self.lease.update(**changed)

    @staticmethod
    def ref(part: Part) -> PartRef:
        """A sent part as its connector sees it."""
        return PartRef(
            number=part.number,
            job_id=part.job_id,
            sent_at=part.sent_at,
            lines=part.lines,
            adds=part.adds,
            removes=part.removes,
            bytes=part.wire_bytes,
            md5=part.md5,
            memory=part.memory,
        )
