"""The batch text file: separators, fields, identifier types (spec section 7; register U22 to U24).

A delivery feeds one segment, so every line names one user and one segment: the limit of 1800 segments a line is far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from audsync_web.vendors.connectors.base import SegmentRef
from audsync_web.vendors.connectors.errors import InvalidConfiguration, Permanent
from audsync_web.vendors.connectors.fields import AccountConfig, Field
from audsync_web.vendors.connectors.identifiers import KINDS, IdentifierRule

TYPE_CODES: Mapping[str, str] = {
    "xandr_id": "",
    "idfa": "3",
    "sha1udid": "4",
    "md5udid": "5",
    "openudid": "7",
    "aaid": "8",
    "windowsadid": "9",
    "rida": "10",
    "tifa": "11",
    "vida": "12",
    "lgudid": "13",
}
"""SEPARATOR5 codes (section 7.3). Type 6 was withdrawn and must never be sent."""
UNCONFIRMED_TYPES = ("tifa", "vida", "lgudid")

FIELDS = ("SEG_ID", "SEG_CODE", "MEMBER_ID", "EXPIRATION", "TIMESTAMP", "VALUE")
DEFAULT_FIELDS = ["SEG_ID", "EXPIRATION", "VALUE"]
DEFAULT_SEPARATORS = (";", ",", ":", "tab", "^")
WORDS = {"tab": "\t", "space": " "}
FORBIDDEN = "[](){}$\\/|?*+-"
LONGEST_MINUTES = 259_200
"""180 days: the longest that a member stays."""
REMOVED = -1
"""`EXPIRATION` of a removal, in a block like any other: how blocks after SEPARATOR4 look is not confirmed."""


def _not_all_zero(pattern_groups: tuple[int, ...]) -> str:
    """A pattern of hexadecimal groups with at least one digit that is not 0, for RE2 (no look-ahead)."""
    template = "-".join("h" * size for size in pattern_groups)
    choices = []
    for place, mark in enumerate(template):
        if mark == "h":
            rest = template[place + 1 :].split("-")
            tail = "-".join(f"[0-9a-fA-F]{{{len(group)}}}" if group else "" for group in rest)
            choices.append(template[:place].replace("h", "0") + "[1-9a-fA-F]" + tail)
    return "|".join(choices)


DEVICE = IdentifierRule(
    _not_all_zero((8, 4, 4, 4, 12)), "is not a device id (8-4-4-4-12 hexadecimal digits), or all its digits are 0"
)
"""A UUID; the all-zero one stands for a person who opted out and is not sent (section 7.3)."""


def _rule(kind: str) -> IdentifierRule:
    """Whether letter case counts at Xandr is not known: an id goes out as it came, and spelt twice it is one (U24)."""
    rule = DEVICE if kind in {"idfa", "aaid", "rida"} else KINDS[kind].rule
    return replace(rule, case="fold") if TYPE_CODES[kind] else rule


RULES: Mapping[str, IdentifierRule] = {kind: _rule(kind) for kind in TYPE_CODES}
FREE_FORM = ("windowsadid", "tifa", "vida", "lgudid")
"""Types of no known shape: only what would break a line is refused."""

LAYOUT_FIELDS: tuple[Field, ...] = (
    *(
        Field(
            f"separator{number}",
            f"Separator {number}",
            default=default,
            help=f"{role} One character, or the word tab or space. As agreed with Xandr.",
            advanced=True,
        )
        for number, default, role in zip(
            range(1, 6),
            DEFAULT_SEPARATORS,
            (
                "Ends the user id.",
                "Between segments.",
                "Between a segment's fields.",
                "Before removals; not written, but no identifier may hold it.",
                "Before the identifier type.",
            ),
            strict=True,
        )
    ),
    Field(
        "segmentFields",
        "Segment fields",
        "list",
        default=DEFAULT_FIELDS,
        help="The fields of a segment block in their order, as agreed with Xandr. EXPIRATION is needed for removals.",
        advanced=True,
    ),
    Field(
        "unconfirmedIdTypes",
        "Allow identifier types that only bidders have",
        "boolean",
        default=False,
        help="Samsung, Vizio and LG ids are documented for bidders only.",
        advanced=True,
    ),
)


@dataclass(frozen=True)
class Layout:
    """How this member's files are written, as agreed with Xandr at its onboarding."""

    separators: tuple[str, ...]
    fields: tuple[str, ...]
    member_id: int

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Layout:
        """The layout of an account's settings."""
        given = (str(settings[f"separator{number}"]) for number in range(1, 6))
        return cls(
            tuple(WORDS.get(text.lower(), text) for text in given),
            tuple(str(name).upper() for name in settings["segmentFields"]),
            int(settings["memberId"]),
        )

    @property
    def needs_code(self) -> bool:
        """Whether segments are named by their code instead of their id."""
        return "SEG_CODE" in self.fields

    def target(self, segment: SegmentRef) -> str:
        """What a segment is named by in this member's files. Raises `Permanent` for a code that would break a line."""
        if not self.needs_code:
            return segment.remote_id
        code = str(segment.memory.get("code", segment.technical_name))
        if not code or not code.isascii() or not code.isprintable() or any(mark in code for mark in self.separators):
            raise Permanent(
                "The segment has no code at Xandr that this member's files can name it by.",
                code="segment_code_unusable",
                next_step="Give the segment a code of letters, digits, _ and - at Xandr, then link it again.",
            )
        return code

    def tail(self, target: str, minutes: int, starts: int, type_code: str) -> bytes:
        """What stands after a user id on its line: one whole segment block, then the identifier type."""
        values = {
            "SEG_ID": target,
            "SEG_CODE": target,
            "MEMBER_ID": str(self.member_id),
            "EXPIRATION": str(minutes),
            "TIMESTAMP": str(starts),
            "VALUE": "0",
        }
        first, _, between, _, before_type = self.separators
        block = first + between.join(values[name] for name in self.fields)
        return (block + (before_type + type_code if type_code else "")).encode("latin-1")

    def rule(self, identifier: str) -> IdentifierRule:
        """The rule of an identifier kind; kinds of free form may not hold a separator or leave Latin-1."""
        rule = RULES[identifier]
        if identifier not in FREE_FORM:
            return rule
        kept_out = "".join(f"\\x{ord(separator):02x}" for separator in dict.fromkeys(self.separators))
        return IdentifierRule(
            rf"[^\x00-\x1f\x7f-\x9f{kept_out}]+",
            "holds a separator of the file or a control character, or is longer than 255 bytes",
            case=rule.case,
        )


def require_layout(config: AccountConfig) -> None:
    """Refuse separators and fields that Xandr does not allow (sections 7.1 and 7.2), all faults at once."""
    layout = Layout.of(config.settings)
    errors = {}
    for number, separator in enumerate(layout.separators, 1):
        if fault := _separator_fault(layout, number, separator):
            errors[f"separator{number}"] = fault
    if fault := _fields_fault(layout.fields):
        errors["segmentFields"] = fault
    if config.settings["identifier"] in UNCONFIRMED_TYPES and not config.settings["unconfirmedIdTypes"]:
        errors["identifier"] = "is documented for bidders only; set unconfirmedIdTypes to use it"
    if errors:
        raise InvalidConfiguration(errors)


def _separator_fault(layout: Layout, number: int, separator: str) -> str:
    if len(separator) != 1:
        return "must be one character, or the word tab or space"
    if separator in FORBIDDEN or separator.isalnum() or separator in "_\r\n" or ord(separator) > 255:
        return "must not be a letter, a digit, _, a line end or one of [](){}$\\/|?*+-"
    before = layout.separators[: number - 1]
    # Only SEPARATOR3 may be the same as another, and only as SEPARATOR1.
    clash = separator in (before[1:] if number == 3 else before)
    return "must differ from the other separators" if clash else ""


def _fields_fault(names: tuple[str, ...]) -> str:
    if unknown := [name for name in names if name not in FIELDS]:
        return f"does not know {unknown[0][:20]}; known are {', '.join(FIELDS)}"
    if len(set(names)) != len(names):
        return "names a field twice"
    if ("SEG_ID" in names) == ("SEG_CODE" in names):
        return "must hold SEG_ID or SEG_CODE, and not both"
    return "" if "EXPIRATION" in names else "must hold EXPIRATION, which removals are written with"
