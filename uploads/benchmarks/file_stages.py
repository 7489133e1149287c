"""The stages of the vendor file benchmarks, each as a process: `python -m uploads.benchmarks.file_stages NAME PATH…`.

The connectors are the real ones. They are asked only how a delivery is cut and what its lines look like, so what they
are given to call a vendor with is never used, and no vendor is called. Prints what `engine.benchmark_stages` prints.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from audsync_web.vendors.connectors.base import Connector, DeliveryContext, LoginCall, SegmentRef, Services
from audsync_web.vendors.connectors.errors import NotSupported
from audsync_web.vendors.connectors.fields import AccountConfig, read_values
from audsync_web.vendors.connectors.formats import LineFormat
from audsync_web.vendors.connectors.registry import connector_class
from uploads.engine import benchmark_stages as stages
from uploads.engine.members import build_members
from uploads.engine.parts import plan_parts, write_part
from uploads.engine.reading import CheckOptions

PLANNED_AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DAYS = 90
GIVEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "xandr": ({"username": "bench", "password": "opens-nothing"}, {"memberId": 7702, "identifier": "xandr_id"}),
    "mediarithmics": (
        {"apiToken": "opens-nothing"},
        {"datamartId": "1471", "organisationId": "612", "identifier": "email_sha256"},
    ),
}


class _Offline:
    """Tokens and pace for a connector that calls nobody: whatever needs one is refused."""

    def now(self) -> datetime:
        """The moment that the delivery is planned."""
        return PLANNED_AT

    def current(self, key: str) -> str | None:
        """No token."""
        return None

    def renew(self, key: str, stale: str | None, login: LoginCall) -> str:
        """Refused."""
        raise NotSupported("A benchmark of files calls no vendor.")

    def forget(self, key: str) -> None:
        """There is none to forget."""

    def take(self, key: str, *, per_second: float, burst: int = 1) -> None:
        """Refused."""
        raise NotSupported("A benchmark of files calls no vendor.")

    def pause(self, key: str, seconds: float, reason: str) -> None:
        """Refused."""
        raise NotSupported("A benchmark of files calls no vendor.")

    def check(self, key: str) -> None:
        """Nothing is paused."""

    def inside(self, key: str, *, places: int) -> AbstractContextManager[None]:
        """Refused."""
        raise NotSupported("A benchmark of files calls no vendor.")


def connector(vendor: str) -> Connector:
    """The vendor's connector for an account of its defaults."""
    known = connector_class(vendor)
    credentials, settings = GIVEN[vendor]
    config = AccountConfig(
        vendor,
        known.default_base_url or "https://vendor.example",
        read_values(known.fields, "credentials", credentials),
        read_values(known.fields, "settings", settings),
    )
    offline = _Offline()
    return known(config, Services(offline, offline, offline))


def delivery(vendor: str) -> DeliveryContext:
    """A first delivery to a segment of 90 days."""
    segment = SegmentRef("4410021", "aud_k7q2_11107", "Lapsed buyers", DAYS, published=True, created_at=None)
    kind = str(GIVEN[vendor][1]["identifier"])
    return DeliveryContext("1", 1, segment, kind, "replace", PLANNED_AT, PLANNED_AT + timedelta(days=DAYS))


def line_format(vendor: str) -> LineFormat:
    """How its lines look."""
    return connector(vendor).line_format(delivery(vendor))


def snapshot(source: Path, out: Path, spill: Path) -> None:
    """Make the set of a file, whose kind its header names."""
    with source.open("rb") as stream:
        kind = stream.readline().decode().strip()
    build_members(lambda: source.open("rb"), CheckOptions(), kind, out, spill)


def write_files(vendor: str, members: Path, folder: Path) -> None:
    """Plan a first delivery of a whole snapshot and write every part of it to a file."""
    folder.mkdir(mode=0o700, exist_ok=True)
    changes = folder / "changes"
    stages.everything_added(members, changes)
    known, context = connector(vendor), delivery(vendor)
    form = known.line_format(context)
    for part in plan_parts(changes, form, known.part_rules(context)):
        write_part(changes, part, form, folder / f"part-{part.number:04d}")


stages.STAGES.update(snapshot=snapshot, **{vendor: partial(write_files, vendor) for vendor in GIVEN})

if __name__ == "__main__":
    sys.stdout.write(stages.main(*sys.argv[1:]))
