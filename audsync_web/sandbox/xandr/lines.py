"""How one line of a batch file is read by a member's configuration (spec sections 7 and 13, points 24 to 31)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from .model import HIGHEST_VALUE, LONGEST_MINUTES, MOST_SEGMENTS_A_LINE, MemberConfig

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
HEX32 = re.compile(r"[0-9a-fA-F]{32}")
HEX40 = re.compile(r"[0-9a-fA-F]{40}")
ANY = re.compile(r".+")
DEVICE_SHAPES = {
    "3": UUID,
    "4": HEX40,
    "5": HEX32,
    "7": HEX40,
    "8": UUID,
    "9": ANY,
    "10": UUID,
    "11": ANY,
    "12": ANY,
    "13": ANY,
}
WITHDRAWN = "6"
HIGHEST_USER = 2**64 - 1
BODIES_KEPT = 50_000
ILLEGAL_FIELDS = " failed with an illegal number of fields"


@dataclass(frozen=True)
class Pair:
    """One SEG block: which segment, and what happens to the user there. `minutes` None: the segment's own."""

    segment: tuple[int, str | int]
    minutes: int | None
    starts: int | None
    removal: bool


@dataclass(frozen=True, eq=False)
class Body:
    """A line after the uid. `fault` refuses the whole line; `bad_times` and `bad_values` were left out of `pairs`.

    Compared by identity: one object stands for all lines of the same body.
    """

    pairs: tuple[Pair, ...] = ()
    fault: str = ""
    note: str = ""
    bad_times: int = 0
    bad_values: int = 0


class Line(NamedTuple):
    """A line: the key its user is stored under, the uid as it came, whether it is well formed, and its body."""

    key: str
    uid: str
    well_formed: bool
    body: Body


class _FormatFault(Exception):
    def __init__(self, text: str, note: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.note = note


class LineReader:
    """Reads lines; bodies are the same on very many lines and are read once."""

    def __init__(self, config: MemberConfig) -> None:
        self._config = config
        self._bodies: dict[str, Body] = {}
        self._first, self._between, self._inner, self._remove, self._domain = config.separators

    def read(self, text: str) -> Line:
        """One line without its line feed; never raises."""
        rest, mark, code = text.rpartition(self._domain) if self._domain else ("", "", text)
        if not mark:
            rest, code = text, ""
        uid, found, body = rest.partition(self._first)
        if not found:
            return Line("", uid, False, Body(fault="no separator after the uid"))
        if mark and code not in DEVICE_SHAPES:
            fault = "id type 6 was withdrawn" if code == WITHDRAWN else "unknown id type"
            return Line("", uid, False, Body(fault=fault))
        read = self._bodies.get(body)
        if read is None:
            if len(self._bodies) >= BODIES_KEPT:
                self._bodies.clear()
            read = self._bodies[body] = self._read_body(body)
        if not mark:
            return Line(uid, uid, self._is_user(uid), read)
        return Line(f"{code}^{uid.lower()}", uid, DEVICE_SHAPES[code].fullmatch(uid) is not None, read)

    def _is_user(self, uid: str) -> bool:
        if self._config.use_external_uids:
            return bool(uid)
        return uid.isdigit() and uid.isascii() and uid[0] != "0" and len(uid) <= 20 and int(uid) <= HIGHEST_USER

    def _read_body(self, body: str) -> Body:
        adds, mark, removes = body.partition(self._remove) if self._remove else (body, "", "")
        blocks = [(block, False) for block in adds.split(self._between)]
        blocks += [(block, True) for block in removes.split(self._between)] if mark else []
        if len(blocks) > MOST_SEGMENTS_A_LINE:
            return Body(fault=f"more than {MOST_SEGMENTS_A_LINE} segments on a line")
        try:
            read = [self._read_block(block, after_mark) for block, after_mark in blocks]
        except _FormatFault as fault:
            return Body(fault=fault.text, note=fault.note)
        pairs = tuple(pair for pair in read if isinstance(pair, Pair))
        return Body(pairs, bad_times=read.count("timestamp"), bad_values=read.count("value"))

    def _read_block(self, block: str, after_mark: bool) -> Pair | str:
        """A pair, or the name of the field that leaves just this pair out."""
        names, parts = self._config.segment_fields, block.split(self._inner)
        if len(parts) != len(names):
            raise _FormatFault("wrong number of fields", ILLEGAL_FIELDS)
        fields = dict(zip(names, parts, strict=True))
        segment = self._segment_of(fields)
        minutes, removal = _expiration(fields.get("EXPIRATION"))
        starts = fields.get("TIMESTAMP")
        if starts is not None and not (_digits(starts) and len(starts) == 10):
            return "timestamp"
        if not _digits(fields.get("VALUE", "0")):
            raise _FormatFault("VALUE is not a number")
        if int(fields.get("VALUE", "0")) > HIGHEST_VALUE:
            return "value"
        return Pair(segment, minutes, int(starts) if starts else None, removal or after_mark)

    def _segment_of(self, fields: dict[str, str]) -> tuple[int, str | int]:
        member = fields.get("MEMBER_ID", str(self._config.member_id))
        if not _digits(member):
            raise _FormatFault("MEMBER_ID is not a number")
        if "SEG_CODE" in fields:
            return int(member), fields["SEG_CODE"]
        number = fields["SEG_ID"]
        if not _digits(number) or number.startswith("0") or int(number) > HIGHEST_VALUE:
            raise _FormatFault("SEG_ID is not a number")
        return int(member), int(number)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _expiration(text: str | None) -> tuple[int | None, bool]:
    """Minutes and whether the pair is a removal; 0 is the longest, and more than the longest is cut to it."""
    if text is None:
        return None, False
    if text == "-1":
        return 0, True
    if not _digits(text):
        raise _FormatFault("EXPIRATION is not -1, 0 or minutes")
    return min(int(text), LONGEST_MINUTES) or LONGEST_MINUTES, False
