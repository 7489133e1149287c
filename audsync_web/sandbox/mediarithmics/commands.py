"""User segment commands: reading an uploaded file block by block and checking every line (spec sections 5 and 8)."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

FIELDS = frozenset(
    {
        "operation",
        "compartment_id",
        "user_account_id",
        "email_hash",
        "user_agent_id",
        "segment_id",
        "segment_technical_name",
        "expiration_duration",
        "expiration_ts",
        "data_bag",
    }
)
IDENTIFIERS = ("email_hash", "user_account_id", "user_agent_id")
LARGEST_BODY = 104_857_600
ADVISED_BODY = 100_000_000
ADVISED_LINES = 500_000
ADVISED_LINE = 64 * 1024
LONGEST_MINUTES = 5_256_000

Command = tuple[str, str, int | None]
"""Segment id, key of the user, and minutes to live (0 for ever); None takes the user out."""


class BadFile(Exception):
    """The file as a whole cannot be read; `status` is the HTTP status of a refusal at once."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Rules:
    """What a line is checked against: the data mart's segments and compartments, and how strict to be."""

    segments: Mapping[str, str]
    """Segment id to its type."""
    names: Mapping[str, str]
    """Technical name to segment id."""
    compartments: frozenset[str]
    default_compartment: str
    lax_fields: bool = False


@dataclass
class FileReading:
    """What came of a file: good commands, failed lines, broken client rules, size."""

    commands: list[Command] = field(default_factory=list)
    bad: list[tuple[int, str, str]] = field(default_factory=list)
    lines: int = 0
    bytes: int = 0
    broken: set[str] = field(default_factory=set)
    seen: set[tuple[str, str]] = field(default_factory=set)


def read_ndjson(blocks: Iterable[bytes], rules: Rules) -> FileReading:
    """Read and check a whole NDJSON body; BadFile when it is none (emulator rules 11 to 13)."""
    reading = FileReading()
    for lines in _line_groups(blocks, reading):
        objects = _objects(lines, reading)
        for offset, found in enumerate(objects):
            _take(found, lines[offset], reading.lines + offset + 1, rules, reading)
        reading.lines += len(lines)
    _finish(reading)
    return reading


def read_csv(blocks: Iterable[bytes], rules: Rules) -> FileReading:
    """Read a CSV body in the one dialect that the spec would use: comma, header in lower case, RFC 4180 quotes."""
    reading = FileReading()
    text = "\n".join(line for lines in _line_groups(blocks, reading) for line in lines)
    for number, row in enumerate(csv.DictReader(text.splitlines()), 1):
        command: dict[str, Any] = {name: value for name, value in row.items() if value}
        if str(command.get("expiration_duration", "")).isdigit():
            command["expiration_duration"] = int(command["expiration_duration"])
        _take(command, "", number, rules, reading)
        reading.lines = number
    _finish(reading)
    return reading


def _finish(reading: FileReading) -> None:
    if not reading.lines:
        raise BadFile("The file is empty")
    if reading.bytes > ADVISED_BODY:
        reading.broken.add("file over 100000000 bytes")
    if reading.lines > ADVISED_LINES:
        reading.broken.add("file over 500000 lines")
    reading.seen.clear()


def _line_groups(blocks: Iterable[bytes], reading: FileReading) -> Iterator[list[str]]:
    """The file's lines, a block's worth at a time, decoded strictly."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    rest = ""
    try:
        for block in blocks:
            reading.bytes += len(block)
            if reading.bytes > LARGEST_BODY:
                raise BadFile("The file is too large", 413)
            head, cut, tail = (rest + decoder.decode(block)).rpartition("\n")
            rest = tail
            if cut:
                yield head.split("\n")
        rest += decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise BadFile("The file is not UTF-8") from None
    if rest:
        reading.broken.add("no line feed at the end of the file")
        yield [rest]


def _objects(lines: list[str], reading: FileReading) -> list[dict[str, Any]]:
    """One JSON object a line, or BadFile. The block is parsed as one array, which is right only if the counts agree."""
    if reading.lines == 0 and lines[0].startswith("\ufeff"):
        raise BadFile("The file starts with a byte-order mark")
    try:
        found = json.loads("[" + ",".join(lines) + "]")
    except ValueError:
        found = []
    if len(found) != len(lines) or any(type(item) is not dict for item in found):
        return [_object(line) for line in lines]
    return found  # type: ignore[no-any-return]  # every item was seen to be a dict


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        raise BadFile("Every line must be one complete JSON object") from None
    if not isinstance(found, dict):
        raise BadFile("Every line must be a JSON object")
    return found


def _take(command: dict[str, Any], line: str, number: int, rules: Rules, reading: FileReading) -> None:
    try:
        done = _command(command, rules)
    except ValueError as error:
        reading.bad.append((number, str(error), line))
        reading.broken.add(f"line sent that breaks a rule: {error}")
        return
    if done[:2] in reading.seen:
        reading.broken.add("two commands for one user and segment in one file")
    reading.seen.add(done[:2])
    if len(line) > ADVISED_LINE:
        reading.broken.add("line over 64 KiB")
    if "expiration_ts" in command:
        reading.broken.add("expiration_ts sent")
    reading.commands.append(done)


def _command(command: dict[str, Any], rules: Rules) -> Command:
    """One line by the rules of spec section 5; ValueError with the reason, never with the identifier."""
    if not rules.lax_fields and not FIELDS.issuperset(command):
        raise ValueError("unknown field")
    operation = command.get("operation")
    if operation not in ("UPDATE", "DELETE"):
        raise ValueError("unknown operation")
    minutes = command.get("expiration_duration")
    if type(minutes) is not int or minutes < 0:
        raise ValueError("expiration_duration is no integer of minutes")
    if minutes > LONGEST_MINUTES:
        raise ValueError("expiration_duration over ten years")
    if "data_bag" in command:
        _check_bag(command["data_bag"])
    return _segment(command, rules), _user(command, rules), minutes if operation == "UPDATE" else None


def _user(command: dict[str, Any], rules: Rules) -> str:
    kinds = [name for name in IDENTIFIERS if name in command]
    if len(kinds) != 1:
        raise ValueError("not exactly one kind of identifier")
    kind = kinds[0]
    value = command[kind]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{kind} is no text")
    if kind == "user_account_id":
        compartment = command.get("compartment_id", rules.default_compartment)
        if compartment not in rules.compartments:
            raise ValueError("unknown compartment")
        return f"compartment_id={compartment}/user_account_id={value}"
    if "compartment_id" in command:
        raise ValueError("compartment_id without user_account_id")
    if kind == "email_hash" and "@" in value:
        raise ValueError("email_hash is a raw address")
    return f"{kind}={value}"


def _segment(command: dict[str, Any], rules: Rules) -> str:
    given, name = command.get("segment_id"), command.get("segment_technical_name")
    if (given is None) == (name is None):
        raise ValueError("not exactly one segment reference")
    segment = given if given is not None else rules.names.get(str(name))
    if not isinstance(segment, str) or segment not in rules.segments:
        raise ValueError("unknown segment")
    if rules.segments[segment] != "USER_LIST":
        raise ValueError("the segment is no USER_LIST")
    return segment


def _check_bag(bag: Any) -> None:
    try:
        found = json.loads(bag) if isinstance(bag, str) else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("data_bag is no text that holds a JSON object")


def bare(key: str) -> str:
    """The identifier in a user's key."""
    _, _, account = key.partition("/user_account_id=")
    return account or key.partition("=")[2]
