"""The capability matrix in the connectors' README is what the connectors declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from audsync_web.vendors import connectors
from audsync_web.vendors.connectors.registry import VENDORS, connector_class

README = Path(connectors.__path__[0]) / "README.md"


def row(vendor: str) -> str:
    """The vendor's line in the matrix, as its connector declares it."""
    kind = connector_class(vendor)
    can = kind.capabilities
    yes = {True: "yes", False: "–"}
    cells = [
        f"`{vendor}`",
        yes[can.holds_members],
        can.publish if can.holds_members else "–",
        ("sent" if can.uploads_before_publish else "held") if can.publish == "call" else "–",
        yes[can.confirms],
        str(can.longest_days or "–"),
        yes[can.expires],
        yes[can.account_exclusive],
        yes[can.neighbours],
        yes[can.links_existing],
        yes[can.cancels_parts],
        ", ".join(choice.key for choice in can.releases) if can.holds_members else "–",
        yes[can.history],
        yes[can.public_name],
        " ".join(kind.identifier_rules) or "–",
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_matrix_tells_what_the_connector_declares(vendor: str):
    assert row(vendor) in README.read_text(encoding="utf-8").splitlines()
