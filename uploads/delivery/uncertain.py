"""Parts that end without anybody learning what became of them, and what people are told of it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils import timezone

from segments.wording import NEXT_UPLOAD_MENDS, outcome_sentence
from uploads.models import PART_ENDED, Delivery, PartStatus

OUTCOME_UNKNOWN = "outcome_unknown"
OUR_FAULT = "internal_error"
NEXT_STEP = f"Retry, or upload the next file. {NEXT_UPLOAD_MENDS}"


def end_parts(delivery: Delivery, word: PartStatus, among: Q | None = None) -> int:
    """End open parts that are neither sent nor followed any more: with `word`, or as uncertain where the vendor may
    have taken them. `among` limits it to some of them. How many ended."""
    rows = delivery.parts.exclude(status__in=PART_ENDED)
    if among is not None:
        rows = rows.filter(among)
    has_begun = delivery.destination.vendor_account.connector.has_begun
    tried = rows.filter(sent_at__isnull=False).exclude(status=PartStatus.SUBMITTED)
    begun = [pk for pk, memory in tried.values_list("pk", "memory").iterator() if has_begun(memory)]
    perhaps = Q(status=PartStatus.SUBMITTED) | Q(intent__isnull=False) | Q(pk__in=begun)
    ended = {"ended_at": timezone.now(), "intent": None}
    uncertain = rows.filter(perhaps).update(status=PartStatus.UNCERTAIN, **ended)
    return int(uncertain + rows.update(status=word, **ended))


def told(delivery: Delivery, count: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The columns that tell people of `count` rows without outcome, behind the reason that stands in `fields` or the
    delivery."""
    reason = fields.get("error_text", delivery.error_text)
    own = delivery.error_code == OUR_FAULT
    return {
        "error_code": fields.get("error_code", delivery.error_code) or OUTCOME_UNKNOWN,
        "error_text": f"{reason} {outcome_sentence(count)}".strip(),
        "next_step": f"{delivery.next_step} {NEXT_UPLOAD_MENDS}" if own else NEXT_STEP,
    }
