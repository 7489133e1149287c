"""What a vendor's answer means for a part and for its delivery's counts."""

from __future__ import annotations

import csv
import gzip
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from audsync_web.vendors.connectors.base import RemoteState, RemoteStatus
from audsync_web.vendors.connectors.formats import Op

from . import files
from .engine.changes import changes_of
from .models import PART_ENDED, Part, PartStatus
from .planning import delivery_folder
from .run import Run

_ENDINGS = {
    RemoteStatus.SUCCEEDED: PartStatus.ACKNOWLEDGED,
    RemoteStatus.FAILED: PartStatus.FAILED,
    RemoteStatus.CANCELLED: PartStatus.CANCELLED,
}


def store_state(run: Run, part: Part, state: RemoteState) -> None:
    """Write a vendor's answer to the part, and the delivery's sums that follow from it."""
    now = timezone.now()
    if state.resend and state.status.is_final and state.status != RemoteStatus.SUCCEEDED:
        _send_again(part, state)
        return
    fields: dict[str, Any] = {
        "intent": None,
        "job_id": state.job_id or part.job_id,
        "vendor_status": state.raw[:120],
        "phase": state.status.value,
        "counters": dict(state.counters) or part.counters,
        "details": state.details or "",
        "memory": {**part.memory, **state.memory},
    }
    if state.status.is_final:
        fields |= {"status": _ending(state), "ended_at": now, "next_poll_at": None, **_answers(run, part, state)}
    else:
        fields |= {"status": PartStatus.SUBMITTED, "next_poll_at": now + timedelta(seconds=_next_poll(run, part))}
    for name, value in fields.items():
        setattr(part, name, value)
    part.save(update_fields=list(fields))
    _keep_refusals(run, part, state)
    _sum_up(run, state)


def _ending(state: RemoteState) -> PartStatus:
    if state.status != RemoteStatus.PARTIAL:
        return _ENDINGS[state.status]
    # The vendor took the part and counted failed lines: those are refusals. With nothing accepted it was never taken.
    return PartStatus.ACKNOWLEDGED if state.accepted else PartStatus.FAILED


def _answers(run: Run, part: Part, state: RemoteState) -> dict[str, int | None]:
    """Accepted and refused rows of an ended part, in rows of the difference whatever went over the wire."""
    if _ending(state) != PartStatus.ACKNOWLEDGED:
        return {"accepted": None, "refused": None}
    rows = part.adds + part.removes
    refused = min(rows, state.refused or 0)
    whole_list = bool(run.delivery.memory.get("whole_list"))
    accepted = rows - refused
    if state.accepted is not None and not whole_list:
        accepted = min(accepted, state.accepted)
    return {"accepted": accepted, "refused": refused}


def _send_again(part: Part, state: RemoteState) -> None:
    part.memory = {**part.memory, **state.memory}
    part.status, part.intent, part.job_id, part.next_poll_at = PartStatus.PLANNED, None, "", None
    part.vendor_status, part.details, part.counters = state.raw[:120], state.details or "", dict(state.counters)
    part.resends += 1
    part.polls = 0
    part.save()


def _next_poll(run: Run, part: Part) -> float:
    waited = (timezone.now() - part.sent_at).total_seconds() if part.sent_at else 0.0
    return run.connector.next_poll(waited, part.polls)


def _keep_refusals(run: Run, part: Part, state: RemoteState) -> None:
    """Refused identifiers and the vendor's own error file go to private files of the delivery."""
    if state.report:
        name = f"{delivery_folder(run.delivery)}/vendor-report-{part.number}"
        files.delete(name)
        with files.new_file(name) as path:
            path.write_bytes(state.report)
            path.chmod(0o600)
        run.lease.update(vendor_report=name)
    if state.refusals:
        _append_refusals(run, part, state)


def _append_refusals(run: Run, part: Part, state: RemoteState) -> None:
    with files.local_file(run.delivery.changes_file) as changes:
        rows = changes_of(changes, part.first_row, part.last_row, tuple(Op(op) for op in part.ops))
    name = f"{delivery_folder(run.delivery)}/refused-{part.number}.csv.gz"
    files.delete(name)
    with files.new_file(name) as path:
        _write_refusals(path, [(rows[r.row].identifier, r.reason) for r in state.refusals if 0 <= r.row < len(rows)])


def _write_refusals(path: Path, rows: list[tuple[str, str]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows(rows)
    path.chmod(0o600)


def _sum_up(run: Run, state: RemoteState) -> None:
    sums = run.parts().aggregate(accepted=Sum("accepted"), refused=Sum("refused"))
    done = run.parts().filter(status__in=PART_ENDED).count()
    fields: dict[str, Any] = {
        "accepted": sums["accepted"],
        "refused": sums["refused"],
        "parts_done": done,
        "vendor_status": state.raw[:120],
        "vendor_phase": state.status.value,
        "last_looked_at": timezone.now(),
    }
    if state.suspect:
        fields["suspect"] = state.suspect
    if state.counters:
        fields["counters"] = dict(state.counters)
    run.lease.update(**fields)
