"""What the identity pages show of a vendor's answer: filtered, sorted, a page at a time. Nothing here is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .connectors.identity import MOST_IDENTIFIERS, Identity, IdentityEntry, IdentityFilter
from .masking import masked

ROWS_A_PAGE = 50


@dataclass(frozen=True)
class Entry:
    """One identifier as a page shows it: masked until somebody wants to see it."""

    name: str
    shown: str = field(repr=False)
    endpoint_id: str


@dataclass(frozen=True)
class OpenedIdentity:
    """One x1Id with a page of the identifiers that were asked for."""

    x1_id: str
    total: int
    fitting: int
    names: Sequence[tuple[str, int]]
    rows: Sequence[Entry]
    page: int
    pages: int
    warning: str
    revealed: bool

    @property
    def first(self) -> int:
        """The number of the first row on this page."""
        return (self.page - 1) * ROWS_A_PAGE + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The number of the last row on this page."""
        return (self.page - 1) * ROWS_A_PAGE + len(self.rows)

    @property
    def fullness(self) -> str:
        """The heading of the warning: full, or nearly so."""
        return "Full" if self.total >= MOST_IDENTIFIERS else "Nearly full"

    @property
    def most(self) -> int:
        """How many an x1Id can hold."""
        return MOST_IDENTIFIERS


def opened(identity: Identity, wanted: dict[str, Any]) -> OpenedIdentity:
    """The identifiers that fit `wanted` (`q`, `kind`, `sort`, `page`, `shown`)."""
    fitting = _sorted(_fitting(identity.identifiers, wanted), wanted.get("sort") or "")
    pages = max(1, -(-len(fitting) // ROWS_A_PAGE))
    page = min(wanted.get("page") or 1, pages)
    revealed = bool(wanted.get("shown"))
    rows = fitting[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]
    return OpenedIdentity(
        x1_id=identity.x1_id,
        total=len(identity.identifiers),
        fitting=len(fitting),
        names=sorted(Counter(entry.name for entry in identity.identifiers).items()),
        rows=[Entry(one.name, one.value if revealed else masked(one.value), one.endpoint_id) for one in rows],
        page=page,
        pages=pages,
        warning=identity.warning,
        revealed=revealed,
    )


def fitting_entries(identity: Identity, wanted: dict[str, Any]) -> list[IdentityEntry]:
    """All identifiers that fit, in the wanted order: for an export."""
    return _sorted(_fitting(identity.identifiers, wanted), wanted.get("sort") or "")


def _fitting(entries: Sequence[IdentityEntry], wanted: dict[str, Any]) -> list[IdentityEntry]:
    text, kind = (wanted.get("q") or "").casefold(), wanted.get("kind") or ""
    return [
        one
        for one in entries
        if (not kind or one.name == kind) and (not text or text in one.value.casefold() or text in one.name.casefold())
    ]


def _sorted(entries: list[IdentityEntry], order: str) -> list[IdentityEntry]:
    if order == "value":
        return sorted(entries, key=lambda one: (one.value.casefold(), one.name))
    if order == "endpoint":
        return sorted(entries, key=lambda one: (one.endpoint_id, one.name, one.value))
    return sorted(entries, key=lambda one: (one.name, one.value.casefold()))


def fitting_filters(filters: Sequence[IdentityFilter], wanted: dict[str, Any]) -> list[IdentityFilter]:
    """The filters that fit `wanted` (`q`, `effect`, `sort`), which come sorted by name."""
    text, effect = (wanted.get("q") or "").casefold(), wanted.get("effect") or ""
    fitting = [
        held for held in filters if text in held.identifier_name.casefold() and (not effect or held.reach == effect)
    ]
    return fitting[::-1] if wanted.get("sort") == "-name" else fitting
