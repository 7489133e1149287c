"""What the tests of a segment's page share."""

from __future__ import annotations

from typing import Any

from segments.models import Destination, DestinationStatus, Segment
from tests.jobs_helper import run_until_quiet

HTMX = {"HX-Request": "true"}


def run() -> None:
    run_until_quiet(kinds=("segments.destination",))


def url_of(segment: Segment, part: str = "") -> str:
    return f"/segments/{segment.pk}{f'/{part}' if part else ''}"


def stop(destination: Destination, **fields: Any) -> None:
    values = {"status": DestinationStatus.FAILED, "error_code": "x", "error_text": "It went wrong.", **fields}
    Destination.objects.filter(pk=destination.pk).update(next_step="Do this about it.", next_action_at=None, **values)
