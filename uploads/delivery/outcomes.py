"""What a vendor's answer means for a part and for its delivery's counts."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from audsync_web.vendors.connectors.base import Refusal, RemoteState, RemoteStatus
from audsync_web.vendors.connectors.formats import Op
from uploads import files
from uploads.engine.changes import changes_of
from uploads.models import PART_ENDED, Delivery, Part, PartStatus

from .payload import Payload
from .reports import refused_name, vendor_report_name
from .run import Run
from .sums import SentSums, part_sums
from .writing import change_part

_ENDINGS = {
    RemoteStatus.SUCCEEDED: PartStatus.ACKNOWLEDGED,
    RemoteStatus.FAILED: PartStatus.FAILED,
    RemoteStatus.CANCELLED: PartStatus.CANCELLED,
}
# In a part's memory: which of its rows the vendor refused by name.
REFUSED_ROWS = "refusedRows"


def store_state(run: Run, part: Part, state: RemoteState, *, wire: Payload | None = None) -> None:
    """Write a vendor's answer to the part, and the delivery's sums that follow from it.

    With `wire`, the answer to a send, the delivery's sums grow by the part, at once or with those of its row: with
    hundreds of parts that end at once, adding all of them up after each would take longer than sending them.
    """
    again = state.resend and state.status.is_final and state.status != RemoteStatus.SUCCEEDED
    # Files first: once the part has ended nothing comes back to it, and no transaction waits for storage.
    report = _keep_report(run, part, state)
    if not again:
        keep_refused_rows(run.delivery, part, state.refusals)
    # An end whose sums are gathered by its row is one statement, which needs no transaction around it.
    is_gathered = wire is not None and run.row is not None and state.status.is_final and not again and not report
    with nullcontext() if is_gathered else transaction.atomic():
        if again:
            _send_again(part, state)
        else:
            _write_answer(run, part, state)
        _name_report(run, report)
        told = {} if again else _told(state)
        if wire is not None:
            _add_sent(run, part, wire, told)
        elif not again:
            run.lease.update(**part_sums(run.delivery), **told)


def _write_answer(run: Run, part: Part, state: RemoteState) -> None:
    now = timezone.now()
    fields: dict[str, Any] = {
        "intent": None,
        "job_id": state.job_id or part.job_id,
        "vendor_status": state.raw[:120],
        "phase": state.status.value,
        "counters": dict(state.counters) or part.counters,
        "details": state.details or "",
        "memory": {**part.memory, **state.memory, **_named(state)},
    }
    if state.status.is_final:
        fields |= {"status": _ending(state), "ended_at": now, "next_poll_at": None, **_answers(run, part, state)}
    else:
        fields |= {"status": PartStatus.SUBMITTED, "next_poll_at": now + timedelta(seconds=_next_poll(run, part))}
    change_part(run.lease, part, **fields)


def _add_sent(run: Run, part: Part, wire: Payload, told: dict[str, Any]) -> None:
    """Count an answered send: one that ended its part with those of the row, any other at once."""
    sums = run.row if run.row is not None and part.status in PART_ENDED else SentSums()
    sums.add(wire, part)
    sums.told |= told
    if sums is not run.row:
        run.lease.update(**sums.fields())


def _named(state: RemoteState) -> dict[str, Any]:
    return {REFUSED_ROWS: sorted(refusal.row for refusal in state.refusals)} if state.refusals else {}


def _ending(state: RemoteState) -> PartStatus:
    if state.status != RemoteStatus.PARTIAL:
        return PartStatus.UNCERTAIN if state.perhaps else _ENDINGS[state.status]
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
    part.polls, part.phase = 0, ""
    part.save()


def _next_poll(run: Run, part: Part) -> float:
    waited = (timezone.now() - part.sent_at).total_seconds() if part.sent_at else 0.0
    return run.connector.next_poll(waited, part.polls)


def _keep_report(run: Run, part: Part, state: RemoteState) -> str:
    """Write the vendor's own error file to a private file of the delivery; its name, empty where there is none."""
    if not state.report:
        return ""
    name = vendor_report_name(run.delivery, part.number)
    with files.new_file(name) as path:
        path.write_bytes(state.report)
        path.chmod(0o600)
    return name


def _name_report(run: Run, name: str) -> None:
    if name:
        run.lease.update(vendor_report=name)


def keep_refused_rows(delivery: Delivery, part: Part, refusals: Sequence[Refusal]) -> None:
    """Write the identifiers that a vendor refused by name, with its reasons, where rejections are read from."""
    if not refusals:
        return
    with files.local_file(delivery.changes_file) as changes:
        rows = changes_of(changes, part.first_row, part.last_row, tuple(Op(op) for op in part.ops))
    name = refused_name(delivery, part.number)
    with files.new_file(name) as path:
        _write_refusals(path, [(rows[r.row].identifier, r.reason) for r in refusals if 0 <= r.row < len(rows)])


def _write_refusals(path: Path, rows: list[tuple[str, str]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows(rows)
    path.chmod(0o600)


def _told(state: RemoteState) -> dict[str, Any]:
    """What the vendor said, as the delivery shows it."""
    fields: dict[str, Any] = {
        "vendor_status": state.raw[:120],
        "vendor_phase": state.status.value,
        "last_looked_at": timezone.now(),
    }
    if state.suspect:
        fields["suspect"] = state.suspect
    if state.counters:
        fields["counters"] = dict(state.counters)
    return fields
