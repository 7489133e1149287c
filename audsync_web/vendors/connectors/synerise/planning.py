"""How a delivery is cut, what it carries, what it costs, and when a new version of the tag is the better way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from audsync_web.vendors.connectors.base import DeliveryContext, Estimate, Finding, Level, Totals
from audsync_web.vendors.connectors.formats import LineFormat, Op, PartRules, Wrap

from .wire import item_wrap

FEW_LEAVERS = 500
FEW_LEAVERS_SHARE = 0.05
CALLS_A_SINGLE = 2
SECONDS_A_BATCH = 0.3
"""What Synerise takes to answer a batch, about; one is in flight at a time (section 5)."""


def rules(settings: Mapping[str, Any]) -> PartRules:
    """Both bounds of section 7.8; members who leave are sent one by one, in parts of their own."""
    singles = int(settings["singleItems"])
    items = int(settings["batchItems"])
    if settings["tagWriteMode"] == "assign":
        items = min(items, singles)
    return PartRules(
        max_lines=items, max_bytes=int(settings["maxPartBytes"]), split_operations=True, max_removals=singles
    )


def carries_the_whole_set(settings: Mapping[str, Any]) -> bool:
    """Whether a batch has to name all tags of a member that AudSync manages in the account (section 4.2)."""
    return bool(settings["tagWriteMode"] == "batch" and settings["batchTags"] != "add")


def shape(delivery: DeliveryContext, settings: Mapping[str, Any]) -> LineFormat:
    """A JSON array of profiles. A batch carries the member's full managed set unless tags are known to add.

    Where batch `tags` replace, a set that left out the tags of the member's other segments would take them away
    (section 4.2). In assign mode the batch only makes sure that the profile exists.
    """
    own, neighbours = delivery.segment.remote_id, tuple(delivery.neighbours)

    def wrap(op: Op, held_by: int) -> Wrap:
        if op is Op.REMOVE or settings["tagWriteMode"] == "assign":
            return item_wrap(delivery.identifier, ())
        if settings["batchTags"] == "add":
            return item_wrap(delivery.identifier, (own,))
        others = [name for bit, name in enumerate(neighbours) if name and held_by >> bit & 1 and name != own]
        return item_wrap(delivery.identifier, (own, *others))

    return LineFormat(
        wrap=wrap,
        opening=b"[",
        separator=b",",
        closing=b"]",
        final_separator=False,
        escape="json",
        content_type="application/json",
    )


def estimate(delivery: DeliveryContext, totals: Totals, mean_bytes: float, settings: Mapping[str, Any]) -> Estimate:
    """Batches and single calls under the pace that is set; the hours of unassigning in words."""
    cut, wrap = rules(settings), shape(delivery, settings).wrap(Op.ADD, 0)
    joining = totals.adds + totals.renewed
    line = mean_bytes + len(wrap.prefix) + len(wrap.suffix) + 1
    items = max(1, min(cut.max_lines or 1, int((cut.max_bytes or 1) / line)))
    batches = math.ceil(joining / items)
    singles = totals.removes + (joining if settings["tagWriteMode"] == "assign" else 0)
    removal_parts = math.ceil(totals.removes / (cut.max_removals or 1))
    calls = batches + CALLS_A_SINGLE * singles
    if settings["sendEvents"]:
        calls += 2 * (batches + removal_parts)
    per_second = float(settings["requestsPerSecond"])
    seconds = max(calls / per_second, batches * SECONDS_A_BATCH + CALLS_A_SINGLE * singles / per_second)
    notes = [text for text in (hours_text(totals, per_second), version_offer(totals)) if text]
    return Estimate(batches + removal_parts, int(joining * line) + 2 * batches, totals.sent, calls, seconds, notes)


def many_leavers(totals: Totals) -> bool:
    """More than 500 and more than a twentieth of the list leave (section 4.2, a project choice)."""
    there = totals.members if totals.before is None else totals.before
    return totals.removes > max(FEW_LEAVERS, FEW_LEAVERS_SHARE * there)


def hours_text(totals: Totals, per_second: float) -> str:
    """How long taking the tag from those who leave takes; empty where nobody leaves."""
    if not totals.removes:
        return ""
    hours = CALLS_A_SINGLE * totals.removes / per_second / 3600
    minutes = max(1, math.ceil(hours * 60))
    took = f"{hours:,.1f} hours" if hours >= 1 else "a minute" if minutes == 1 else f"{minutes} minutes"
    who = "1 member" if totals.removes == 1 else f"{totals.removes:,} members"
    return f"Taking the tag from {who} goes one by one and takes about {took}."


def version_offer(totals: Totals) -> str:
    """The other way for many leavers; nothing does this by itself."""
    if not many_leavers(totals):
        return ""
    return (
        "So many leave that a new version of the tag is quicker: choose “New version” at this destination on the "
        "segment's page, then send the whole list, which goes out under the tag's new name. Segmentations in Synerise "
        "that name the old tag must then be changed; after that have the old tag deleted there."
    )


def leaver_findings(totals: Totals | None, per_second: float) -> list[Finding]:
    """The preflight's line about those who leave."""
    if totals is None or not totals.removes:
        return []
    offer = version_offer(totals)
    level = Level.WARNING if offer else Level.OK
    return [Finding("leavers", level, hours_text(totals, per_second), offer)]
