"""The identity capability: vendors that govern which identifiers may leave them, and that clean wrong ones.

Pages ask for it by `capabilities.identity` and then hold an `IdentityConnector`. Values are identifiers of people: they
never stand in a log or in one of our URLs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .base import Finding, Level
from .identifiers import KINDS

MOST_IDENTIFIERS = 1000
NEARLY_FULL = 950
LONGEST_NAME = 60
"""Characters of an identifier's name in a setting."""
BOTH_FALSE = (
    "A filter must hide the identifier from every destination, from this endpoint, or both: with both off it would "
    "filter nothing. To let the identifier pass, remove the filter instead."
)

Reach = Literal["everywhere", "here", ""]
EFFECTS: dict[Reach, str] = {
    "everywhere": "Hidden from every destination.",
    "here": "Hidden from this endpoint only.",
    "": "The vendor shows neither flag of it, so what it hides is not known.",
}


@dataclass(frozen=True)
class IdentityFilter:
    """A rule on one endpoint and one identifier name (Acoustic spec section 4)."""

    filter_id: str
    endpoint_id: str
    identifier_name: str
    publish: bool
    """True: taken from sources, passed to no destination at all."""
    subscribe: bool
    """True: taken from sources, not passed to this endpoint."""
    kind: str = ""
    """Our kind of identifier that goes by this name, where that is known."""

    @property
    def reach(self) -> Reach:
        """Whom the rule hides the identifier from; empty where the vendor does not tell."""
        if self.publish:
            return "everywhere"
        return "here" if self.subscribe else ""

    @property
    def effect(self) -> str:
        """What the rule does, in one plain sentence."""
        return EFFECTS[self.reach]


@dataclass(frozen=True)
class IdentityEntry:
    """One identifier in an x1Id and the endpoint that it came from. `value` names a person."""

    name: str
    value: str = field(repr=False)
    endpoint_id: str = ""


@dataclass(frozen=True)
class Identity:
    """One x1Id, the vendor's record of one person."""

    x1_id: str
    identifiers: Sequence[IdentityEntry] = field(repr=False)

    @property
    def warning(self) -> str:
        """Set when the record is about full: a further identifier would have no place."""
        if len(self.identifiers) < NEARLY_FULL:
            return ""
        return f"This x1Id holds {len(self.identifiers):,} of at most {MOST_IDENTIFIERS:,} identifiers."


class IdentityConnector(ABC):
    """What the identity pages need. Every method raises the error families; nothing is repeated after a lost answer."""

    @property
    @abstractmethod
    def offers_filters(self) -> bool:
        """Whether the account's key may read and write filters and read an x1Id."""

    @property
    @abstractmethod
    def identifier_names(self) -> Mapping[str, Sequence[str]]:
        """The names under which the vendor knows our kinds of identifier; without one a kind cannot be asked for."""

    @abstractmethod
    def list_filters(self, *, fresh: bool = False) -> Sequence[IdentityFilter]:
        """The filters of the key's endpoint. A list of the last minute may be given again unless `fresh`."""

    @abstractmethod
    def find_filter(self, name: str) -> IdentityFilter | None:
        """The filter for one identifier name, None when there is none."""

    @abstractmethod
    def save_filter(self, name: str, *, publish: bool, subscribe: bool) -> IdentityFilter:
        """Add or change the filter for one identifier name; answers what the vendor holds afterwards. Effectful."""

    @abstractmethod
    def remove_filter(self, name: str) -> bool:
        """Remove the filter; False when it was gone already. Effectful."""

    @abstractmethod
    def identifiers_of(self, x1_id: str) -> Identity | None:
        """Everything that an x1Id holds, None when it is not known."""

    @abstractmethod
    def x1ids_of(self, name: str, value: str) -> Sequence[Identity]:
        """The x1Ids that hold an identifier, each showing only it. More than one: it was published wrongly."""

    @abstractmethod
    def remove_identity(self, name: str, value: str) -> int | None:
        """Remove an identifier from every x1Id and endpoint of the application, for good. Effectful.

        Answers how many records the vendor changed, None when it did not say. A lost answer is `UnknownOutcome`: look
        the identifier up before removing it again.
        """


def filter_findings(filters: Iterable[IdentityFilter], kind: str) -> list[Finding]:
    """For preflight: the filters that would stop the identifier kind which a delivery needs."""
    return [
        Finding(
            "identity filter",
            Level.WARNING,
            f"An identity filter at Acoustic Exchange {'holds' if held.reach else 'may hold'} back "
            f"“{held.identifier_name}” ({KINDS[kind].label}). {held.effect}",
            "Change or remove the filter if Exchange must pass these identifiers on.",
        )
        for held in filters
        if held.kind == kind
    ]
