"""Preflight: before a byte leaves, what each destination would say, what it would take, and when it would be done.

A matrix of destinations and checks, each cell green, amber or red with the fix in words; and the planner: parts, bytes,
lines and the earliest finish under every limit and quota that is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from audsync_web.templatetags.formats import format_bytes
from audsync_web.vendors.asking import ANSWER_WITHIN, rejection_shown
from audsync_web.vendors.connectors.base import (
    Connector,
    DeliveryContext,
    Estimate,
    Finding,
    Gate,
    Level,
    Totals,
)
from audsync_web.vendors.connectors.errors import ConnectorError
from audsync_web.vendors.connectors.formats import PartRules
from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.connectors.identity import IdentityFilter, filter_findings
from audsync_web.vendors.identity import filters_for_preflight
from audsync_web.vendors.models import AccountStatus
from audsync_web.vendors.runtime import connector_for
from audsync_web.vendors.selectors import quotas_within
from segments.models import Destination, DestinationStatus
from segments.wording import NEXT_UPLOAD_MENDS, outcome_sentence
from uploads.membership.snapshots import current_snapshot, lifetime_for, preview_counts
from uploads.models import Delivery, DeliveryStatus, Mode, Upload
from uploads.rules import caution_of, destinations_of, feed_instead, nobody_to_send, takes, why_not

# What an identifier weighs when nothing is known of the file: a UUID.
MEAN_BYTES = 36.0
LEVELS = (Level.OK, Level.WARNING, Level.BLOCKED)

# Held members are worked out anew when a delivery is planned; before that there is no list of them.
NAMED_LATER = "Once it is sent, the upload's page lists them under “Not taken”, with reasons."

NOTHING = Estimate(parts=0, bytes=0, lines=0, calls=0, seconds=0.0)


@dataclass(frozen=True)
class Load:
    """What would be sent: `members` rows of a kind. `counts` are exact ones by destination id, where they are known."""

    kind: str
    mode: Mode
    members: int
    mean_bytes: float = MEAN_BYTES
    counts: Mapping[int, Mapping[str, Any]] | None = None
    upload: Upload | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the counts are those of the difference, not an estimate from the number of rows."""
        return self.counts is not None


@dataclass(frozen=True)
class Row:
    """One destination: its findings, what it would be sent, and when that would be done. None where nobody can tell."""

    destination: Destination
    findings: Sequence[Finding]
    totals: Totals | None = None
    held: int = 0
    """Who would not be sent there: who does not fit, and who was erased."""
    estimate: Estimate | None = None
    finishes_at: datetime | None = None

    @property
    def level(self) -> Level:
        """The worst of its findings."""
        return worst(finding.level for finding in self.findings)


def worst(levels: Any) -> Level:
    """The worst of some levels; OK for none."""
    return max(levels, key=LEVELS.index, default=Level.OK)


def load_of_upload(upload: Upload) -> Load:
    """The load of an upload: exact once it was inspected, else from the number of its rows."""
    rows = upload.members if upload.members is not None else upload.records - upload.rejected
    counts = None
    if upload.preview or upload.members_file:
        preview = upload.preview or preview_counts(upload, destinations_of(upload))
        counts = {cell["destination"]: cell for cell in preview["destinations"]}
    mean = upload.bytes / upload.records - 1 if upload.records else MEAN_BYTES
    return Load(upload.kind, Mode(upload.mode), max(0, rows), max(1.0, mean), counts, upload)


def preflight(destinations: Sequence[Destination], load: Load) -> list[Row]:
    """Every destination's row. Asks vendors, reading only; one that does not answer is an amber cell, no error."""
    filters = filters_for_preflight(destinations[0].segment.company) if destinations else []
    return [_row(destination, load, filters) for destination in destinations]


def _row(destination: Destination, load: Load, filters: Sequence[IdentityFilter]) -> Row:
    if load.kind and not takes(destination, load.kind):
        unfit = Finding("identifier", Level.BLOCKED, why_not(destination, load.kind), feed_instead(destination))
        return Row(destination, [unfit])
    totals, held, erased = _totals(destination, load)
    if held and not totals.members:
        nobody = Finding("identifier", Level.BLOCKED, *nobody_to_send(destination, erased, held))
        return Row(destination, [nobody], totals, held)
    findings = [*_identifier(destination, held, erased), *filter_findings(filters, destination.identifier)]
    findings += [_account(destination), *_segment(destination)]
    with connector_for(destination.vendor_account, answer_within=ANSWER_WITHIN) as connector:
        context = _context(destination, load, connector)
        findings += _membership(destination, load, totals, connector.part_rules(context))
        findings += _asked(destination, connector, totals)
        settled = _is_so_already(destination, load)
        estimate = NOTHING if settled else connector.estimate(context, totals, load.mean_bytes)
        findings.append(_size(connector, estimate, connector.part_rules(context)))
        wait, pauses = _wait(destination, load, connector.gates(context))
    findings += pauses
    done = None
    if worst(finding.level for finding in findings) != Level.BLOCKED:
        done = timezone.now() + timedelta(seconds=wait + estimate.seconds)
        findings.append(_finish(wait, estimate, destination, connector))
    return Row(destination, findings, totals, held, estimate, done)


def _is_so_already(destination: Destination, load: Load) -> bool:
    """Whether the difference is empty, and nobody doubts what the vendor has: then no list is sent either."""
    known = (load.counts or {}).get(destination.pk, {})
    changes = ("adds", "renewed", "removes")
    return bool(known.get("known")) and not known.get("uncertain") and not any(known[name] for name in changes)


def _totals(destination: Destination, load: Load) -> tuple[Totals, int, int]:
    """What would be sent, how many are held back, and how many of those because they were erased."""
    known = (load.counts or {}).get(destination.pk)
    if known is not None and known.get("taken"):
        names = ("members", "adds", "renewed", "removes", "unchanged")
        totals = Totals(**{name: known[name] for name in names}, before=known["before"])
        return totals, int(known["held"]), int(known.get("erased", 0))
    adds = 0 if load.mode == Mode.REMOVE else load.members
    return Totals(load.members, adds, 0, load.members - adds, 0), 0, 0


def _context(destination: Destination, load: Load, connector: Connector) -> DeliveryContext:
    now = timezone.now()
    return DeliveryContext(
        key="preflight",
        number=0,
        segment=destination.ref(),
        identifier=destination.identifier,
        mode=load.mode.value,  # type: ignore[arg-type]  # one of the three modes
        planned_at=now,
        ends_at=lifetime_for(connector, destination.segment.duration_days, now).ends_at,
    )


def _identifier(destination: Destination, held: int, erased: int) -> list[Finding]:
    """Who is held back, each reason by itself: a value that does not fit can be mended, an erasure is meant."""
    label = KINDS[destination.identifier].label
    findings = []
    if unfit := held - erased:
        verb = "member does" if unfit == 1 else "members do"
        text = f"{unfit:,} {verb} not fit {label} here and would be held back for this vendor."
        findings.append(Finding("identifier", Level.WARNING, text, NAMED_LATER))
    if erased:
        text = f"{erased:,} {'member is' if erased == 1 else 'members are'} kept out after an erasure."
        findings.append(Finding("identifier", Level.WARNING, text, "Nothing: it is meant to be so."))
    return findings or [Finding("identifier", Level.OK, f"Fed with {label}.")]


def _account(destination: Destination) -> Finding:
    account = destination.vendor_account
    if account.status == AccountStatus.OK:
        return Finding("credentials", Level.OK, "The vendor account works.")
    if account.status == AccountStatus.PAUSED:
        return Finding("credentials", Level.WARNING, "The vendor account is paused.", "Resume it; it waits until then.")
    fix = account.next_step or "Correct its credentials."
    return Finding("credentials", Level.BLOCKED, account.error_text or "The vendor account does not work.", fix)


def _segment(destination: Destination) -> list[Finding]:
    if not destination.remote_id:
        if destination.status in {DestinationStatus.FAILED, DestinationStatus.NEEDS_ATTENTION}:
            return [Finding("segment", Level.BLOCKED, destination.error_text, destination.next_step)]
        text = "The segment is being made at this vendor."
        return [Finding("segment", Level.WARNING, text, "Nothing: the delivery waits until it is there.")]
    can = destination.vendor_account.connector.capabilities
    if destination.is_published or can.uploads_before_publish:
        return [Finding("segment", Level.OK, "The segment is there.")]
    return [Finding("segment", Level.WARNING, "Held until the segment is published.", "Publish the segment.")]


def _asked(destination: Destination, connector: Connector, totals: Totals) -> list[Finding]:
    """What the connector finds by asking the vendor; only where there is a segment and an account that works."""
    if not destination.remote_id or not destination.vendor_account.is_working:
        return []
    try:
        with rejection_shown(destination.vendor_account):
            return list(connector.preflight(destination.ref(), destination.identifier, totals))
    except ConnectorError as error:
        return [Finding("vendor", Level.WARNING, error.text, error.next_step or "Look again in a moment.")]


def _membership(destination: Destination, load: Load, totals: Totals, rules: PartRules) -> list[Finding]:
    snapshot = current_snapshot(destination)
    if not destination.membership_known:
        is_hopeless = rules.whole_list != (load.mode == Mode.REPLACE)
        fix = "Upload the whole list with replace." if rules.whole_list else "Upload with add, or link another segment."
        level = Level.BLOCKED if is_hopeless else Level.WARNING
        return [Finding("membership", level, "Nobody knows who is in this segment there.", fix if is_hopeless else "")]
    before = snapshot.members if snapshot else 0
    leave = (load.counts or {}).get(destination.pk, {}).get("leave", totals.removes)
    if load.is_exact and before and leave > _caution(destination, load) * before:
        text = f"{leave:,} of {before:,} members would leave."
        return [Finding("membership", Level.WARNING, text, "Look at the file once more.")]
    if snapshot is not None and snapshot.uncertain:
        return [Finding("membership", Level.WARNING, outcome_sentence(snapshot.uncertain), NEXT_UPLOAD_MENDS)]
    if load.is_exact and not totals.sent:
        return [Finding("membership", Level.OK, "Already so: nothing has to be sent.")]
    return [Finding("membership", Level.OK, f"{before:,} members are there now.")]


def _caution(destination: Destination, load: Load) -> float:
    company = destination.segment.company
    return company.max_removed_share if load.upload is None else caution_of(load.upload, company)


def _size(connector: Connector, estimate: Estimate, rules: PartRules) -> Finding:
    if rules.whole_list and rules.max_bytes is not None and estimate.bytes > rules.max_bytes:
        takes_at_most = f"{connector.label} takes {format_bytes(rules.max_bytes)} here"
        text = f"About {format_bytes(estimate.bytes)} in one list, and that is too much: {takes_at_most}."
        return Finding("size", Level.BLOCKED, text, "Ask for a higher limit, or spread the audience over segments.")
    if not estimate.parts:
        return Finding("size", Level.OK, "Nothing to send.")
    parts = "1 part" if estimate.parts == 1 else f"{estimate.parts:,} parts"
    return Finding(
        "size", Level.OK, f"{parts}, about {format_bytes(estimate.bytes)}." if estimate.bytes else f"{parts}."
    )


def _wait(destination: Destination, load: Load, gates: Sequence[Gate]) -> tuple[float, list[Finding]]:
    """Seconds until its turn comes: pauses of the vendor's quotas, and deliveries that go before it."""
    now = timezone.now()
    pauses = quotas_within(destination.vendor_account.quota_scope).filter(paused_until__gt=now)
    paused = pauses.order_by("-paused_until").first()
    findings, seconds = [Finding("quota", Level.OK, "No pause is known.")], 0.0
    if paused is not None and paused.paused_until is not None:
        seconds = (paused.paused_until - now).total_seconds()
        reason = paused.pause_reason or "The vendor asked for a pause."
        findings = [Finding("quota", Level.WARNING, reason, f"Nothing: it goes on in {_duration(seconds)}.")]
    ahead = _parts_ahead(destination, load, gates)
    return seconds + ahead * max((gate.interval for gate in gates), default=0.0), findings


def _parts_ahead(destination: Destination, load: Load, gates: Sequence[Gate]) -> int:
    rows = Delivery.objects.open().exclude(status=DeliveryStatus.STAGED)
    if load.upload is not None:
        rows = rows.exclude(upload=load.upload)
    # A gate that does not name the segment is passed by all deliveries of the vendor's login or member.
    if any(destination.remote_id not in gate.key for gate in gates):
        rows = rows.filter(destination__vendor_account__quota_scope=destination.vendor_account.quota_scope)
    else:
        rows = rows.filter(destination=destination)
    return sum(max(1, total - done) for total, done in rows.values_list("parts_total", "parts_done"))


def _finish(wait: float, estimate: Estimate, destination: Destination, connector: Connector) -> Finding:
    seconds = wait + estimate.seconds
    if not estimate.parts:
        return Finding("finish", Level.OK, f"Done in about {_duration(seconds)}, without a call to the vendor.")
    if destination.is_published or connector.capabilities.uploads_before_publish:
        return Finding("finish", Level.OK, f"Sent and seen to be there in about {_duration(seconds)} at the earliest.")
    return Finding("finish", Level.OK, f"About {_duration(seconds)} after the segment was published at the earliest.")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    if seconds < 90 * 60:
        return f"{math.ceil(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
