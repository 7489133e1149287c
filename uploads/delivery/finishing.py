"""The end of a delivery: seen to be live, the acknowledged membership brought up to date, the word that stays."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.jobs.leases import Lease
from audsync_web.jobs.models import cleared_error
from audsync_web.vendors.connectors.base import Confirmation
from audsync_web.vendors.connectors.formats import Op
from uploads import files
from uploads.engine.applying import apply_changes
from uploads.engine.changes import rows_of
from uploads.engine.uncertain import uncertain_after
from uploads.membership.snapshots import (
    day_of,
    ends_of,
    ensure_snapshot,
    snapshot_path,
    snapshot_replace,
    uncertain_path,
)
from uploads.models import Delivery, DeliveryStatus, Part, PartStatus, Upload

from .acknowledged import (
    acknowledged_ranges,
    count_done_steps,
    members_afterwards,
    refused_by_count,
    unknown_ranges,
)
from .planning import PARTS_AT_ONCE, delivery_folder
from .run import Run, part_holder, row_holder
from .sums import part_sums
from .uncertain import told

STOPPED_BY_A_PERSON = {
    "error_code": "stopped",
    "error_text": "Stopped by a person before all of it was done. What the vendor had taken by then stays there.",
    "next_step": "Send again what is missing, or upload another file.",
}
# Parts, in each direction, that a connector is shown and that sampled members are taken from.
SAMPLED_PARTS = 20


def finish(run: Run) -> None:
    """Every part has ended: confirm where the vendor can be asked, then end the delivery."""
    count_done_steps(run.lease, run.delivery)
    if run.delivery.details:
        # What it last waited for is over, and would stand before the reason of its end.
        run.lease.update(details="")
    run.reload()
    acknowledged = run.parts().filter(status=PartStatus.ACKNOWLEDGED)
    if acknowledged.exists() and run.connector.capabilities.confirms and not _is_confirmed(run):
        return
    run.reload()
    end_delivery(run.lease, run.delivery)


def _is_confirmed(run: Run) -> bool:
    """Ask whether the membership is live; False while it is to be asked again."""
    now = timezone.now()
    since = run.delivery.confirm_since or now
    parts = _sampled_parts(run)
    base = run.delivery.base_snapshot
    context = run.context(
        sample=_sample(run, parts),
        expected=members_afterwards(run.delivery),
        before=base.members if base is not None else 0,
    )
    answer = run.connector.confirm_delivery(context, [run.ref(part) for part in parts], since)
    fields: dict[str, Any] = {"confirm_since": since, "details": answer.text, "last_looked_at": now}
    if answer.memory:
        fields["memory"] = {**run.delivery.memory, **answer.memory}
    if answer.state == Confirmation.PENDING:
        again = now + timedelta(seconds=max(answer.look_again, 0.5))
        run.lease.update(status=DeliveryStatus.PROCESSING, next_action_at=again, **fields)
        return False
    if answer.state == Confirmation.REFUTED:
        fields |= {"error_code": "not_live", "error_text": answer.text}
        # It took them and does not show them; that it never will nobody has said.
        taken = run.parts().filter(status=PartStatus.ACKNOWLEDGED)
        taken.update(status=PartStatus.UNCERTAIN, accepted=None, refused=None)
    if answer.state == Confirmation.UNVERIFIED:
        fields |= {"suspect": answer.text or "Accepted by the vendor, not verified."}
    fields["details"] = " ".join(filter(None, (answer.text, _noted(run))))
    run.lease.update(**fields)
    return True


def _noted(run: Run) -> str:
    """What a vendor that took the members said beside it, which their being live does not settle."""
    noted = run.parts().filter(status=PartStatus.ACKNOWLEDGED).exclude(details="").order_by("number")
    return noted.values_list("details", flat=True).first() or ""


def _sampled_parts(run: Run) -> list[Part]:
    """A few acknowledged parts in each direction (a list may be sent without a change), the same at every look."""
    generator = random.Random(run.delivery.pk)  # noqa: S311  # nothing secret
    acknowledged = run.parts().filter(status=PartStatus.ACKNOWLEDGED).order_by("number")
    rows = list(acknowledged.values_list("pk", "adds", "removes"))
    adding, removing = [pk for pk, adds, _ in rows if adds], [pk for pk, _, removes in rows if removes]
    neither = [pk for pk, adds, removes in rows if not adds and not removes]
    chosen: set[int] = set()
    for some in (adding, removing, neither):
        chosen |= set(generator.sample(some, min(SAMPLED_PARTS, len(some))))
    return list(run.parts().filter(pk__in=chosen).order_by("number"))


def _sample(run: Run, parts: Sequence[Part]) -> dict[str, list[str]]:
    """A few identifiers that were added and removed, for vendors that are asked about single members. Never stored."""
    size = run.connector.sample_size
    if not size:
        return {}
    generator = random.Random(run.delivery.pk)  # noqa: S311  # the same sample at every look, nothing secret
    found: dict[str, list[str]] = {"added": [], "removed": []}
    with files.local_file(run.delivery.changes_file) as changes:
        for name, ops in (("added", (Op.ADD, Op.RENEW)), ("removed", (Op.REMOVE,))):
            holding = [part for part in parts if set(part.ops) & {int(op) for op in ops}]
            for part in generator.sample(holding, min(size, len(holding))):
                rows = rows_of(changes, part.first_row, part.last_row, ops)
                found[name] += generator.sample(rows, min(len(rows), -(-size // len(holding))))
    return {name: values[:size] for name, values in found.items()}


def end_delivery(lease: Lease, delivery: Delivery) -> None:
    """Fold what was acknowledged into the snapshot, and give the delivery its last word, in one transaction."""
    if delivery.planned_at is None:
        delivery.parts.all().delete()  # a plan that was begun and not finished counts for nothing
    count_done_steps(lease, delivery)
    sums = part_sums(delivery)
    delivery.accepted, delivery.refused = sums["accepted"], sums["refused"]
    status = _final_status(delivery)
    folded = _fold(delivery) if _is_to_be_folded(delivery) else None
    now = timezone.now()
    with transaction.atomic():
        if folded is not None:
            snapshot_replace(delivery.destination, **folded)
        fields: dict[str, Any] = {
            **sums,
            "status": status,
            "is_live": False,
            "finished_at": now,
            "next_action_at": None,
            "attention_since": None,
        }
        if status == DeliveryStatus.COMPLETED:
            fields |= cleared_error()
        elif not delivery.error_text:
            fields |= _reason(delivery, status)
        if delivery.parts.filter(status=PartStatus.UNCERTAIN).exists():
            fields |= told(delivery, sums["uncertain"], fields)
        elif status in {DeliveryStatus.FAILED, DeliveryStatus.PARTIAL} and not delivery.next_step:
            fields = {"next_step": _next_step(delivery)} | fields
        lease.update(**fields)
        if delivery.refused or delivery.held_report or delivery.vendor_report:
            # It ended after its upload's reports were deleted: its own are left, for retention to find.
            Upload.objects.filter(pk=delivery.upload_id, report_gone_at__isnull=False).update(report_gone_at=None)
    # The bytes of a part whose answer never came were kept to be compared with what the vendor has.
    files.drop_spilled(delivery_folder(delivery))
    _leave_gates(delivery)
    _wake_next(delivery)


def _leave_gates(delivery: Delivery) -> None:
    """Nothing of an ended delivery stays inside a gate."""
    numbers = delivery.parts.order_by().values_list("pk", flat=True).iterator()
    while holders := [part_holder(pk) for pk in itertools.islice(numbers, PARTS_AT_ONCE)]:
        quotas.leave(*holders)
    quotas.leave(row_holder(delivery.pk))


def _reason(delivery: Delivery, status: DeliveryStatus) -> dict[str, Any]:
    """Why a delivery did not complete, out of what the vendor said of its parts: first of those that did not arrive.
    Else somebody stopped it."""
    endings = [PartStatus.FAILED, PartStatus.UNCERTAIN, PartStatus.CANCELLED, PartStatus.ACKNOWLEDGED]
    if delivery.cancel_requested_at:
        endings.remove(PartStatus.CANCELLED)  # that was our own wish
    telling = (delivery.parts.filter(status=ending).exclude(details="").order_by("number") for ending in endings)
    details = next((part.details for parts in telling for part in parts[:1]), "") or delivery.suspect
    if details:
        return {"error_code": "vendor_failed", "error_text": details}
    return STOPPED_BY_A_PERSON if status == DeliveryStatus.PARTIAL and delivery.cancel_requested_at else {}


def _next_step(delivery: Delivery) -> str:
    """What to do where the reason itself does not say it."""
    if delivery.refused and not delivery.accepted:
        return "Compare the identifiers in the file with the kind that this destination is fed with, then upload again."
    named = " and name the job" if delivery.parts.exclude(job_id="").exists() else ""
    label = delivery.destination.vendor_account.connector.label
    return f"Send again what failed. If it ends the same way, ask {label}{named}."


def _final_status(delivery: Delivery) -> DeliveryStatus:
    statuses = set(delivery.parts.values_list("status", flat=True).distinct())
    if delivery.planned_at is None:
        return (
            DeliveryStatus.CANCELLED
            if delivery.cancel_requested_at and not delivery.error_code
            else DeliveryStatus.FAILED
        )
    if statuses <= {PartStatus.ACKNOWLEDGED}:
        nothing_taken = delivery.sent and delivery.accepted == 0 and (delivery.refused or 0) > 0
        return DeliveryStatus.FAILED if nothing_taken else DeliveryStatus.COMPLETED
    if PartStatus.ACKNOWLEDGED in statuses:
        return DeliveryStatus.PARTIAL
    return DeliveryStatus.CANCELLED if statuses <= {PartStatus.CANCELLED} else DeliveryStatus.FAILED


def _is_to_be_folded(delivery: Delivery) -> bool:
    if delivery.planned_at is None or not files.exists(delivery.changes_file):
        return False
    changed = delivery.parts.filter(status__in=[PartStatus.ACKNOWLEDGED, PartStatus.UNCERTAIN]).exists()
    # Without parts nothing had to be sent, but members whose day has passed leave the snapshot all the same.
    # That says nothing of a segment whose members nobody knows.
    return changed or (not delivery.parts_total and delivery.destination.membership_known)


def _fold(delivery: Delivery) -> dict[str, Any]:
    """Write the membership that the vendor has now, and who is perhaps there; what `snapshot_replace` is to be told."""
    folder = delivery_folder(delivery)
    file, uncertain_file, uncertain = f"{folder}/snapshot", f"{folder}/uncertain", 0
    base = delivery.base_snapshot or ensure_snapshot(delivery.destination)
    with ExitStack() as stack:
        changes = stack.enter_context(files.local_file(delivery.changes_file))
        out = stack.enter_context(files.new_file(file))
        acknowledged, unknown = acknowledged_ranges(delivery, changes), unknown_ranges(delivery)
        # A whole list is one part, and having been acknowledged it tells of everybody.
        listed = bool(delivery.memory.get("whole_list") and delivery.parts_total and acknowledged)
        members = apply_changes(
            stack.enter_context(snapshot_path(base)),
            changes,
            acknowledged,
            upload_id=str(delivery.upload_id),
            ends_day=day_of(delivery.ends_on) if delivery.ends_on else 0,
            out=out,
            refresh_all=listed,
        )
        ends = ends_of(out)
        before = stack.enter_context(uncertain_path(base))
        if not listed and (unknown or before):
            beside = stack.enter_context(files.new_file(uncertain_file))
            uncertain = uncertain_after(before, changes, acknowledged, unknown, beside)
    if not uncertain:
        files.delete(uncertain_file)
    # Where nothing was acknowledged the membership is still the one that an earlier delivery made, if any did.
    maker = delivery if acknowledged else base and base.delivery
    refused = refused_by_count(delivery) if acknowledged else base.refused if base else 0
    return {
        "file": file,
        "members": members,
        "refused": refused,
        "delivery": maker,
        "ends": ends,
        "uncertain_file": uncertain_file if uncertain else "",
        "uncertain": uncertain,
    }


def _wake_next(delivery: Delivery) -> None:
    waiting = Delivery.objects.open().filter(destination_id=delivery.destination_id, is_live=False)
    following = waiting.exclude(status=DeliveryStatus.STAGED).order_by("pk").values_list("pk", flat=True).first()
    if following is not None:
        Delivery.objects.filter(pk=following).update(next_action_at=timezone.now())
