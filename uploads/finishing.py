"""The end of a delivery: seen to be live, the acknowledged membership brought up to date, the word that stays."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.jobs.leases import Lease
from audsync_web.jobs.models import cleared_error
from audsync_web.vendors.connectors.base import Confirmation
from audsync_web.vendors.connectors.formats import Op

from . import files
from .engine.applying import ALL, AckRange, apply_changes
from .engine.changes import rows_of
from .membership import day_of, ends_of, ensure_snapshot, snapshot_path, snapshot_replace
from .models import Delivery, DeliveryStatus, Part, PartStatus
from .outcomes import part_sums
from .planning import PARTS_AT_ONCE, delivery_folder
from .run import Run, part_holder, row_holder

SAMPLED = 20


def finish(run: Run) -> None:
    """Every part has ended: confirm where the vendor can be asked, then end the delivery."""
    run.ended = True
    run.reload()
    acknowledged = run.parts().filter(status=PartStatus.ACKNOWLEDGED)
    if (
        acknowledged.exists()
        and run.connector.capabilities.confirms
        and not _is_confirmed(run, list(acknowledged[:500]))
    ):
        return
    run.reload()
    end_delivery(run.lease, run.delivery)


def _is_confirmed(run: Run, parts: Sequence[Part]) -> bool:
    """Ask whether the membership is live; False while it is to be asked again."""
    now = timezone.now()
    since = run.delivery.confirm_since or now
    context = run.context(sample=_sample(run, parts), expected=_expected(run))
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
        Part.objects.filter(delivery_id=run.delivery.pk).update(status=PartStatus.FAILED)
    if answer.state == Confirmation.UNVERIFIED:
        fields |= {"suspect": answer.text or "Accepted by the vendor, not verified."}
    run.lease.update(**fields)
    return True


def _expected(run: Run) -> int:
    """Members held once this delivery is live."""
    base = run.delivery.base_snapshot
    return (base.members if base else 0) + run.delivery.adds - run.delivery.removes


def _sample(run: Run, parts: Sequence[Part]) -> dict[str, list[str]]:
    """A few identifiers that were added and removed, for vendors that are asked about single members. Never stored."""
    if not run.connector.capabilities.neighbours:
        return {}
    generator = random.Random(run.delivery.pk)  # noqa: S311  # the same sample at every look, nothing secret
    found: dict[str, list[str]] = {"added": [], "removed": []}
    with files.local_file(run.delivery.changes_file) as changes:
        for name, ops in (("added", (Op.ADD, Op.RENEW)), ("removed", (Op.REMOVE,))):
            holding = [part for part in parts if set(part.ops) & {int(op) for op in ops}]
            for part in generator.sample(holding, min(SAMPLED, len(holding))):
                rows = rows_of(changes, part.first_row, part.last_row, ops)
                found[name] += generator.sample(rows, min(len(rows), -(-SAMPLED // max(1, len(holding)))))
    return {name: values[:SAMPLED] for name, values in found.items()}


def end_delivery(lease: Lease, delivery: Delivery) -> None:
    """Fold what was acknowledged into the snapshot, and give the delivery its last word, in one transaction."""
    sums = part_sums(delivery)
    delivery.accepted, delivery.refused = sums["accepted"], sums["refused"]
    status = _final_status(delivery)
    name, members = "", 0
    ends: dict[str, Any] = {}
    if _is_to_be_folded(delivery):
        name = f"{delivery_folder(delivery)}/snapshot"
        members, ends = _fold(delivery, name)
    now = timezone.now()
    with transaction.atomic():
        if name:
            snapshot_replace(
                delivery.destination,
                file=name,
                members=members,
                refused=delivery.refused or 0,
                delivery=delivery,
                ends=ends,
            )
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
            fields |= _reason(delivery)
        lease.update(**fields)
    _leave_gates(delivery)
    _wake_next(delivery)


def _leave_gates(delivery: Delivery) -> None:
    """Nothing of an ended delivery stays inside a gate."""
    numbers = delivery.parts.order_by().values_list("pk", flat=True).iterator()
    while holders := [part_holder(pk) for pk in itertools.islice(numbers, PARTS_AT_ONCE)]:
        quotas.leave(*holders)
    quotas.leave(row_holder(delivery.pk))


def _reason(delivery: Delivery) -> dict[str, Any]:
    """Why a delivery did not complete, out of what the vendor said of its parts."""
    said = delivery.parts.filter(status__in=[PartStatus.FAILED, PartStatus.ACKNOWLEDGED]).exclude(details="")
    details = said.order_by("status", "number").values_list("details", flat=True).first() or delivery.suspect
    return {"error_code": "vendor_failed", "error_text": details} if details else {}


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
    return DeliveryStatus.FAILED if PartStatus.FAILED in statuses else DeliveryStatus.CANCELLED


def _is_to_be_folded(delivery: Delivery) -> bool:
    if delivery.planned_at is None or not files.exists(delivery.changes_file):
        return False
    acknowledged = delivery.parts.filter(status=PartStatus.ACKNOWLEDGED).exists()
    # Without parts nothing had to be sent, but members whose day has passed leave the snapshot all the same.
    # That says nothing of a segment whose members nobody knows.
    return acknowledged or (not delivery.parts_total and delivery.destination.membership_known)


def _fold(delivery: Delivery, name: str) -> tuple[int, dict[str, Any]]:
    """Write the membership that the vendor has now; how many members it has, and when they end."""
    whole_list = bool(delivery.memory.get("whole_list"))
    ranges: Any = ALL
    if not whole_list and delivery.parts.exclude(status=PartStatus.ACKNOWLEDGED).exists():
        rows = delivery.parts.filter(status=PartStatus.ACKNOWLEDGED).order_by("first_row")
        ranges = [AckRange(p.first_row, p.last_row, tuple(Op(op) for op in p.ops)) for p in rows.iterator()]
    base = delivery.base_snapshot or ensure_snapshot(delivery.destination)
    with (
        files.local_file(delivery.changes_file) as changes,
        snapshot_path(base) as base_path,
        files.new_file(name) as out,
    ):
        members = apply_changes(
            base_path,
            changes,
            ranges,
            upload_id=str(delivery.upload_id),
            ends_day=day_of(delivery.ends_on) if delivery.ends_on else 0,
            out=out,
            refresh_all=whole_list,
        )
        return members, ends_of(out)


def _wake_next(delivery: Delivery) -> None:
    waiting = Delivery.objects.open().filter(destination_id=delivery.destination_id, is_live=False)
    following = waiting.exclude(status=DeliveryStatus.STAGED).order_by("pk").values_list("pk", flat=True).first()
    if following is not None:
        Delivery.objects.filter(pk=following).update(next_action_at=timezone.now())
