"""The preflight as a table: a line for each destination; what holds or warns stands first, what passed is folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audsync_web.templatetags.statuses import status_face
from audsync_web.vendors.connectors.base import Finding, Level
from uploads.inspection.preflight import LEVELS, Row

LABELS = {
    "identifier": "Identifiers",
    "credentials": "Account",
    "segment": "Segment",
    "membership": "Membership",
    "size": "Size and parts",
    "quota": "Quota",
    "finish": "Done by",
}
REST_LABEL = "At the vendor"
WORDS = {Level.OK: "passed", Level.WARNING: "warning", Level.BLOCKED: "blocked"}
# Where they have passed they tell what will happen: the plan stands open, the other checks fold.
PLAN = ("size", "finish")


def matrix_of(rows: Sequence[Row]) -> dict[str, Any]:
    """`matrix`: the destinations, the worst first, each with `open` findings, `passed` ones and the `plan`."""
    worst_first = sorted(rows, key=lambda row: -LEVELS.index(row.level))
    return {"matrix": [_line(row) for row in worst_first]}


def _line(row: Row) -> dict[str, Any]:
    passed = [finding for finding in row.findings if finding.level == Level.OK]
    standing = sorted(
        (finding for finding in row.findings if finding.level != Level.OK),
        key=lambda finding: -LEVELS.index(finding.level),
    )
    return {
        "account": row.destination.vendor_account,
        "open": [_shown(finding) for finding in standing],
        "passed": [_shown(finding) for finding in passed if finding.check not in PLAN],
        "plan": [finding.text for check in PLAN for finding in passed if finding.check == check],
    }


def _shown(finding: Finding) -> dict[str, str]:
    word = WORDS[finding.level]
    label = LABELS.get(finding.check, REST_LABEL)
    return {"word": word, "icon": status_face(word).icon, "label": label, "text": finding.text, "fix": finding.fix}
