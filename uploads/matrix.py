"""The preflight as a table: a line for each destination, a column for each check, the fix in the cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audsync_web.templatetags.statuses import status_face
from audsync_web.vendors.connectors.base import Finding, Level

from .preflight import Row

LABELS = {
    "identifier": "Identifiers",
    "credentials": "Account",
    "segment": "Segment",
    "membership": "Membership",
    "size": "Size and parts",
    "quota": "Quota",
    "finish": "Done by",
}
REST = "vendor"
REST_LABEL = "At the vendor"
WORDS = {Level.OK: "passed", Level.WARNING: "warning", Level.BLOCKED: "blocked"}


def matrix_of(rows: Sequence[Row]) -> dict[str, Any]:
    """`checks` (the columns that have something to say) and `matrix` (the lines)."""
    named = {_column(finding) for row in rows for finding in row.findings}
    columns = [key for key in (*LABELS, REST) if key in named]
    checks = [{"key": key, "label": LABELS.get(key, REST_LABEL)} for key in columns]
    lines = [
        {"account": row.destination.vendor_account, "cells": [_cell(row, check) for check in checks]} for row in rows
    ]
    return {"checks": checks, "matrix": lines}


def _column(finding: Finding) -> str:
    return finding.check if finding.check in LABELS else REST


def _cell(row: Row, check: dict[str, str]) -> dict[str, Any]:
    findings = [finding for finding in row.findings if _column(finding) == check["key"]]
    return {"label": check["label"], "findings": [_shown(finding) for finding in findings]}


def _shown(finding: Finding) -> dict[str, str]:
    word = WORDS[finding.level]
    return {"word": word, "icon": status_face(word).icon, "text": finding.text, "fix": finding.fix}
