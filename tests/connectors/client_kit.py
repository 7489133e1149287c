"""A client of no vendor in particular, for tests of what all of them share."""

from __future__ import annotations

from typing import Any

from audsync_web.vendors.connectors.client import VendorClient

BASE = "https://vendor.example/v1"


def make(base_url: str = BASE, **changes: Any) -> VendorClient:
    """The client, with some of its options changed."""
    options: dict[str, Any] = {
        "vendor": "tester",
        "allow_private_hosts": True,
        "user_agent": "AudSync-tests",
        "pace": lambda method: None,
        "describe": lambda reply: reply.object().get("error") or reply.opening,
    }
    return VendorClient(base_url=base_url, **{**options, **changes})
