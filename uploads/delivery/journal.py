"""The journal given to connectors: intent before an effectful call, outcome after it, each committed at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone

from audsync_web.jobs.leases import CancelRequested, Lease
from uploads.models import Delivery, Part

from .writing import write_part

CHECK_EVERY = 2.0


class PartJournal:
    """Journal of one part. Writes only while the delivery's lease is ours. `meanwhile` is what can be done in the time
    that the vendor takes to answer."""

    def __init__(self, lease: Lease, delivery: Delivery, part: Part, meanwhile: Callable[[], None]) -> None:
        self._lease = lease
        self._delivery = delivery
        self._part = part
        self._meanwhile = meanwhile
        self._next_check = time.monotonic() + CHECK_EVERY

    def intend(self, step: str, **detail: Any) -> None:
        """Store that `step` is about to be called."""
        self._part.intent = {"step": step, "at": timezone.now().isoformat(), "detail": detail}
        write_part(self._lease, self._part, ["intent"])

    def settle(self, *, part: Mapping[str, Any] | None = None, delivery: Mapping[str, Any] | None = None) -> None:
        """Store the outcome, merged into the part's and the delivery's memory, and clear the intent."""
        if delivery:
            self._delivery.memory = {**self._delivery.memory, **delivery}
            self._lease.update(memory=self._delivery.memory)
        self._part.memory = {**self._part.memory, **(part or {})}
        self._part.intent = None
        write_part(self._lease, self._part, ["memory", "intent"])

    def alive(self) -> None:
        """Called between blocks of a long transfer: stops when the job was taken away or somebody cancelled it."""
        self._lease.check()
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + CHECK_EVERY
        if Delivery.objects.filter(pk=self._delivery.pk, cancel_requested_at__isnull=False).exists():
            raise CancelRequested

    def waiting(self) -> None:
        """Called once all bytes are out: get ready what comes next."""
        self._meanwhile()
