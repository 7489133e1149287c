"""Snapshots of what vendors hold, and the differences of a file to them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from audsync_web.vendors.connectors.base import Connector
from audsync_web.vendors.connectors.identifiers import conversion
from audsync_web.vendors.connectors.telephone import phone_region
from audsync_web.vendors.runtime import account_config, connector_services
from segments.models import Destination
from uploads import files
from uploads.engine.difference import Target, difference_many
from uploads.engine.ending import members_by_day, write_members
from uploads.engine.folding import fold_members
from uploads.engine.members import DerivedResult, Erased, derive_members
from uploads.engine.progress import ProgressCallback
from uploads.models import Delivery, Mode, Snapshot, Upload
from uploads.rules import takes

from .erased import erased_test

EPOCH = dt.date(1970, 1, 1)
# A member with less than this share of its life left is sent again (design section 5).
RENEW_SHARE = 0.25
# So many distinct days are told apart in the counts of who ends when; those after them are one number.
DAYS_KEPT = 400


def day_of(date: dt.date) -> int:
    """Whole days since 1970, the engine's way to count them."""
    return (date - EPOCH).days


@dataclass(frozen=True)
class Lifetime:
    """How long members added today stay, in the engine's days; all 0 where they do not end."""

    today: int
    ends_day: int
    renew_before: int
    ends_on: dt.date | None
    ends_at: dt.datetime | None


def lifetime_for(connector: Connector, duration_days: int, now: dt.datetime) -> Lifetime:
    """The lifetime that a vendor gives to a segment's members, counted from now."""
    today = day_of(now.date())
    days = connector.lifetime_days(duration_days)
    if days is None:
        return Lifetime(today, 0, 0, None, None)
    ends_at = now + dt.timedelta(days=days)
    ends_day = day_of(ends_at.date())
    # Rounded up, so that a one-day segment is renewed on the day before it ends and not after.
    renew_before = today + max(1, -(-days // int(1 / RENEW_SHARE)))
    return Lifetime(today, ends_day, min(renew_before, ends_day), ends_at.date(), ends_at)


def current_snapshot(destination: Destination) -> Snapshot | None:
    """What the vendor last acknowledged for a destination; None where nobody knows what it holds.

    Of a linked segment that was never sent a whole list, it is only those whom AudSync brought there.
    """
    return Snapshot.objects.filter(destination=destination, superseded_at__isnull=True).first()


def ensure_snapshot(destination: Destination) -> Snapshot | None:
    """The current snapshot; a segment that AudSync itself made begins with nobody in it."""
    found = current_snapshot(destination)
    if found is not None or not destination.membership_known:
        return found
    made, _ = Snapshot.objects.get_or_create(destination=destination, superseded_at=None)
    return made


@contextmanager
def snapshot_path(snapshot: Snapshot | None) -> Iterator[Path | None]:
    """A snapshot's file as a local path; None for an empty or unknown membership."""
    if snapshot is None or not snapshot.file:
        yield None
        return
    with files.local_file(snapshot.file) as path:
        yield path


@contextmanager
def uncertain_path(snapshot: Snapshot | None) -> Iterator[Path | None]:
    """The file of those of whom nobody knows whether the vendor has them; None when there is nobody."""
    if snapshot is None or not snapshot.uncertain:
        yield None
        return
    with files.local_file(snapshot.uncertain_file) as path:
        yield path


def snapshot_replace(
    destination: Destination,
    *,
    file: str,
    members: int,
    refused: int,
    delivery: Delivery | None,
    ends: dict[str, Any],
    uncertain_file: str = "",
    uncertain: int = 0,
) -> Snapshot:
    """Make `file` the destination's acknowledged membership; the one before is superseded, not deleted.

    `ends` is what `ends_of` found in the file, `delivery` whose acknowledgement made it. Only a whole list makes an
    unknown membership known: after an addition or a removal others may still be in a segment that was linked.
    """
    first = min(ends.get("days", {}), default=None)
    with transaction.atomic():
        Snapshot.objects.filter(destination=destination, superseded_at__isnull=True).update(
            superseded_at=timezone.now()
        )
        if delivery is not None and delivery.mode == Mode.REPLACE:
            destination.__class__.objects.filter(pk=destination.pk).update(membership_known=True)
        return Snapshot.objects.create(
            destination=destination,
            file=file,
            members=members,
            refused=refused,
            delivery=delivery,
            uncertain_file=uncertain_file,
            uncertain=uncertain,
            first_ends_on=dt.date.fromisoformat(first) if first else None,
            ends=ends,
        )


def ends_of(snapshot: Path) -> dict[str, Any]:
    """How many members end when: `days` (the soonest, day → members), `later` than those, and `never`."""
    found = members_by_day(snapshot)
    never = found.pop(0, 0)
    days = {(EPOCH + dt.timedelta(days=day)).isoformat(): count for day, count in list(found.items())[:DAYS_KEPT]}
    return {"days": days, "later": sum(list(found.values())[DAYS_KEPT:]), "never": never}


@contextmanager
def source_members(snapshot: Snapshot) -> Iterator[Path]:
    """A snapshot as the members of an upload; the empty one, which has no file, as a set of nobody."""
    with snapshot_path(snapshot) as path:
        if path is not None:
            yield path
            return
    with files.spill_folder() as folder:
        write_members([], folder / "nobody")
        yield folder / "nobody"


def erased_of(company_id: int, kind: str, destination: Destination, connector: Connector) -> Erased | None:
    """The test for erased people among values of a kind on their way to a destination."""
    region = phone_region(connector.config.settings, destination.identifier)
    return erased_test(company_id, kind, destination.identifier, region)


@contextmanager
def members_for(
    source: Path,
    *,
    kind: str,
    connector: Connector,
    identifier: str,
    folder: Path,
    report: Path,
    held: Sequence[Path],
    erased: Erased | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[tuple[Path, DerivedResult]]:
    """The set a destination is fed with, derived from a file's members: converted, and without what it cannot take.

    `erased` tells who was erased and is held back, too. `held` are files of whom the vendor has, or may have: where
    letter case does not tell members apart, their spelling is kept.
    """
    wanted = conversion(kind, identifier)
    if wanted is None:
        raise ValueError(f"{kind} cannot become {identifier}")
    out = folder / f"members-{identifier}"
    rule = connector.rule_for(identifier)
    # An account that names the country of its telephone numbers is fed with E.164.
    region = phone_region(connector.config.settings, identifier)
    derived = derive_members(
        source,
        out,
        report,
        folder,
        conversion="e164" if region else wanted,
        region=region,
        rule=rule,
        encoding=connector.identifier_encoding,
        erased=erased,
        progress=progress,
    )
    if rule.case == "fold":
        folded = folder / f"folded-{identifier}"
        count = fold_members(out, held, folded, folder)
        if count is not None:
            merged = derived.merged + derived.members - count
            out, derived = folded, replace(derived, members=count, merged=merged, same=False)
    yield out, derived


def planning_connector(destination: Destination) -> Connector:
    """A connector for planning: it declares rules and formats, and is never asked to call the vendor."""
    account = destination.vendor_account
    return account.connector(account_config(account), connector_services())


def preview_counts(
    upload: Upload,
    destinations: Sequence[Destination],
    progress: ProgressCallback | None = None,
    sources: Mapping[int, Snapshot] | None = None,
) -> dict[str, Any]:
    """What the upload would change at each destination (`+a / −b / c unchanged`), counted without sending anything.

    `sources` are memberships that stand for the upload's file, by destination id.
    """
    cells: list[dict[str, Any]] = []
    with files.spill_folder() as folder:
        for destination in destinations:
            with ExitStack() as stack:
                if sources is None:
                    source, kind = stack.enter_context(files.local_file(upload.members_file)), upload.kind
                else:
                    source, kind = stack.enter_context(source_members(sources[destination.pk])), destination.identifier
                cells.append(_preview_cell(upload, destination, source, kind, folder, progress))
    return {"at": timezone.now().isoformat(), "destinations": cells}


def _preview_cell(
    upload: Upload,
    destination: Destination,
    source: Path,
    kind: str,
    folder: Path,
    progress: Callable[[Any], None] | None,
) -> dict[str, Any]:
    cell: dict[str, Any] = {"destination": destination.pk, "name": destination.vendor_account.name, "before": None}
    if not takes(destination, kind):
        return cell | {"taken": False}
    connector = planning_connector(destination)
    lifetime = lifetime_for(connector, destination.segment.duration_days, timezone.now())
    snapshot = ensure_snapshot(destination)
    own = folder / str(destination.pk)
    own.mkdir(mode=0o700)
    with (
        snapshot_path(snapshot) as base,
        uncertain_path(snapshot) as uncertain,
        members_for(
            source,
            kind=kind,
            connector=connector,
            identifier=destination.identifier,
            folder=own,
            report=own / "held",
            held=[path for path in (base, uncertain) if path is not None],
            erased=erased_of(upload.company_id, kind, destination, connector),
        ) as (members, derived),
    ):
        target = Target(
            base,
            mode=upload.mode,  # type: ignore[arg-type]  # held to the three modes by a constraint
            today=lifetime.today,
            renew_before_day=lifetime.renew_before,
            upload_id=str(upload.pk),
            unknown=not destination.membership_known,
            uncertain=uncertain,
        )
        counts = difference_many(members, [target], progress)[0]
    return cell | {
        "taken": True,
        "known": destination.membership_known,
        "before": counts.present if snapshot else None,
        "members": derived.members,
        "held": derived.held,
        # Of the held, who belongs to an erased person: kept out on purpose, nothing is wrong with them.
        "erased": derived.erased,
        "merged": derived.merged,
        "adds": counts.adds,
        "renewed": counts.renewed,
        "removes": counts.removes,
        "unchanged": counts.unchanged,
        "uncertain": snapshot.uncertain if snapshot else 0,
        # Of those added, who counts as being there and is sent again to be sure.
        "again": counts.again,
        # Of those removed, who is known to be there: that the others leave nobody would notice.
        "leave": counts.removes - counts.doubtful,
        "after": counts.after,
    }
