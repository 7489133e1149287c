"""Vendor accounts that are connected to a sandbox, for tests of the whole way."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from audsync_web.vendors.services import account_connect

# As fast as it goes: tests do not wait for a vendor's pace.
QUICK = {"pollFirstSeconds": 0, "pollMaxSeconds": 0, "requestsPerSecond": 5000}
JOB_SECONDS = {
    "anonymised": ("pending_seconds", "processing_seconds"),
    "mediarithmics": ("queue_seconds", "run_seconds"),
}


def hurry(box: Sandbox, vendor: str) -> None:
    """Let the vendor end its jobs a moment after they came."""
    for name in JOB_SECONDS[vendor]:
        box.context.faults.set(f"{vendor}.{name}", "0.01")


def connect(box: Sandbox, actor: Actor, vendor: str, *, name: str = "", **settings: Any) -> VendorAccount:
    """Connect the sandbox's demo account of a vendor, without pacing; `settings` are added."""
    module = import_module(f"audsync_web.sandbox.{vendor}")
    return account_connect(
        actor=actor,
        vendor=vendor,
        name=name or f"{vendor} demo",
        base_url=box.base_url(vendor),
        credentials=dict(module.DEMO_CREDENTIALS),
        settings={**module.DEMO_SETTINGS, **QUICK, **settings},
        check=False,
    )
