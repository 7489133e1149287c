"""What a vendor has acknowledged of a delivery: ended parts, done steps of stopped ones, without refused rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Q, Sum
from django.db.models.functions import Coalesce

from audsync_web.jobs.leases import Lease
from audsync_web.vendors.connectors.base import Refusal, RemoteStatus, Steps
from audsync_web.vendors.connectors.formats import Op
from uploads import files
from uploads.engine.applying import ALL, Acknowledged, AckRange
from uploads.engine.changes import Change, ChangeReader, changes_of, row_numbers
from uploads.models import Delivery, Part, PartStatus

from .outcomes import REFUSED_ROWS, keep_refused_rows

STOPPED = (PartStatus.FAILED, PartStatus.CANCELLED, PartStatus.UNCERTAIN)


def acknowledged_ranges(delivery: Delivery, changes: Path) -> Acknowledged:
    """The rows of the change file that are so at the vendor now. Those that it refused by name are not."""
    parts = delivery.parts.filter(status=PartStatus.ACKNOWLEDGED)
    everything = not delivery.parts.exclude(status=PartStatus.ACKNOWLEDGED).exists()
    listed = delivery.memory.get("whole_list") and parts.exists()
    if listed or (everything and not parts.filter(memory__has_key=REFUSED_ROWS).exists()):
        return ALL
    with ChangeReader(changes) as reader:
        return [_range(part, reader) for part in parts.order_by("first_row").iterator()]


def unknown_ranges(delivery: Delivery) -> list[AckRange]:
    """The rows of which nobody knows whether they are so at the vendor now."""
    parts = delivery.parts.filter(status=PartStatus.UNCERTAIN).order_by("first_row")
    return [AckRange(part.first_row, part.last_row, _ops(part)) for part in parts.iterator()]


def _range(part: Part, changes: ChangeReader) -> AckRange:
    ops = _ops(part)
    refused = part.memory.get(REFUSED_ROWS, ())
    numbers = row_numbers(changes, part.first_row, part.last_row, ops) if refused else []
    return AckRange(part.first_row, part.last_row, ops, tuple(numbers[row] for row in refused if row < len(numbers)))


def refused_by_count(delivery: Delivery) -> int:
    """Refusals that the vendor only counted: nobody can tell which rows they are, so they stay in the membership."""
    named = delivery.parts.filter(status=PartStatus.ACKNOWLEDGED, memory__has_key=REFUSED_ROWS)
    known = sum(len(memory[REFUSED_ROWS]) for memory in named.values_list("memory", flat=True).iterator())
    return max(0, (delivery.refused or 0) - known)


def members_afterwards(delivery: Delivery) -> int:
    """How many members the vendor must hold once what it acknowledged of this delivery is live."""
    before = delivery.base_snapshot.members if delivery.base_snapshot else 0
    planned = before + delivery.adds - delivery.removes
    # Some who are told of are perhaps there already, or not; some have ended since.
    before += int(delivery.memory.get("after", planned)) - planned
    ways = {"joined": Q(removes=0), "left": Q(adds=0), "both": Q(adds__gt=0, removes__gt=0)}
    sums = delivery.parts.filter(status=PartStatus.ACKNOWLEDGED).aggregate(
        **{f"sum_{way}": Coalesce(Sum("accepted", filter=fits), 0) for way, fits in ways.items()}
    )
    if sums["sum_both"] or delivery.renewed:
        return before + delivery.adds - delivery.removes
    return int(before + sums["sum_joined"] - sums["sum_left"])


def count_done_steps(lease: Lease, delivery: Delivery) -> None:
    """Cut each part that was stopped on its way in two: what was done is acknowledged, the rest stays as it ended."""
    stopped = delivery.parts.filter(status__in=STOPPED, memory__cursor__gt=0)
    for part in list(stopped.order_by("number")):
        steps = Steps.of(part.memory)
        if steps.done > len(steps.refused) and files.exists(delivery.changes_file):
            _cut(lease, delivery, part, steps)


def _cut(lease: Lease, delivery: Delivery, part: Part, steps: Steps) -> None:
    with files.local_file(delivery.changes_file) as changes, ChangeReader(changes) as reader:
        rows = changes_of(changes, part.first_row, part.last_row, _ops(part))
        numbers = row_numbers(reader, part.first_row, part.last_row, _ops(part))
    # Written first: once the part is acknowledged nothing comes back to it.
    keep_refused_rows(delivery, part, [Refusal(row, why) for row, why in steps.refused.items()])
    done = min(steps.done, len(rows))
    text = f"Stopped on the way: {done:,} of {len(rows):,} members had been worked by then."
    with transaction.atomic():
        if done < len(rows):
            _keep_rest(delivery, part, numbers[done], rows[done:], text)
            lease.update(parts_total=F("parts_total") + 1)
        _acknowledge(part, numbers[done - 1], rows[:done], steps, text)


def _keep_rest(delivery: Delivery, part: Part, first_row: int, rows: Sequence[Change], text: str) -> None:
    last = delivery.parts.aggregate(last=Max("number"))["last"] or 0
    Part.objects.create(
        delivery=delivery,
        number=last + 1,
        status=part.status,
        first_row=first_row,
        last_row=part.last_row,
        ops=part.ops,
        details=text,
        ended_at=part.ended_at,
        **_sizes(rows),
    )


def _acknowledge(part: Part, last_row: int, rows: Sequence[Change], steps: Steps, text: str) -> None:
    fields: dict[str, Any] = {
        "status": PartStatus.ACKNOWLEDGED,
        "phase": RemoteStatus.SUCCEEDED.value,
        "last_row": last_row,
        "accepted": len(rows) - len(steps.refused),
        "refused": len(steps.refused),
        "details": text,
        "intent": None,
        "memory": {**part.memory, REFUSED_ROWS: sorted(steps.refused)},
        **_sizes(rows),
    }
    for name, value in fields.items():
        setattr(part, name, value)
    part.save(update_fields=list(fields))


def _sizes(rows: Sequence[Change]) -> dict[str, int]:
    removes = sum(1 for row in rows if row.op == Op.REMOVE)
    return {"lines": len(rows), "removes": removes, "adds": len(rows) - removes}


def _ops(part: Part) -> tuple[Op, ...]:
    return tuple(Op(op) for op in part.ops)
