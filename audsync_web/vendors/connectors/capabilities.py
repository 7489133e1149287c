"""What a vendor can do, as its connector declares it: facts for the engine, and words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ReleaseChoice:
    """What may be done at the vendor when a destination is removed: `key` is stored, `label` is shown, `needs` is the
    option of a destination without which it cannot be done."""

    key: str
    label: str
    needs: str = ""


LEAVE = ReleaseChoice("leave", "Leave the segment at the vendor as it is")


@dataclass(frozen=True)
class Publishing:
    """What a publish call brings about at the vendor: `text` is shown, `is_final` says that it cannot be taken back."""

    text: str
    is_final: bool


@dataclass(frozen=True)
class Capabilities:
    """Declared facts, asked before anything is tried; pages hide what is missing and the connector still refuses it."""

    holds_members: bool = True
    publish: Literal["call", "immediate"] = "immediate"
    uploads_before_publish: bool = True
    """False: a delivery before publish is staged (checked, planned, held until publish)."""
    confirms: bool = False
    """True: after the last part, `confirm_delivery` is asked until the membership is seen to be live."""
    longest_days: int | None = None
    """Longest lifetime of a member at the vendor in days; longer ones are capped there and renewed."""
    expires: bool = False
    """True: members end at the vendor by themselves, so they are renewed before they do."""
    account_exclusive: bool = False
    """True: deliveries of one vendor account run one at a time."""
    neighbours: bool = False
    """True: planning asks, for each changed identifier, which other destinations of the account hold it."""
    links_existing: bool = False
    """True: an existing remote segment can be given as `remoteId`."""
    cancels_parts: bool = False
    releases: tuple[ReleaseChoice, ...] = (LEAVE,)
    history: bool = False
    public_name: bool = False
    """True: a published segment has a name there that the vendor's other customers see."""
    sources: bool = False
    identity: bool = False
    reports_size: bool = False
