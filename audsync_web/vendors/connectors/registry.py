"""The table of vendors: key → label and dotted path, imported on first use, feeding the models' choices."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .base import Connector

VENDORS: dict[str, tuple[str, str]] = {
    "anonymised": ("Anonymised UserSync", "audsync_web.vendors.connectors.anonymised.AnonymisedConnector"),
    "mediarithmics": ("mediarithmics", "audsync_web.vendors.connectors.mediarithmics.MediarithmicsConnector"),
    "synerise": ("Synerise", "audsync_web.vendors.connectors.synerise.SyneriseConnector"),
    "xandr": ("Xandr", "audsync_web.vendors.connectors.xandr.XandrConnector"),
    "acoustic": ("Acoustic Exchange", "audsync_web.vendors.connectors.acoustic.AcousticConnector"),
}

VENDOR_CHOICES: list[tuple[str, str]] = [(key, label) for key, (label, _) in VENDORS.items()]


@cache
def connector_class(vendor: str) -> type[Connector]:
    """The connector of a vendor key; KeyError for a key that is none."""
    module, _, name = VENDORS[vendor][1].rpartition(".")
    found: type[Connector] = getattr(import_module(module), name)
    return found
