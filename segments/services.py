"""Writes on segments and destinations. Vendors are never called here: the destination's job does that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.jobs.models import cleared_error
from audsync_web.people import audit
from audsync_web.people.actors import Actor
from audsync_web.vendors.connectors.base import LEAVE, ReleaseChoice
from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.models import VendorAccount
from audsync_web.vendors.selectors import accounts_beside
from audsync_web.vendors.services import writes_whole_sets

from .models import LONGEST_DURATION_DAYS, Destination, DestinationStatus, Segment, SegmentStatus, Wanted

SEGMENT_TYPES = ("core",)
# A lone surrogate, which JSON can bring, cannot be stored either.
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class SegmentConflict(Exception):
    """The state does not allow it (409): the text says why."""


@dataclass(frozen=True)
class DestinationWish:
    """A destination to make: the account, and optionally its identifier kind, an existing remote id, vendor options."""

    vendor_account: VendorAccount
    identifier: str = ""
    remote_id: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def segment_create(
    *,
    actor: Actor,
    name: str,
    duration_days: Any = 365,
    type: str = "core",
    destinations: Sequence[DestinationWish] | None = None,
) -> Segment:
    """Create a segment; its creation at every destination begins at once.

    Without `destinations` it goes to every vendor account of the company that holds members; a company without one is
    an error. Raises `ValidationError` with every fault, keyed by the API's field names.
    """
    actor.require_manager()
    wishes = _default_wishes(actor) if destinations is None else list(destinations)
    errors = _segment_faults(name, duration_days, type) | _wish_faults(wishes)
    if errors:
        raise ValidationError(errors)
    with transaction.atomic():
        segment = Segment(
            company=actor.company, name=name.strip(), duration_days=duration_days, type=type, created_by=actor.user
        )
        segment.full_clean()
        segment.save()
        for wish in wishes:
            make_destination(segment, wish)
        audit.record(actor, "segment.create", segment, destinations=[w.vendor_account.name for w in wishes])
    return segment


def _default_wishes(actor: Actor) -> list[DestinationWish]:
    accounts = VendorAccount.objects.visible_to(actor.company).holding_members().order_by("pk")
    return [DestinationWish(account) for account in accounts]


def _segment_faults(name: Any, duration_days: Any, type: Any) -> dict[str, str]:
    faults = _name_faults(name)
    whole = isinstance(duration_days, int) and not isinstance(duration_days, bool)
    if not whole or not 1 <= duration_days <= LONGEST_DURATION_DAYS:
        faults["durationDays"] = f"must be a whole number of days from 1 to {LONGEST_DURATION_DAYS}"
    if type not in SEGMENT_TYPES:
        faults["type"] = f"must be one of {', '.join(SEGMENT_TYPES)}"
    return faults


def _name_faults(name: Any) -> dict[str, str]:
    if not isinstance(name, str) or not name.strip():
        return {"name": "is missing"}
    if len(name.strip()) > 255:
        return {"name": "must be at most 255 characters"}
    if CONTROL_CHARACTER.search(name):
        return {"name": "must hold no control characters"}
    return {}


def _wish_faults(wishes: Sequence[DestinationWish]) -> dict[str, str]:
    if not wishes:
        return {"destinations": "needs at least one connected vendor account that holds members"}
    for wish in wishes:
        if fault := _wish_fault(wish):
            return {"destinations": fault}
    ids = [wish.vendor_account.pk for wish in wishes]
    return {"destinations": "names a vendor account twice"} if len(set(ids)) != len(ids) else {}


def _wish_fault(wish: DestinationWish) -> str | None:
    account, connector = wish.vendor_account, wish.vendor_account.connector
    if not connector.capabilities.holds_members:
        return f"{account.name}: {connector.label} holds no members"
    if wish.identifier and wish.identifier not in connector.identifier_rules:
        known = ", ".join(connector.identifier_rules)
        return f"{account.name}: identifier must be one of {known}"
    if connector.capabilities.neighbours and (fault := _second_kind_fault(account, wish.identifier)):
        return fault
    if wish.remote_id and not connector.capabilities.links_existing:
        return f"{account.name}: {connector.label} cannot link an existing segment"
    return None


def _second_kind_fault(account: VendorAccount, identifier: str) -> str | None:
    """What a member holds there is written as one set: two kinds of identifier would each see only half of it."""
    kind = account.settings["identifier"]
    if identifier and identifier != kind:
        return f"{account.name}: every segment of this account is fed with {kind}"
    beside = Destination.objects.current().filter(vendor_account__in=accounts_beside(account))
    fed = beside.exclude(identifier=kind).select_related("vendor_account").first()
    if fed is None or not (writes_whole_sets(account) or writes_whole_sets(fed.vendor_account)):
        return None
    if fed.vendor_account_id != account.pk:
        other = fed.vendor_account.name
        return (
            f"{account.name}: it leads to the same place as {other}, whose segments are fed with {fed.identifier}. A "
            f"segment fed with {kind} would take its members out of theirs; feed both accounts with one kind"
        )
    return (
        f"{account.name}: its segments are fed with {fed.identifier}, and it is set to {kind} now. A segment fed with "
        f"another kind would take its members out of theirs; set it back to {fed.identifier}, or take them off it"
    )


def make_destination(segment: Segment, wish: DestinationWish, *, wants_membership: bool = False) -> Destination:
    """A destination in the making; its job creates the remote segment. Within the caller's transaction."""
    account = wish.vendor_account
    destination = Destination.objects.create(
        segment=segment,
        vendor_account=account,
        identifier=wish.identifier or account.settings["identifier"],
        options=dict(wish.options),
        linked=bool(wish.remote_id),
        membership_known=not wish.remote_id,
        # A linked id is kept apart until the vendor has shown the segment: only then does the destination hold it.
        memory={"link": wish.remote_id} if wish.remote_id else {},
        wants_membership=wants_membership,
        wanted=Wanted.PUBLISHED if segment.activated_at else Wanted.CREATED,
        create_attempt=1 + max(map(version_of, segment.destinations.filter(vendor_account=account)), default=0),
        lane=account.lane,
        next_action_at=timezone.now(),
    )
    wake("segments.destination", destination.pk)
    return destination


def version_of(destination: Destination) -> int:
    """Which of the segment's names at the account it has, the first being 1: a new one goes beyond all of them, because
    vendors remember a name that was given up, and it is never used again."""
    return max(destination.create_attempt, int(destination.options.get("version") or 1))


def segment_hold(pk: int) -> None:
    """Hold a segment's row until the transaction ends. Whoever changes destinations together with their segment takes
    the segment first: two that took them in different orders would wait for each other for ever."""
    Segment.objects.select_for_update(no_key=True).get(pk=pk)


def segment_publish(*, actor: Actor, segment: Segment) -> Segment:
    """Ask every destination to go live. A published segment stays as it is; stopped destinations are tried again."""
    actor.require_manager()
    if segment.status == SegmentStatus.ARCHIVED:
        raise SegmentConflict("An archived segment cannot be published.")
    with transaction.atomic():
        segment_hold(segment.pk)
        waiting = segment.destinations.current().exclude(status=DestinationStatus.PUBLISHED)
        for destination in waiting.select_for_update():
            _want_published(destination)
        if segment.status != SegmentStatus.PUBLISHED:
            segment_refresh(segment)
            audit.record(actor, "segment.publish", segment)
    segment.refresh_from_db()
    return segment


def _want_published(destination: Destination) -> None:
    # A create or publish that nobody could decide about stays with the person: see destination_retry. One that failed
    # with its outcome unknown is looked for at the vendor again.
    if destination.status == DestinationStatus.NEEDS_ATTENTION and destination.intent:
        destination.wanted = Wanted.PUBLISHED
        destination.save(update_fields=["wanted"])
        return
    destination.wanted = Wanted.PUBLISHED
    destination.status = DestinationStatus.PUBLISHING if destination.remote_id else DestinationStatus.CREATING
    for name, value in cleared_error().items():
        setattr(destination, name, value)
    destination.next_action_at = timezone.now()
    destination.save()
    wake("segments.destination", destination.pk)


def segment_refresh(segment: Segment) -> None:
    """Bring the segment's word in line with its destinations. Safe to call at any time."""
    if segment.archived_at is not None:
        status = SegmentStatus.ARCHIVED
    else:
        rows = list(segment.destinations.current().values_list("status", "wanted", "published_at"))
        status = _status_of(rows)
    activated_at = segment.activated_at
    if status == SegmentStatus.PUBLISHED and activated_at is None:
        activated_at = timezone.now()
    if (status, activated_at) != (segment.status, segment.activated_at):
        segment.status, segment.activated_at = status, activated_at
        Segment.objects.filter(pk=segment.pk).update(
            status=status, activated_at=activated_at, updated_at=timezone.now()
        )


def _status_of(rows: Sequence[tuple[str, str, Any]]) -> SegmentStatus:
    statuses = {status for status, _, _ in rows}
    if DestinationStatus.FAILED in statuses:
        return SegmentStatus.FAILED
    if rows and statuses == {DestinationStatus.PUBLISHED}:
        return SegmentStatus.PUBLISHED
    if any(wanted == Wanted.PUBLISHED for _, wanted, _ in rows):
        return SegmentStatus.PUBLISHING
    return SegmentStatus.CREATED


def segment_change(*, actor: Actor, segment: Segment, name: str | None = None) -> Segment:
    """Rename a segment, here and (by its destinations' jobs) where vendors have display names."""
    actor.require_manager()
    if name is None or name.strip() == segment.name:
        return segment
    if faults := _name_faults(name):
        raise ValidationError(faults)
    with transaction.atomic():
        before, segment.name = segment.name, name.strip()
        segment.full_clean()
        segment.save(update_fields=["name", "updated_at"])
        for destination in segment.destinations.current().exclude(remote_id=""):
            destination.memory["rename"] = True
            destination.next_action_at = timezone.now()
            destination.save(update_fields=["memory", "next_action_at"])
            wake("segments.destination", destination.pk)
        audit.record(actor, "segment.rename", segment, before=before)
    return segment


def segment_archive(*, actor: Actor, segment: Segment) -> Segment:
    """Put a segment away: it takes no more uploads. Nothing happens at its vendors."""
    actor.require_manager()
    with transaction.atomic():
        segment.archived_at = segment.archived_at or timezone.now()
        segment.save(update_fields=["archived_at"])
        segment_refresh(segment)
        audit.record(actor, "segment.archive", segment)
    return segment


def segment_restore(*, actor: Actor, segment: Segment) -> Segment:
    """Take an archived segment back into use."""
    actor.require_manager()
    with transaction.atomic():
        segment.archived_at = None
        segment.save(update_fields=["archived_at"])
        segment_refresh(segment)
        audit.record(actor, "segment.restore", segment)
    return segment


def destination_add(*, actor: Actor, segment: Segment, wish: DestinationWish) -> Destination:
    """Add a destination later; it is created, published when the segment is, and given the current membership."""
    actor.require_manager()
    if segment.status == SegmentStatus.ARCHIVED:
        raise SegmentConflict("An archived segment takes no destinations.")
    if faults := _wish_faults([wish]):
        raise ValidationError(faults)
    if (
        segment.destinations.exclude(status=DestinationStatus.RELEASED)
        .filter(vendor_account=wish.vendor_account)
        .exists()
    ):
        raise SegmentConflict(f"{wish.vendor_account.name} is a destination of this segment already.")
    with transaction.atomic():
        destination = make_destination(segment, wish, wants_membership=True)
        segment_refresh(segment)
        audit.record(actor, "destination.add", segment, vendor_account=wish.vendor_account.name)
    return destination


def release_choices(destination: Destination) -> list[ReleaseChoice]:
    """What may be done at the vendor when this destination is removed."""
    choices = destination.vendor_account.connector.capabilities.releases
    given = {**destination.memory, **destination.options}
    return [choice for choice in choices if not choice.needs or given.get(choice.needs)]


def destination_release(*, actor: Actor, destination: Destination, choice: str = LEAVE.key) -> Destination:
    """Remove a destination from its segment, doing `choice` at the vendor first (see `release_choices`)."""
    actor.require_manager()
    known = [release.key for release in release_choices(destination)]
    if choice not in known:
        raise ValidationError({"release": f"must be one of {', '.join(known)}"})
    with transaction.atomic():
        segment_hold(destination.segment_id)
        _change(
            destination,
            wanted=Wanted.RELEASED,
            release_choice=choice,
            next_action_at=timezone.now(),
            **cleared_error(),
        )
        segment_refresh(destination.segment)
        account = destination.vendor_account.name
        audit.record(actor, "destination.remove", destination.segment, vendor_account=account, choice=choice)
        wake("segments.destination", destination.pk)
    return destination


def destination_retry(*, actor: Actor, destination: Destination) -> Destination:
    """Try a stopped destination again; after a create whose answer was lost, with a new suffix to its name."""
    actor.require_manager()
    if destination.status not in {DestinationStatus.FAILED, DestinationStatus.NEEDS_ATTENTION}:
        raise SegmentConflict("This destination has not stopped.")
    with transaction.atomic():
        segment_hold(destination.segment_id)
        lost_create = (destination.intent or {}).get("step") == "create"
        _change(
            destination,
            create_attempt=1 + version_of(destination) if lost_create else destination.create_attempt,
            intent=None,
            status=DestinationStatus.PUBLISHING if destination.remote_id else DestinationStatus.CREATING,
            next_action_at=timezone.now(),
            **cleared_error(),
        )
        segment_refresh(destination.segment)
        account = destination.vendor_account.name
        audit.record(actor, "destination.retry", destination.segment, vendor_account=account)
        wake("segments.destination", destination.pk)
    return destination


def _change(destination: Destination, **fields: Any) -> None:
    """Write these columns and no other: its job may be storing at the same moment what the vendor has just made."""
    for name, value in fields.items():
        setattr(destination, name, value)
    destination.save(update_fields=list(fields))


def identifier_label(kind: str) -> str:
    """An identifier kind for people."""
    return KINDS[kind].label if kind in KINDS else kind
