"""The one interface that every vendor stands behind.

The engine around it (segments.publishing, uploads.delivery) owns rows, leases, retries, order and files. A connector
owns one vendor's API: what is called, how it is paced, what an answer means. It knows no ORM; what it must remember it
hands to a `Journal`, which stores the intent before an effectful call and the outcome after it.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from .capabilities import LEAVE, Capabilities, Publishing, ReleaseChoice
from .errors import NotSupported
from .fields import AccountConfig, Field
from .formats import Encoding, LineFormat, PartRules
from .identifiers import KINDS, IdentifierRule
from .shapes import (
    AccountCheck,
    CannotTell,
    Clock,
    Confirmation,
    ConfirmationState,
    DeliveryContext,
    Estimate,
    Finding,
    Found,
    Gate,
    HistoryEntry,
    Intent,
    Journal,
    Level,
    LoginCall,
    Mode,
    Nothing,
    Pacer,
    PartPayload,
    PartRef,
    Refusal,
    RemoteSegment,
    RemoteState,
    RemoteStatus,
    SegmentRef,
    SegmentSpec,
    SegmentState,
    Services,
    Token,
    Tokens,
    Totals,
)
from .steps import Steps

__all__ = [
    "LEAVE",
    "AccountCheck",
    "CannotTell",
    "Capabilities",
    "Clock",
    "Confirmation",
    "ConfirmationState",
    "Connector",
    "DeliveryContext",
    "Estimate",
    "Finding",
    "Found",
    "Gate",
    "HistoryEntry",
    "Intent",
    "Journal",
    "Level",
    "LoginCall",
    "Mode",
    "Nothing",
    "Pacer",
    "PartPayload",
    "PartRef",
    "Publishing",
    "Refusal",
    "ReleaseChoice",
    "RemoteSegment",
    "RemoteState",
    "RemoteStatus",
    "SegmentRef",
    "SegmentSpec",
    "SegmentState",
    "Services",
    "Steps",
    "Token",
    "Tokens",
    "Totals",
    "identifier_field",
]


class Connector(ABC):
    """One vendor's API for one account. Cheap to build; holds one HTTP session; not shared between threads."""

    vendor: ClassVar[str]
    label: ClassVar[str]
    short_label: ClassVar[str]
    """The label where there is little room, as beside the vendor's mark."""
    summary: ClassVar[str]
    """What a company gets here, in one line, for whoever chooses a vendor."""
    publishing: ClassVar[Publishing | None] = None
    """What publishing brings about; declared by those whose publish is a call, None where nothing is called."""
    default_base_url: ClassVar[str] = ""
    """Shown in the form; empty where the vendor assigns one per customer."""
    base_urls: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Addresses that the form offers, with their names, where the vendor has several; any other may be typed."""
    capabilities: ClassVar[Capabilities]
    identifier_rules: ClassVar[Mapping[str, IdentifierRule]]
    """Identifier kinds the account can be fed with, each with the vendor's rule (often `KINDS[kind].rule`)."""
    identifier_encoding: ClassVar[Encoding] = "utf-8"
    """An identifier that it cannot express is held at planning; what `line_format` writes."""
    renewed_by: ClassVar[str] = ""
    """The release choice that deletes a remote segment whose place a new one has taken, under the destination's option
    `version`; empty where remote segments are never renewed."""
    fields: ClassVar[tuple[Field, ...]]
    destination_fields: ClassVar[tuple[Field, ...]] = ()
    """Options of one destination, in the group `settings`: what `SegmentSpec.options` and `SegmentRef.options` hold."""

    def __init__(self, config: AccountConfig, services: Services) -> None:
        self.config = config
        self.services = services

    @abstractmethod
    def close(self) -> None:
        """Close pooled connections."""

    # --- account

    @property
    @abstractmethod
    def quota_scope(self) -> str:
        """What this account's limits belong to at the vendor (design section 2); never our row's id."""

    @classmethod
    def validate(cls, config: AccountConfig) -> None:
        """Refuse settings that contradict each other, as `InvalidConfiguration`. Called after every field was read."""

    @abstractmethod
    def check(self) -> AccountCheck:
        """The live check: a harmless call that proves credentials and rights. Raises the error families."""

    # --- segments

    def create_segment(self, spec: SegmentSpec) -> RemoteSegment:
        """Create (or find by technical name, where the vendor can be searched) the remote segment. Effectful."""
        raise NotSupported(f"{self.label} holds no segments.")

    def reconcile_segment(self, spec: SegmentSpec, intent: Intent) -> Found[RemoteSegment] | Nothing | CannotTell:
        """What became of a create whose answer was lost."""
        raise NotSupported(f"{self.label} holds no segments.")

    def find_segment(self, spec: SegmentSpec) -> RemoteSegment | None:
        """A remote segment of this technical name that exists already; None where none does or none can be searched."""
        return None

    def read_segment(self, remote_id: str) -> RemoteSegment:
        """An existing remote segment, to be linked or shown."""
        raise NotSupported(f"{self.label} cannot link an existing segment.")

    def publish_segment(self, segment: SegmentRef) -> RemoteSegment:
        """Make it live. Effectful. Vendors with immediate publish answer without a call."""
        raise NotSupported(f"{self.label} publishes nothing.")

    def reconcile_publish(self, segment: SegmentRef, intent: Intent) -> Found[RemoteSegment] | Nothing | CannotTell:
        """What became of a publish whose answer was lost."""
        raise NotSupported(f"{self.label} publishes nothing.")

    def rename_segment(self, segment: SegmentRef, name: str) -> None:
        """Change the display name at the vendor, where it has one; silently nothing where names are fixed.

        Effectful, and made again after a lost answer.
        """

    def release_segment(self, segment: SegmentRef, choice: str) -> None:
        """Do what was chosen when a destination is removed; `leave` does nothing.

        Effectful, and made again after a lost answer.
        """
        if choice != LEAVE.key:
            raise NotSupported(f"{self.label} cannot do “{choice}”.")

    # --- planning

    def lifetime_days(self, duration_days: int) -> int | None:
        """Days that a member added now stays at the vendor; None where this account's members do not end."""
        if not self.capabilities.expires:
            return None
        return min(duration_days, self.capabilities.longest_days or duration_days)

    @property
    def asks_for_neighbours(self) -> bool:
        """Whether planning tells this account's deliveries which other destinations hold a member."""
        return self.capabilities.neighbours

    def part_rules(self, delivery: DeliveryContext) -> PartRules:
        """How the delivery is cut."""
        raise NotSupported(f"{self.label} holds no members.")

    def line_format(self, delivery: DeliveryContext) -> LineFormat:
        """How its parts look on the wire, as they were written at `delivery.written_at`."""
        raise NotSupported(f"{self.label} holds no members.")

    def preflight(self, segment: SegmentRef, identifier: str, totals: Totals | None) -> Sequence[Finding]:
        """Checks before a byte leaves (segment exists and is old enough, quota left …). Reads only."""
        return ()

    def estimate(self, delivery: DeliveryContext, totals: Totals, mean_bytes: float) -> Estimate:
        """What a delivery of so much would cost, for identifiers of `mean_bytes` bytes on average."""
        raise NotSupported(f"{self.label} holds no members.")

    def gates(self, delivery: DeliveryContext) -> Sequence[Gate]:
        """The rules a send of this delivery must pass."""
        return ()

    # --- sending

    def send_part(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> RemoteState:
        """Send one part. Brackets each effectful call with `journal`. Returns the vendor's job as it stands."""
        raise NotSupported(f"{self.label} holds no members.")

    def reconcile_part(
        self, delivery: DeliveryContext, part: PartPayload, intent: Intent, claimed: frozenset[str]
    ) -> Found[RemoteState] | Nothing | CannotTell:
        """What became of a send whose answer was lost. Never one of the `claimed` job ids, which other parts hold."""
        raise NotSupported(f"{self.label} holds no members.")

    def poll_part(self, delivery: DeliveryContext, part: PartRef) -> RemoteState:
        """How the part stands at the vendor."""
        raise NotSupported(f"{self.label} has no jobs to follow.")

    def cancel_part(self, delivery: DeliveryContext, part: PartRef) -> RemoteState:
        """Ask the vendor to stop a part that it has; answers how it stands afterwards."""
        raise NotSupported(f"{self.label} cannot stop what it has received.")

    @classmethod
    def has_begun(cls, memory: Mapping[str, object]) -> bool:
        """Whether a part that waits to be sent again has, by its memory, changed something at the vendor already."""
        return False

    def next_poll(self, waited: float, polls: int) -> float:
        """Seconds until the next look at a part sent `waited` seconds ago and looked at `polls` times.

        After the first look with jitter, so that parts sent together are not looked at together for ever.
        """
        wait = self.poll_step(polls)
        return wait if polls == 0 else wait * random.uniform(0.9, 1.0)  # noqa: S311  # spreads looks, hides nothing

    def poll_step(self, polls: int) -> float:
        """Seconds between look number `polls` and the one before, without jitter: they grow by half each time."""
        first = float(self.config.settings["pollFirstSeconds"])
        longest = float(self.config.settings["pollMaxSeconds"])
        # Bounded, because a float overflows after some 1,700 looks at a job that never ends.
        return min(longest, first * 1.5 ** min(polls, 64))

    poll_deadline_hours: ClassVar[float] = 24.0
    """After so long without an end the delivery needs attention (polling goes on, slowly)."""

    @property
    def sample_size(self) -> int:
        """How many members of each direction `confirm_delivery` wants to be given, as `sample` in the memory."""
        return 0

    def confirm_delivery(
        self, delivery: DeliveryContext, parts: Sequence[PartRef], since: datetime
    ) -> ConfirmationState:
        """Whether the membership is seen to be live. Asked only where `capabilities.confirms`."""
        return ConfirmationState(Confirmation.CONFIRMED)

    # --- looking

    def active_membership(self, segment: SegmentRef) -> str | None:
        """Job id of the membership that is live now, where the vendor tells."""
        raise NotSupported(f"{self.label} does not tell which membership is live.")

    def history(self, segment: SegmentRef | None) -> Iterator[HistoryEntry]:
        """The vendor's own list of uploads, newest first, page by page."""
        raise NotSupported(f"{self.label} keeps no history.")

    # --- shared helpers

    def rule_for(self, identifier: str) -> IdentifierRule:
        """The rule a value must pass to be sent here as `identifier`."""
        try:
            return self.identifier_rules[identifier]
        except KeyError:
            raise NotSupported(f"{self.label} does not take {KINDS[identifier].label} identifiers.") from None


def identifier_field(kinds: Iterable[str], default: str) -> Field:
    """The `identifier` setting: which kind the account is fed with."""
    return Field(
        "identifier",
        "Identifier",
        "choice",
        default=default,
        choices=tuple((key, KINDS[key].label) for key in kinds),
        help="What members are named by at this vendor.",
    )
