"""Cutting a part in two when a vendor finds it too large."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Max

from audsync_web.vendors.connectors.formats import Op
from uploads import files
from uploads.engine.changes import ChangeReader, nth_row, op_counts
from uploads.models import Part, PartStatus

from .run import Run


def split_part(run: Run, part: Part) -> bool:
    """Cut a part into two of as many lines; as often as the vendor says so. False when it holds a single line."""
    lines = part.adds + part.removes
    if lines < 2:
        return False
    ops = tuple(Op(op) for op in part.ops)
    second = Part(delivery_id=part.delivery_id, ops=part.ops, last_row=part.last_row, bytes=part.bytes)
    with files.local_file(run.delivery.changes_file) as path, ChangeReader(path) as changes:
        # Rows that ask for something else lie between those of the part: they are another part's.
        part.last_row = nth_row(changes, part.first_row, part.last_row, ops, lines // 2)
        second.first_row = part.last_row + 1
        for half in (part, second):
            _count(half, op_counts(changes, half.first_row, half.last_row, ops))
    with transaction.atomic():
        second.number = (run.parts().aggregate(last=Max("number"))["last"] or 0) + 1
        second.save()
        part.save()
        run.lease.update(parts_total=F("parts_total") + 1)
    return True


def _count(half: Part, counts: dict[Op, int]) -> None:
    half.status, half.intent, half.memory = PartStatus.PLANNED, None, {}
    half.removes = counts[Op.REMOVE]
    half.adds = counts[Op.ADD] + counts[Op.RENEW]
    half.lines, half.bytes = half.adds + half.removes, half.bytes // 2
