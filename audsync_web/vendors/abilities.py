"""What a vendor can do and what it cannot, in words, from the facts that its connector declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .connectors.base import Capabilities, Connector
from .connectors.identifiers import labels_of
from .connectors.registry import VENDORS, connector_class


@dataclass(frozen=True)
class Ability:
    """One thing that a vendor does or does not do, and what follows from it."""

    can: bool
    title: str
    text: str


@dataclass(frozen=True)
class VendorChoice:
    """A vendor as it is offered when an account is connected."""

    key: str
    label: str
    summary: str


def vendor_choices() -> list[VendorChoice]:
    """Every vendor, in the order of the registry."""
    return [VendorChoice(key, label, connector_class(key).summary) for key, (label, _) in VENDORS.items()]


def abilities(connector: type[Connector]) -> list[Ability]:
    """What may be expected of a vendor: first what it can do, then what it cannot."""
    can = connector.capabilities
    found = [*(_of_members(connector) if can.holds_members else _of_others(connector)), *_of_extras(can)]
    return sorted(found, key=lambda ability: not ability.can)


def _of_others(connector: type[Connector]) -> Iterator[Ability]:
    yield Ability(
        False, "Hold members", f"{connector.label} takes no membership uploads, so no segment has a destination here."
    )


def _of_members(connector: type[Connector]) -> Iterator[Ability]:
    can = connector.capabilities
    kinds = labels_of(connector.identifier_rules)
    yield Ability(True, "Replace, add and remove", f"Members are named by one of: {kinds}.")
    yield _publish(can)
    yield _lifetime(can)
    yield _proof(can)
    yield _linking(connector)
    yield _stopping(can)
    yield _removal(can)
    if can.account_exclusive:
        yield Ability(False, "Several deliveries at once", "Deliveries of this account run one after the other.")


def _publish(can: Capabilities) -> Ability:
    if can.publish == "immediate":
        return Ability(True, "Be live at once", "A segment is live as soon as it exists; there is nothing to publish.")
    if can.uploads_before_publish:
        return Ability(True, "Upload before publish", "Members may be sent first and go live with the publish.")
    return Ability(
        False, "Take members before publish", "An upload is checked and planned at once, and held until the publish."
    )


def _lifetime(can: Capabilities) -> Ability:
    if not can.expires:
        return Ability(False, "End members by itself", "Members stay until an upload takes them out.")
    longest = f" after {can.longest_days} days at the latest" if can.longest_days else ""
    return Ability(True, "End members by itself", f"They end{longest}; AudSync sends those who stay again before that.")


def _proof(can: Capabilities) -> Ability:
    if can.confirms:
        return Ability(True, "Show what is live", "AudSync reads back that a delivery has taken effect.")
    return Ability(False, "Show who is a member", "A finished job is the proof; no list can be read.")


def _linking(connector: type[Connector]) -> Ability:
    if connector.capabilities.links_existing:
        return Ability(True, "Link an existing segment", "Give its id when a destination is added.")
    return Ability(
        False, "Link an existing segment", f"{connector.label} cannot be asked for a segment that AudSync did not make."
    )


def _stopping(can: Capabilities) -> Ability:
    if can.cancels_parts:
        return Ability(True, "Stop what it has received", "A cancelled delivery is stopped at the vendor as well.")
    return Ability(
        False, "Stop what it has received", "Cancelling stops what is unsent; what has arrived is followed to its end."
    )


def _removal(can: Capabilities) -> Ability:
    # Quoted: by themselves they read as orders, and they hold commas and semicolons.
    choices = [f"“{choice.label}”" for choice in can.releases]
    if len(choices) > 1:
        text = f"Who removes a destination chooses one of: {', '.join(choices[:-1])} or {choices[-1]}."
        return Ability(True, "Tidy up on removal", text)
    return Ability(False, "Tidy up on removal", "A segment stays at the vendor when its destination is removed.")


def _of_extras(can: Capabilities) -> Iterator[Ability]:
    if can.holds_members:
        yield Ability(
            can.history,
            "List its own uploads",
            "Shown on this page, beside our own." if can.history else "Only AudSync's own history tells what was sent.",
        )
    if can.sources:
        yield Ability(True, "Be a source", "Its own audiences can be turned into an upload.")
    if can.identity:
        yield Ability(True, "Clean identifiers", "Filters, look-up and removal stand under Identity.")
