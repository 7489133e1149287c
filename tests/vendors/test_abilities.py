"""What may be expected of a vendor, in words that are read as they are meant."""

from __future__ import annotations

import pytest

from audsync_web.vendors.abilities import abilities
from audsync_web.vendors.connectors.identifiers import KINDS, labels_of
from audsync_web.vendors.connectors.registry import VENDORS, connector_class


def test_kinds_in_one_line_are_told_apart_though_their_names_hold_commas() -> None:
    assert labels_of(["email_sha256", "email_md5", "unknown"]) == "E-mail, SHA-256; E-mail, MD5"
    assert not [kind.label for kind in KINDS.values() if ";" in kind.label]


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_can_be_chosen_on_removal_does_not_read_as_an_order(vendor: str) -> None:
    connector = connector_class(vendor)
    told = [ability.text for ability in abilities(connector) if ability.title == "Tidy up on removal"]
    choices = connector.capabilities.releases
    if not connector.capabilities.holds_members or len(choices) < 2:
        assert not any("one of" in text for text in told)
        return
    (text,) = told
    assert text.startswith("Who removes a destination chooses one of: “")
    assert all(f"“{choice.label}”" in text for choice in choices)
