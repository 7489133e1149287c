"""What a held upload would do, destination by destination, and whether a person has to be asked twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from audsync_web.people.models import Company
from audsync_web.vendors.connectors.base import DeliveryContext, Estimate, Totals
from audsync_web.vendors.connectors.errors import ConnectorError
from audsync_web.vendors.models import AccountStatus
from segments.models import Destination

from .forms import caution_of
from .membership import planning_connector
from .models import Mode, Upload
from .rules import cannot_take, destinations_for_upload


@dataclass(frozen=True)
class Remark:
    """Something to know before going: `blocked` stops this destination, `warning` does not; `fix` says what to do."""

    level: str
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Cell:
    """What would happen at one destination. Counts are None where they were not counted."""

    destination: Destination
    taken: bool
    before: int | None = None
    after: int | None = None
    members: int = 0
    held: int = 0
    adds: int = 0
    renewed: int = 0
    removes: int = 0
    unchanged: int = 0
    removed_share: float = 0.0
    asks_again: bool = False
    estimate: Estimate | None = None
    remarks: Sequence[Remark] = field(default_factory=tuple)

    @property
    def sent(self) -> int:
        """Rows that the vendor will be told of."""
        return self.adds + self.renewed + self.removes

    @property
    def level(self) -> str:
        """The worst remark, as a status word."""
        levels = {remark.level for remark in self.remarks}
        return "blocked" if "blocked" in levels else "warning" if "warning" in levels else "passed"


@dataclass(frozen=True)
class Preview:
    """All destinations, when they were counted, and the share of caution that was applied."""

    cells: list[Cell]
    caution: float
    counted_at: datetime | None

    @property
    def asks_again(self) -> bool:
        """Whether some destination would lose more than the share of caution."""
        return any(cell.asks_again for cell in self.cells)

    @property
    def can_go(self) -> bool:
        """Whether at least one destination can be fed."""
        return any(cell.level != "blocked" for cell in self.cells)

    @property
    def changes_nothing(self) -> bool:
        """Whether every destination is already what the file says."""
        return bool(self.cells) and all(cell.taken and not cell.sent for cell in self.cells)


def preview_of(upload: Upload, company: Company) -> Preview:
    """The preview that inspection counted, with today's destinations; one that came later has no counts yet."""
    counted = {cell["destination"]: cell for cell in upload.preview.get("destinations", [])}
    caution = caution_of(upload, company)
    cells = [
        _cell(upload, destination, counted.get(destination.pk, {}), caution)
        for destination in destinations_for_upload(upload.segment)
    ]
    at = upload.preview.get("at")
    return Preview(cells, caution, parse_datetime(at) if at else None)


def _cell(upload: Upload, destination: Destination, counted: dict[str, Any], caution: float) -> Cell:
    if counted.get("taken") is False:
        return Cell(destination, False, remarks=[Remark("blocked", cannot_take(destination, upload.kind))])
    counts = {name: counted.get(name, 0) for name in ("members", "held", "adds", "renewed", "removes", "unchanged")}
    before = counted.get("before")
    share = counts["removes"] / before if before else 0.0
    totals = Totals(**{name: counts[name] for name in ("members", "adds", "renewed", "removes", "unchanged")})
    return Cell(
        destination,
        True,
        before=before,
        after=before + counts["adds"] - counts["removes"] if before is not None else None,
        **counts,
        removed_share=share,
        asks_again=share > caution,
        estimate=_estimate(upload, destination, totals),
        remarks=_remarks(upload, destination, counted, totals, share > caution),
    )


def _remarks(
    upload: Upload, destination: Destination, counted: dict[str, Any], totals: Totals, too_many: bool
) -> list[Remark]:
    account = destination.vendor_account
    remarks = []
    if account.status != AccountStatus.OK:
        remarks.append(
            Remark(
                "warning",
                f"{account.name} does not work at the moment.",
                "Mend the vendor account; it waits until then.",
            )
        )
    if destination.error_text and not destination.remote_id:
        remarks.append(Remark("warning", destination.error_text, destination.next_step))
    elif not destination.remote_id:
        remarks.append(
            Remark("warning", "The segment is not there yet.", "Nothing to do: it waits until it has been made.")
        )
    elif not destination.is_published and not account.connector.capabilities.uploads_before_publish:
        remarks.append(Remark("warning", "Held until the segment is published.", "Publish the segment."))
    if counted and not counted.get("known", True):
        remarks.append(_unknown(upload))
    if too_many:
        remarks.append(Remark("warning", "More would leave than your share of caution.", "Look at the file once more."))
    if counted and not totals.sent:
        remarks.append(Remark("passed", "Already so. Nothing has to be sent."))
    return remarks


def _unknown(upload: Upload) -> Remark:
    if upload.mode == Mode.REPLACE:
        return Remark(
            "warning", "Nobody knows who is in this segment there, so nobody can be told to leave.", "Add instead."
        )
    return Remark("warning", "Nobody knows who is in this segment there.")


def _estimate(upload: Upload, destination: Destination, totals: Totals) -> Estimate | None:
    """Parts and seconds under the vendor's pace; None where the connector cannot say."""
    if not totals.sent:
        return None
    connector = planning_connector(destination)
    mean = upload.bytes / max(1, upload.records)
    context = DeliveryContext(
        key="preview",
        number=0,
        segment=destination.ref(),
        identifier=destination.identifier,
        mode=upload.mode,  # type: ignore[arg-type]  # held to the three modes by a constraint
        planned_at=upload.created_at,
        ends_at=None,
    )
    try:
        return connector.estimate(context, totals, mean)
    except ConnectorError:
        return None
