"""How an identifier of a person reads where it must not be told: audit trail, receipts, pages by default."""

from __future__ import annotations

HIDDEN = "•••"
SHORTEST_SHOWN = 8
SHOWN_AT_END = 2


def masked(value: str) -> str:
    """Enough of a value to know one's own again, too little to tell it to somebody else.

    An e-mail address keeps its first letter and the end of its domain; another value of eight characters or more keeps
    two at each end, a shorter one nothing.
    """
    name, at, domain = value.rpartition("@")
    if at and name:
        ending = domain.rpartition(".")[2] if "." in domain else ""
        return f"{name[0]}{HIDDEN}@{HIDDEN}.{ending}" if ending else f"{name[0]}{HIDDEN}@{HIDDEN}"
    if len(value) < SHORTEST_SHOWN:
        return HIDDEN
    return f"{value[:SHOWN_AT_END]}{HIDDEN}{value[-SHOWN_AT_END:]}"
