"""Planning a delivery: its difference to the acknowledged membership, and the parts that will carry it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Q
from django.utils import timezone

from audsync_web.jobs.leases import Lease
from audsync_web.vendors.connectors.base import Connector, DeliveryContext, Level
from audsync_web.vendors.connectors.errors import Permanent
from audsync_web.vendors.connectors.formats import Op, PartRules
from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.selectors import accounts_beside
from segments.models import Destination
from uploads import files
from uploads.engine.difference import MAX_NEIGHBOURS, DifferenceCounts, Target, difference_many
from uploads.engine.ending import members_ending
from uploads.engine.members import DerivedResult
from uploads.engine.parts import PartRange, PartTooLarge, plan_parts
from uploads.engine.progress import ProgressCallback
from uploads.engine.uncertain import together
from uploads.membership.snapshots import (
    Lifetime,
    ensure_snapshot,
    erased_of,
    lifetime_for,
    members_for,
    snapshot_path,
    source_members,
    uncertain_path,
)
from uploads.models import Delivery, DeliveryStatus, Mode, Snapshot
from uploads.rules import ALL_ERASED, LIFTED_BY, feed_instead

from .writing import insert_parts

PARTS_AT_ONCE = 500
LARGER_PARTS = "Leave the longest identifiers out, or let the account's parts be larger."


@dataclass(frozen=True)
class Planned:
    """What planning found out."""

    counts: DifferenceCounts
    derived: DerivedResult
    lifetime: Lifetime
    base: Snapshot | None


def delivery_folder(delivery: Delivery) -> str:
    """Where a delivery's files lie in storage."""
    return f"company-{delivery.company_id}/upload-{delivery.upload_id}/delivery-{delivery.pk}"


def context_of(delivery: Delivery, destination: Destination, **memory: Any) -> DeliveryContext:
    """A delivery as its connector sees it."""
    return DeliveryContext(
        key=str(delivery.pk),
        number=delivery.pk,
        segment=destination.ref(),
        identifier=destination.identifier,
        mode=delivery.mode,  # type: ignore[arg-type]  # held to the three modes by a constraint
        planned_at=delivery.planned_at or timezone.now(),
        ends_at=delivery.ends_at,
        neighbours=tuple(delivery.memory.get("neighbours", ())),
        memory={**delivery.memory, **memory},
    )


def plan(lease: Lease, delivery: Delivery, connector: Connector, progress: ProgressCallback | None = None) -> None:
    """Compute the difference, cut it into parts, and leave the delivery ready to be sent (or staged, or done)."""
    destination = delivery.destination
    base = ensure_snapshot(destination)
    _refuse_unknown_membership(delivery, connector, base)
    now = timezone.now()
    lifetime = lifetime_for(connector, destination.segment.duration_days, now)
    neighbours = _neighbours(destination, connector) if connector.asks_for_neighbours else []
    folder = delivery_folder(delivery)
    changes_name, held_name = f"{folder}/changes", f"{folder}/held.csv.gz"
    with ExitStack() as stack:
        changes = stack.enter_context(files.new_file(changes_name))
        held_report = stack.enter_context(files.new_file(held_name))
        planned = _difference(delivery, connector, lifetime, base, neighbours, changes, held_report, progress)
        if not held_report.exists():
            held_report.touch(mode=0o600)
        _refuse_nobody(delivery, connector, planned)
        _refuse_too_many_removals(delivery, planned)
        delivery.planned_at, delivery.ends_at = now, lifetime.ends_at
        delivery.memory = {**delivery.memory, "neighbours": [row.destination.remote_id for row in neighbours]}
        rules = connector.part_rules(context_of(delivery, destination))
        try:
            total = _store_parts(delivery, _parts(delivery, connector, changes, rules, planned))
        except PartTooLarge as error:
            raise Permanent(str(error), code="too_large", next_step=LARGER_PARTS) from error
        if _leaves_members_there(planned) and delivery.mode != Mode.REMOVE:
            _refuse_missing_segment(destination, connector)
    if not planned.derived.held:
        files.delete(held_name)
        held_name = ""
    _store_plan(lease, delivery, planned, rules, total, changes_name, held_name)


def _leaves_members_there(planned: Planned) -> bool:
    """Whether it brings nobody and counts on others being there: no call for a member would tell that none is."""
    counts = planned.counts
    return bool(counts.unchanged) and not counts.adds and not counts.renewed


def _refuse_unknown_membership(delivery: Delivery, connector: Connector, base: Snapshot | None) -> None:
    if base is not None and delivery.destination.membership_known:
        return
    label = connector.label
    if delivery.mode == Mode.REPLACE and not _is_whole_list(connector, delivery):
        raise Permanent(
            f"Nobody knows who is in this segment at {label}, so AudSync cannot tell who would have to leave it.",
            code="membership_unknown",
            next_step="Upload with the mode “add”, or give the destination a new remote segment and upload again.",
        )
    if delivery.mode != Mode.REPLACE and _is_whole_list(connector, delivery):
        raise Permanent(
            f"{label} takes only whole lists, and nobody knows who is in this segment there.",
            code="membership_unknown",
            next_step="Upload the whole list once with the mode “replace”.",
        )


def _is_whole_list(connector: Connector, delivery: Delivery) -> bool:
    return connector.part_rules(context_of(delivery, delivery.destination)).whole_list


def _neighbours(destination: Destination, connector: Connector) -> list[Snapshot]:
    """Acknowledged memberships of the other destinations that write to the same profiles, in a stable order."""
    rows = Snapshot.objects.filter(
        destination__vendor_account__in=accounts_beside(destination.vendor_account),
        destination__identifier=destination.identifier,
        superseded_at__isnull=True,
    )
    # A removed destination that was left as it is still holds its members at the vendor.
    gone = Q(destination__status="released") & ~Q(destination__release_choice="leave")
    others = rows.exclude(destination=destination).exclude(file="").exclude(gone)
    found = list(others.select_related("destination").order_by("destination_id")[: MAX_NEIGHBOURS + 1])
    if len(found) > MAX_NEIGHBOURS:
        raise Permanent(
            f"More than {MAX_NEIGHBOURS} other segments of this account have members, and {connector.label} may forget "
            "those that are not named again with each of them.",
            code="too_many_segments",
            next_step="Have members written one by one in the account's settings, or spread segments over workspaces.",
        )
    return found


def _difference(
    delivery: Delivery,
    connector: Connector,
    lifetime: Lifetime,
    base: Snapshot | None,
    neighbours: list[Snapshot],
    changes: Path,
    held_report: Path,
    progress: ProgressCallback | None,
) -> Planned:
    destination = delivery.destination
    with ExitStack() as stack:
        folder = stack.enter_context(files.spill_folder())
        source, kind = _source(delivery, lifetime, base, folder, stack)
        wanted_out = bool(delivery.upload.origin.get("erasure")) and delivery.source_snapshot_id is None
        base_path = stack.enter_context(snapshot_path(base))
        uncertain = stack.enter_context(uncertain_path(base))
        members, derived = stack.enter_context(
            members_for(
                source,
                kind=kind,
                connector=connector,
                identifier=destination.identifier,
                folder=folder,
                report=held_report,
                held=[path for path in (base_path, uncertain) if path is not None],
                # The removal of an erased person must name them.
                erased=None if wanted_out else erased_of(delivery.company_id, kind, destination, connector),
                progress=progress,
            )
        )
        others = [stack.enter_context(snapshot_path(row)) for row in neighbours]
        target = Target(
            base_path,
            mode=delivery.mode,  # type: ignore[arg-type]  # held to the three modes by a constraint
            today=lifetime.today,
            renew_before_day=_renew_before(delivery, lifetime),
            upload_id=str(delivery.upload_id),
            out=changes,
            neighbours=tuple(path for path in others if path is not None),
            refresh_all=bool(delivery.upload.origin.get("refresh_all")),
            unknown=not destination.membership_known,
            uncertain=uncertain,
        )
        counts = difference_many(members, [target], progress)[0]
    return Planned(counts, derived, lifetime, base)


def _renew_before(delivery: Delivery, lifetime: Lifetime) -> int:
    """The day before which a member that stays is sent again; a top-up brings its own."""
    days = delivery.upload.origin.get("renew_within_days")
    return lifetime.renew_before if days is None else lifetime.today + int(days) + 1


def _source(
    delivery: Delivery, lifetime: Lifetime, base: Snapshot | None, folder: Path, stack: ExitStack
) -> tuple[Path, str]:
    """The members a delivery starts from: its upload's, or an acknowledged membership.

    A top-up starts from those who are there now and end soon, so that nobody who left meanwhile comes back.
    """
    if delivery.source_snapshot_id and delivery.source_snapshot is not None:
        snapshot = delivery.source_snapshot
        source = stack.enter_context(source_members(snapshot))
        if "emptying" in delivery.upload.origin:
            # Whoever is perhaps there has to leave, too.
            everybody = folder / "everybody"
            together(source, stack.enter_context(uncertain_path(base)), everybody)
            source = everybody
        return source, snapshot.destination.identifier
    if "renew_within_days" in delivery.upload.origin:
        base_path, out = stack.enter_context(snapshot_path(base)), folder / "ending"
        if base_path is None:
            raise Permanent(
                "Nobody is in this segment there any more.",
                code="nobody_there",
                next_step="Upload a list if somebody should be.",
            )
        members_ending(base_path, out, first_day=lifetime.today, before_day=_renew_before(delivery, lifetime))
        return out, delivery.destination.identifier
    if "undo" in delivery.upload.origin:
        raise Permanent(
            "The membership of before is no longer kept.",
            code="file_gone",
            next_step="Upload the earlier list again instead.",
        )
    upload = delivery.upload
    if not files.exists(upload.members_file):
        raise Permanent(
            "The members of this upload are no longer kept.", code="file_gone", next_step="Upload the file again."
        )
    return stack.enter_context(files.local_file(upload.members_file)), upload.kind


def _refuse_missing_segment(destination: Destination, connector: Connector) -> None:
    """That everybody is there already is not so in a segment that was deleted at the vendor. Nothing is sent that would
    find that out."""
    for found in connector.preflight(destination.ref(), destination.identifier, None):
        if found.check == "segment" and found.level == Level.BLOCKED:
            raise Permanent(found.text, code="segment_missing", next_step=found.fix)


def _refuse_nobody(delivery: Delivery, connector: Connector, planned: Planned) -> None:
    """A file of which nobody fits says nothing about who should stay: taken as a list it would empty the segment."""
    if planned.derived.members or not planned.derived.held:
        return
    if planned.derived.erased == planned.derived.held:
        raise Permanent(ALL_ERASED, code="all_erased", next_step=LIFTED_BY)
    wanted = f"“{KINDS[delivery.destination.identifier].label}”"
    raise Permanent(
        f"None of the {planned.derived.held:,} members of this file fits: {connector.label} is fed with {wanted} here.",
        code="nobody_fits",
        next_step=feed_instead(delivery.destination),
    )


def _refuse_too_many_removals(delivery: Delivery, planned: Planned) -> None:
    share, present = delivery.upload.max_removed_share, planned.counts.present
    if share is None or not present:
        return
    removes = planned.counts.removes - planned.counts.doubtful
    if removes > share * present:
        raise Permanent(
            f"This file would remove {removes:,} of {present:,} members "
            f"({removes / present:.0%}), more than the {share:.0%} that was allowed.",
            code="too_many_removals",
            next_step="Check the file; if it is right, upload it with a larger allowed share.",
        )


def _parts(
    delivery: Delivery, connector: Connector, changes: Path, rules: PartRules, planned: Planned
) -> Iterator[PartRange]:
    counts = planned.counts
    changed = counts.adds + counts.renewed + counts.removes
    if not changed and not (rules.whole_list and _is_in_doubt(delivery, planned)):
        return iter(())
    if rules.whole_list:
        _refuse_emptying(connector, planned, delivery)
        return iter([_whole_list_part(counts, changed - 1)])
    return plan_parts(changes, connector.line_format(context_of(delivery, delivery.destination)), rules)


def _is_in_doubt(delivery: Delivery, planned: Planned) -> bool:
    """Whether a list that changes nothing is to be sent all the same: nobody knows that the vendor has it."""
    known = delivery.destination.membership_known
    return not known or (planned.base is not None and planned.base.uncertain > 0)


def _whole_list_part(counts: DifferenceCounts, last: int) -> PartRange:
    return PartRange(
        number=1,
        first_row=0,
        last_row=last,
        ops=tuple(Op),
        adds=counts.adds + counts.renewed,
        removes=counts.removes,
        lines=0,
        bytes=0,
    )


def _refuse_emptying(connector: Connector, planned: Planned, delivery: Delivery) -> None:
    if not planned.counts.after and delivery.mode != Mode.ADD:
        raise Permanent(
            f"This would empty the segment, and {connector.label} cannot be sent an empty list.",
            code="would_be_empty",
            next_step="Remove the destination instead, or upload a list with at least one member.",
        )


def _store_parts(delivery: Delivery, parts: Iterator[PartRange]) -> int:
    """Write the part rows, in blocks. A plan that was begun and not finished counts for nothing and is replaced, so
    the database is not held while the file is read."""
    total = 0
    delivery.parts.all().delete()
    while block := list(itertools.islice(parts, PARTS_AT_ONCE)):
        insert_parts(delivery, block)
        total += len(block)
    return total


def _store_plan(
    lease: Lease,
    delivery: Delivery,
    planned: Planned,
    rules: PartRules,
    total: int,
    changes_name: str,
    held_name: str,
) -> None:
    counts, derived = planned.counts, planned.derived
    lease.update(
        status=DeliveryStatus.SENDING,
        planned_at=delivery.planned_at,
        ends_at=planned.lifetime.ends_at,
        ends_on=planned.lifetime.ends_on,
        base_snapshot=planned.base,
        changes_file=changes_name,
        held_report=held_name,
        memory=delivery.memory | {"whole_list": rules.whole_list, "after": counts.after},
        members=derived.members + derived.held,
        held=derived.held,
        merged=derived.merged,
        adds=counts.adds,
        renewed=counts.renewed,
        removes=counts.removes,
        unchanged=counts.unchanged,
        sent=counts.adds + counts.renewed + counts.removes,
        parts_total=total,
        next_action_at=timezone.now(),
    )
