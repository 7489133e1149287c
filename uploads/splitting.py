"""Cutting a part in two when a vendor finds it too large."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Max

from audsync_web.vendors.connectors.formats import Op

from . import files
from .engine.changes import op_counts
from .models import Part, PartStatus
from .run import Run


def split_part(run: Run, part: Part) -> bool:
    """Cut a part in half; as often as the vendor says so. False when it holds a single row."""
    rows = part.last_row - part.first_row + 1
    if rows < 2:
        return False
    middle = part.first_row + rows // 2 - 1
    with transaction.atomic():
        last = run.parts().aggregate(last=Max("number"))["last"] or 0
        second = Part(delivery_id=part.delivery_id, number=last + 1, ops=part.ops, status=PartStatus.PLANNED)
        second.bytes = part.bytes
        _take_rows(run, second, middle + 1, part.last_row)
        _take_rows(run, part, part.first_row, middle)
        part.status, part.intent = PartStatus.PLANNED, None
        second.save()
        part.save()
        run.lease.update(parts_total=F("parts_total") + 1)
    return True


def _take_rows(run: Run, part: Part, first: int, last: int) -> None:
    ops = tuple(Op(op) for op in part.ops)
    with files.local_file(run.delivery.changes_file) as changes:
        counts = op_counts(changes, first, last, ops)
    part.first_row, part.last_row = first, last
    part.removes = counts[Op.REMOVE]
    part.adds = counts[Op.ADD] + counts[Op.RENEW]
    part.lines, part.bytes = part.adds + part.removes, part.bytes // 2
    part.memory = {}
