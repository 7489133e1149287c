"""A delivery's sums: over all of its parts, or grown by what was just sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, Count, F, Q, Sum, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from uploads.models import PART_ENDED, Delivery, Part, PartStatus

from .payload import Payload


def part_sums(delivery: Delivery) -> dict[str, Any]:
    """A delivery's sums over all of its parts."""
    unknown = Sum(F("adds") + F("removes"), filter=Q(status=PartStatus.UNCERTAIN))
    return Part.objects.filter(delivery_id=delivery.pk).aggregate(
        accepted=Sum("accepted"),
        refused=Sum("refused"),
        uncertain=Coalesce(unknown, 0),
        parts_done=Count("pk", filter=Q(status__in=PART_ENDED)),
    )


def sums_again(delivery: Delivery) -> dict[str, Any]:
    """The same and what went over the wire, for a delivery whose worker died before it had written them."""
    answered = Q(status__in=[PartStatus.SUBMITTED, *PART_ENDED]) & ~Q(phase="")
    sends = F("resends") + Case(When(answered, then=1), default=0)
    wire = Part.objects.filter(delivery_id=delivery.pk).aggregate(
        wire_lines=Coalesce(Sum(F("lines") * sends), 0), wire_bytes=Coalesce(Sum(F("wire_bytes") * sends), 0)
    )
    return {**part_sums(delivery), **wire}


@dataclass
class SentSums:
    """What sends that were answered add to their delivery's sums: those of a row of parts are written in one go."""

    told: dict[str, Any] = field(default_factory=dict)
    _grown: Counter[str] = field(default_factory=Counter)
    _ended: Counter[str] = field(default_factory=Counter)

    def add(self, wire: Payload, part: Part) -> None:
        """Count a send, and the part where the answer was its end."""
        self._grown.update(wire_lines=wire.lines, wire_bytes=wire.bytes)
        if part.status in PART_ENDED:
            self._grown.update(parts_done=1)
            known = {name: getattr(part, name) for name in ("accepted", "refused")}
            if part.status == PartStatus.UNCERTAIN:
                known["uncertain"] = part.adds + part.removes
            self._ended.update({name: value for name, value in known.items() if value is not None})

    def fields(self) -> dict[str, Any]:
        """The delivery's fields; empty when nothing was sent. A send that was answered ends a row of failures."""
        if not self._grown:
            return {}
        grown = {name: F(name) + value for name, value in self._grown.items()}
        ended = {name: Coalesce(F(name), 0) + value for name, value in self._ended.items()}
        return {**grown, **ended, **self.told, "last_sent_at": timezone.now(), "attempts": 0}
