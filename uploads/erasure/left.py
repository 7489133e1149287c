"""What an erasure does not do, as lines of its receipt: whoever reads it must not take silence for a removal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.utils import timezone

from segments.models import Destination
from uploads.models import Erasure, ErasureStep, PersonSearch, StepStatus, StepWhat

NOT_CHOSEN = "It was not asked for."
LEFT_THERE = (
    "The segment was left at the vendor when it ceased to be a destination, and AudSync changes nothing there any "
    "more. Take them out by hand."
)
NOT_KNOWN = (
    "Nobody can tell whether they are there: the segment was linked, and holds members that AudSync did not bring. "
    "Look by hand."
)


def left_steps(
    erasure: Erasure, search: PersonSearch, *, chosen: Collection[int], vendors_asked: Mapping[str, bool]
) -> Iterator[ErasureStep]:
    """The lines, not stored yet. `chosen`: destinations; `vendors_asked`: whether identities, profiles are erased."""
    given_up = _given_up([row["destination"] for row in search.findings])
    for row in search.findings:
        if row["destination"] in given_up:
            yield _line(erasure, row, StepWhat.REMOVAL, LEFT_THERE)
        elif row["destination"] not in chosen and not row["released"]:
            yield _line(erasure, row, StepWhat.REMOVAL, NOT_CHOSEN)
    for row in search.unknown:
        yield _line(erasure, row, StepWhat.REMOVAL, NOT_KNOWN)
    for row in search.profiles:
        if row.get("note"):
            yield _line(erasure, row, row["what"], row["note"])
        elif (row["count"] or row["error"]) and not vendors_asked[row["what"]]:
            yield _line(erasure, row, row["what"], NOT_CHOSEN)


def _given_up(keys: Collection[int]) -> set[int]:
    """Those that were left at the vendor by now, whatever they were when the search saw them."""
    return {row.pk for row in Destination.objects.filter(pk__in=keys) if row.is_left_there}


def _line(erasure: Erasure, row: dict[str, Any], what: str, text: str) -> ErasureStep:
    return ErasureStep(
        erasure=erasure,
        what=what,
        status=StepStatus.LEFT,
        vendor_account_id=row["account"],
        destination_id=row.get("destination"),
        name=row.get("name", ""),
        text=text,
        at=timezone.now(),
    )
