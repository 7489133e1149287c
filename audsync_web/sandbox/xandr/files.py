"""How an uploaded file is unpacked, checked line by line and counted (spec section 13, points 14 and 21 to 33).

A file is read once, when its upload is over. What it would change is kept with the job and applied when its
validation ends, so the stored memberships change in the order in which jobs are validated.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from .lines import BODIES_KEPT, Body, LineReader, Pair
from .model import LONGEST_MINUTES, MOST_FILE_BYTES, MemberConfig, Segment, World

GZIP_MAGIC = b"\x1f\x8b"
OTHER_MAGICS = (b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")
BLOCK = 1024 * 1024
COUNTERS = (
    "num_valid",
    "num_valid_user",
    "num_invalid_user",
    "num_invalid_format",
    "num_invalid_segment",
    "num_invalid_timestamp",
    "num_unauth_segment",
    "num_past_expiration",
    "num_inactive_segment",
    "num_other_error",
)


class Unreadable(Exception):
    """A file that is neither text nor sound gzip."""


class TooLong(Exception):
    """More than 500,000,000 bytes unpacked."""


Operation = tuple[str, str, tuple[tuple[int, float | None], ...]]
"""A user's key, the uid as it came, and for each segment the moment the membership ends; None removes it."""


@dataclass
class Verdict:
    """What a file came to."""

    lines: int = 0
    counters: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    added: Counter[int] = field(default_factory=Counter)
    removed: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    """Rules of the format that the file breaks, for the ledger; without any identifier."""
    killed: bool = False


def text_lines(source: BinaryIO) -> Iterator[str]:
    """The file's lines in Latin-1, cut at line feeds; an empty end after the last one is no line."""
    source.seek(0)
    magic = source.read(8)
    source.seek(0)
    if magic.startswith(OTHER_MAGICS):
        raise Unreadable("compressed, but not with gzip")
    plain = gzip.GzipFile(fileobj=source) if magic.startswith(GZIP_MAGIC) else source
    size, rest = 0, ""
    try:
        while block := plain.read(BLOCK):
            size += len(block)
            if size > MOST_FILE_BYTES:
                raise TooLong
            pieces = (rest + block.decode("latin-1")).split("\n")
            rest = pieces.pop()
            yield from pieces
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unreadable("gzip is broken") from error
    if rest:
        yield rest


class FileCheck:
    """Checks one file of one member against the segments as they stand."""

    def __init__(self, world: World, config: MemberConfig, now: datetime) -> None:
        self.world = world
        self.config = config
        self.now = now
        self._reader = LineReader(config)
        self._verdict = Verdict()
        self._effects: dict[Body, tuple[tuple[int, float | None], ...]] = {}
        self._problems: dict[str, set[object]] = {}
        self._seen: set[int] = set()
        self._pairs: set[int] = set()
        self._unknown_percent = int(world.number("unknown_percent", 0))

    def run(self, source: BinaryIO) -> Verdict:
        """The verdict over the whole file. `Unreadable` and `TooLong` are failures of the file as such."""
        verdict = self._verdict
        for text in text_lines(source):
            verdict.lines += 1
            self._line(text)
            if verdict.counters["num_invalid_format"] >= self.config.num_invalid_before_error:
                verdict.killed = True
                break
        for name, found in self._problems.items():
            verdict.counters[name] = len(found)
            verdict.faults[f"lines for a segment that counts as {name}"] += 1
        return verdict

    def _line(self, text: str) -> None:
        mark = hash(text)
        if mark in self._seen:
            self._refuse("num_invalid_format", text, "repeated line")
            return
        self._seen.add(mark)
        line = self._reader.read(text)
        if line.body.fault:
            self._refuse("num_invalid_format", text, line.body.fault, line.body.note)
            return
        if not line.well_formed:
            self._refuse("num_invalid_user", text, "user id of a wrong form")
            return
        if self._is_unknown(line.uid):
            self._refuse("num_invalid_user", text)
            return
        self._valid(text, line.key, line.uid, line.body)

    def _valid(self, text: str, key: str, uid: str, body: Body) -> None:
        counters = self._verdict.counters
        effects = self._effects.get(body)
        if effects is None:
            if len(self._effects) >= BODIES_KEPT:
                self._effects.clear()
            effects = self._effects[body] = tuple(self._effects_of(body))
        for segment_id, _ in effects:
            pair = hash((key, segment_id))
            if pair in self._pairs:
                self._verdict.faults["the same user and segment on several lines"] += 1
                if self.world.strict:
                    self._refuse("num_invalid_format", text, "repeated pair")
                    return
            self._pairs.add(pair)
        counters["num_valid_user"] += 1
        counters["num_valid"] += len(effects)
        if body.bad_times:
            counters["num_invalid_timestamp"] += body.bad_times
            self._note("num_invalid_timestamp", text, "")
            self._verdict.faults["TIMESTAMP is not ten digits of seconds"] += body.bad_times
        if body.bad_values:
            self._verdict.faults["VALUE over 2147483647"] += body.bad_values
        if effects:
            self._verdict.operations.append((key, uid, effects))
        for segment_id, ends in effects:
            (self._verdict.removed if ends is None else self._verdict.added)[segment_id] += 1

    def _refuse(self, counter: str, text: str, fault: str = "", note: str = "") -> None:
        self._verdict.counters[counter] += 1
        if fault:
            self._verdict.faults[fault] += 1
        self._note(counter, text, note)

    def _note(self, counter: str, text: str, note: str) -> None:
        if len(self._verdict.log) < self.config.num_error_log_lines:
            self._verdict.log.append(f"{counter}-{text}{note}")

    def _is_unknown(self, uid: str) -> bool:
        if uid in self.world.unknown_users:
            return True
        return bool(self._unknown_percent) and zlib.crc32(uid.encode("latin-1")) % 100 < self._unknown_percent

    # --- what a body means for the segments as they stand

    def _effects_of(self, body: Body) -> Iterator[tuple[int, float | None]]:
        for pair in body.pairs:
            segment = self._find(pair)
            problem = self._problem(segment)
            if segment is None or problem:
                self._problems.setdefault(problem, set()).add(pair.segment)
                continue
            if pair.removal:
                yield segment.id, None
                continue
            starts = pair.starts if pair.starts is not None else self.now.timestamp()
            ends = starts + 60 * self._minutes(pair, segment)
            if ends <= self.now.timestamp():
                self._problems.setdefault("num_past_expiration", set()).add(pair.segment)
                continue
            yield segment.id, ends

    def _minutes(self, pair: Pair, segment: Segment) -> int:
        if pair.minutes is not None:
            return pair.minutes
        return segment.expire_minutes or self.config.default_expiration or LONGEST_MINUTES

    def _find(self, pair: Pair) -> Segment | None:
        member, name = pair.segment
        if isinstance(name, int):
            return self.world.segments.get(name)
        for segment in list(self.world.segments.values()):
            if segment.member_id == member and segment.code == name:
                return segment
        return None

    def _problem(self, segment: Segment | None) -> str:
        if segment is None:
            return "num_invalid_segment"
        allowed = {self.config.member_id, *self.config.member_segment_access}
        if segment.member_id not in allowed:
            return "num_unauth_segment"
        if segment.state != "active":
            return "num_inactive_segment"
        age = (self.now - segment.created_at).total_seconds()
        return "num_invalid_segment" if age < self.world.seconds("propagation") else ""


def apply(world: World, operations: list[Operation]) -> None:
    """Change the stored memberships; what is not named stays (a file never clears a segment)."""
    for key, uid, effects in operations:
        for segment_id, ends in effects:
            segment = world.segments.get(segment_id)
            if segment is None:
                continue
            if ends is None:
                segment.members.pop(key, None)
            else:
                segment.members[key] = (uid, ends)
