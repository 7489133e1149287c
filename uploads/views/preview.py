"""What a held upload would do, destination by destination, and whether a person has to be asked twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from audsync_web.people.models import Company
from segments.models import Destination
from uploads.models import Snapshot, Upload
from uploads.rules import cannot_take, caution_of, destinations_of, nobody_to_send


@dataclass(frozen=True)
class Cell:
    """What would happen at one destination. Counts are None where they were not counted."""

    destination: Destination
    taken: bool
    counted: bool = False
    before: int | None = None
    after: int | None = None
    members: int = 0
    held: int = 0
    erased: int = 0
    """Of the held, who is kept out after an erasure."""
    merged: int = 0
    adds: int = 0
    renewed: int = 0
    removes: int = 0
    unchanged: int = 0
    again: int = 0
    """Of the adds, who counts as a member already; sent again to be sure."""
    leave: int = 0
    """Of the removes, who is known to be there."""
    removed_share: float = 0.0
    asks_again: bool = False
    blocker: str = ""

    @property
    def join(self) -> int:
        """Who is added and was no member: before + join - leave = after."""
        return self.adds - self.again

    @property
    def unfit(self) -> int:
        """Of the held, who does not fit what the destination is fed with."""
        return self.held - self.erased

    @property
    def perhaps(self) -> int:
        """Who is removed in case they are there."""
        return self.removes - self.leave

    @property
    def sent(self) -> int:
        """Rows that the vendor will be told of."""
        return self.adds + self.renewed + self.removes


@dataclass(frozen=True)
class Preview:
    """All destinations, when they were counted, and the share of caution that was applied."""

    cells: list[Cell]
    caution: float
    counted_at: datetime | None
    is_stale: bool = False
    """A vendor has acknowledged another membership since it was counted."""

    @property
    def asks_again(self) -> bool:
        """Whether some destination would lose more than the share of caution."""
        return any(cell.asks_again for cell in self.cells)

    @property
    def takers(self) -> int:
        """How many destinations can be fed."""
        return sum(not cell.blocker for cell in self.cells)

    @property
    def can_go(self) -> bool:
        """Whether at least one destination can be fed."""
        return self.takers > 0

    @property
    def is_partly_blocked(self) -> bool:
        """Whether it can go to some destinations and not to others."""
        return 0 < self.takers < len(self.cells)

    @property
    def changes_nothing(self) -> bool:
        """Whether every destination is already what the file says."""
        return bool(self.cells) and all(cell.counted and not cell.sent for cell in self.cells)


def preview_of(upload: Upload, company: Company) -> Preview:
    """The preview that inspection counted, with today's destinations; one that came later has no counts yet."""
    counted = {cell["destination"]: cell for cell in upload.preview.get("destinations", [])}
    caution = caution_of(upload, company)
    cells = [
        _cell(upload, destination, counted.get(destination.pk, {}), caution) for destination in destinations_of(upload)
    ]
    told = upload.preview.get("at")
    at = parse_datetime(told) if told else None
    return Preview(cells, caution, at, at is not None and _has_changed_since(upload, at))


def _has_changed_since(upload: Upload, at: datetime) -> bool:
    newer = Snapshot.objects.filter(destination__segment=upload.segment_id, superseded_at__isnull=True)
    # Counting itself may make the first, empty membership of a destination.
    return newer.filter(created_at__gt=at).exclude(file="").exists()


def _cell(upload: Upload, destination: Destination, counted: dict[str, Any], caution: float) -> Cell:
    if counted.get("taken") is False:
        return Cell(destination, False, blocker=cannot_take(destination, upload.kind))
    names = ("members", "held", "erased", "merged", "adds", "renewed", "removes", "unchanged", "again")
    counts = {name: counted.get(name, 0) for name in names}
    before, leave = counted.get("before"), counted.get("leave", counts["removes"])
    share = leave / before if before else 0.0
    blocker = _blocker(destination, counts)
    return Cell(
        destination,
        True,
        counted=bool(counted),
        before=before,
        after=counted.get("after", before + counts["adds"] - counts["removes"]) if before is not None else None,
        **counts,
        leave=leave,
        removed_share=share,
        asks_again=share > caution and not blocker,
        blocker=blocker,
    )


def _blocker(destination: Destination, counts: dict[str, int]) -> str:
    """Why nothing of this file can go there; empty when something can."""
    if counts["held"] and not counts["members"]:
        return " ".join(nobody_to_send(destination, counts["erased"], counts["held"]))
    return ""
