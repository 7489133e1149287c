"""How a connector declares its part format, so that one block-wise writer serves every vendor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Escape = Literal["none", "json"]
Encoding = Literal["utf-8", "latin-1"]


class Op(IntEnum):
    """What a row of a difference asks of the vendor. A renewal goes over the wire like an addition."""

    ADD = 0
    RENEW = 1
    REMOVE = 2


@dataclass(frozen=True)
class Wrap:
    """The bytes that stand before and after an identifier on its line (line end excluded)."""

    prefix: bytes
    suffix: bytes


@dataclass(frozen=True)
class LineFormat:
    """A part's wire format: `opening`, then one line an identifier joined by `separator`, then `closing`.

    `wrap(op, held_by)` gives the bytes around an identifier; it is called once for each distinct pair, not once a row.
    `held_by` is a bit mask over the delivery's `neighbours` (other destinations of the account that hold the member),
    0 where the connector did not ask for them. `final_separator` says whether the last line ends with the separator.
    `encoding` is the connector's `identifier_encoding`: planning has held back what it cannot express. `md5`: the
    vendor is told the MD5 of the finished part, which takes longer to find than the part to make.
    """

    wrap: Callable[[Op, int], Wrap]
    opening: bytes = b""
    separator: bytes = b"\n"
    closing: bytes = b""
    final_separator: bool = True
    escape: Escape = "none"
    encoding: Encoding = "utf-8"
    gzip: bool = False
    md5: bool = False
    content_type: str = "text/csv"


@dataclass(frozen=True)
class PartRules:
    """How a delivery is cut. Sizes are bytes of the finished part: `max_bytes` unpacked, `max_wire_bytes` as sent.

    `whole_list` vendors get one part that holds the full membership and is never cut: over a limit it is refused.
    `split_operations` keeps additions and removals in parts of their own; `max_removals` then bounds a removal part.
    """

    whole_list: bool = False
    max_lines: int | None = None
    max_bytes: int | None = None
    max_wire_bytes: int | None = None
    split_operations: bool = False
    max_removals: int | None = None
    removals_first: bool = False
