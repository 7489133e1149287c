"""The receipt of an erasure and the answer of a search, as programs read them and pages show them."""

from __future__ import annotations

from typing import Any

from audsync_web.api.times import api_time
from uploads.models import Erasure, ErasureStep, PersonSearch, StepStatus


def search_shape(search: PersonSearch) -> dict[str, Any]:
    """A search: where the person is, since when, by which upload. It names no identifier."""
    return {
        "id": str(search.pk),
        "status": search.status,
        "createdAt": api_time(search.created_at),
        "kinds": search.kinds,
        "searched": search.searched,
        "total": search.total,
        "kept": search.person is not None,
        "findings": [_finding(row) for row in search.findings],
        "profiles": [_profile(row) for row in search.profiles],
        "unknown": [_place(row) for row in search.unknown],
        "error": search.error_text or None,
    }


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "segmentId": row["segment"],
        "segmentName": row["segmentName"],
        "vendorAccountId": row["account"],
        "vendor": row["vendor"],
        "identifier": row["kind"],
    }


def _finding(row: dict[str, Any]) -> dict[str, Any]:
    return _place(row) | {
        "destinationId": row["destination"],
        "uploadId": row["upload"],
        "since": row["since"],
        "endsOn": row["endsOn"],
        "removedDestination": row["released"],
        "leftAtVendor": row.get("left", False),
    }


def _profile(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "vendorAccountId": row["account"],
        "vendor": row["vendor"],
        "what": row["what"],
        "name": row["name"],
        "count": row["count"],
        "error": row["error"] or None,
        "note": row.get("note") or None,
    }


def erasure_shape(erasure: Erasure, steps: list[ErasureStep]) -> dict[str, Any]:
    """An erasure with its steps: the receipt. It names no identifier."""
    return {
        "id": str(erasure.pk),
        "company": erasure.company.name,
        "status": erasure.status,
        "askedBy": erasure.asked_by.email if erasure.asked_by else None,
        "via": erasure.via,
        "createdAt": api_time(erasure.created_at),
        "finishedAt": api_time(erasure.finished_at),
        "kinds": erasure.kinds,
        "filesDeleted": erasure.files_deleted,
        "keptOut": erasure.lifted_at is None,
        "liftedAt": api_time(erasure.lifted_at),
        "error": erasure.error_text or None,
        "steps": [_step(step) for step in steps if step.status != StepStatus.LEFT],
        "left": [_left(step) for step in steps if step.status == StepStatus.LEFT],
    }


def _step(step: ErasureStep) -> dict[str, Any]:
    account, destination = step.vendor_account, step.destination
    return {
        "what": step.what,
        "status": step.status,
        "vendorAccountId": account.pk if account else None,
        "vendor": account.vendor if account else None,
        "segmentId": destination.segment_id if destination else None,
        "uploadId": str(step.upload_id) if step.upload_id else None,
        "vendorJobIds": vendor_jobs(step),
        "count": step.count,
        "text": step.text or None,
        "at": api_time(step.at),
    }


def _left(step: ErasureStep) -> dict[str, Any]:
    shape = _step(step)
    return {name: shape[name] for name in ("what", "vendorAccountId", "vendor", "segmentId", "text")}


def vendor_jobs(step: ErasureStep) -> list[str]:
    """The vendor's job ids of a removal; its deliveries and parts are loaded with it."""
    if step.upload is None:
        return []
    return [part.job_id for row in step.upload.deliveries.all() for part in row.parts.all() if part.job_id]


def steps_of(erasure: Erasure, *, with_jobs: bool = True) -> list[ErasureStep]:
    """An erasure's steps with all that its receipt shows; without the vendors' jobs in one query."""
    rows = erasure.steps.select_related("vendor_account", "destination__segment", "upload").order_by("pk")
    return list(rows.prefetch_related("upload__deliveries__parts") if with_jobs else rows)
