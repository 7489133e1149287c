"""Cutting a part in two when a vendor finds it too large."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Max

from audsync_web.vendors.connectors.formats import Op

from . import files
from .engine.changes import changes_of
from .models import Part, PartStatus
from .run import Run

MOST_ROWS = 2_000_000


def split_part(run: Run, part: Part) -> bool:
    """Cut a part in half, once. False when it was cut before, holds one row, or is too large to be counted again."""
    rows = part.last_row - part.first_row + 1
    if part.memory.get("cut") or rows < 2 or rows > MOST_ROWS:
        return False
    middle = part.first_row + rows // 2 - 1
    with transaction.atomic():
        last = run.parts().aggregate(last=Max("number"))["last"] or 0
        second = Part(delivery_id=part.delivery_id, number=last + 1, ops=part.ops, status=PartStatus.PLANNED)
        _take_rows(run, second, middle + 1, part.last_row)
        _take_rows(run, part, part.first_row, middle)
        part.status, part.intent = PartStatus.PLANNED, None
        second.save()
        part.save()
        run.lease.update(parts_total=F("parts_total") + 1)
    return True


def _take_rows(run: Run, part: Part, first: int, last: int) -> None:
    with files.local_file(run.delivery.changes_file) as changes:
        rows = changes_of(changes, first, last, tuple(Op(op) for op in part.ops))
    part.first_row, part.last_row = first, last
    part.removes = sum(1 for row in rows if row.op == Op.REMOVE)
    part.adds = len(rows) - part.removes
    part.lines, part.bytes = len(rows), part.bytes // 2
    part.memory = {"cut": True}
