"""Names, patterns and shapes of the Synerise API (spec sections 1, 4 and 6). All vendor text is untrusted and cut."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.errors import MAX_VENDOR_TEXT, Permanent, UnknownOutcome
from audsync_web.vendors.connectors.formats import Wrap
from audsync_web.vendors.connectors.identifiers import UUID_PATTERN, IdentifierRule
from audsync_web.vendors.connectors.reading import impersonal, utc_moment, whole
from audsync_web.vendors.connectors.source import ProfileView, SourceProfile

PROPERTIES = {"custom_id": "customId", "email": "email", "phone": "phone", "uuid": "uuid"}
"""Our kinds → the property of a profile."""
LOOKUPS = {"custom_id": "by-custom-id", "email": "by-email", "phone": "by-phone", "uuid": "by-uuid"}
CRM_FIELDS = {"custom_id": "custom_identify", "email": "email", "phone": "phone", "uuid": "uuid"}
"""Our kinds → the spelling of CRM lists and exports."""

LONGEST_TAG = 20
TAG_NAME = re.compile(r"[a-z0-9-]{1,20}")
ROW = re.compile(r"^list\[(\d+)\]\.?(.*)$")
LONGEST_REASON = 200

# No astral characters, line breaks, soft hyphen, variation selectors or NUL (section 4.2). The characters stand in the
# patterns themselves, because RE2 and Python spell such escapes differently.
_BANNED = "\u00ad\u2028\u2029\ufe00-\ufe0f\U00010000-\U0010ffff"
# What ECMA calls white space beyond ASCII.
_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"
_LOCAL = rf'[^<>()\[\]\\.,;: @"\x00-\x1f\x7f{_BANNED}{_SPACES}]+'
RULES: dict[str, IdentifierRule] = {
    # One or two dots alone name another path: such a member could be added, and neither read back nor removed.
    "custom_id": IdentifierRule(
        rf"[^\x00-\x1f\x7f{_BANNED}]+",
        "holds a character that Synerise refuses, is “.” or “..”, or is longer than 255 bytes",
        never=(".", ".."),
    ),
    "email": IdentifierRule(
        rf"{_LOCAL}(?:\.{_LOCAL})*@(?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{{2,}}",
        "is not an e-mail address that Synerise takes",
        max_bytes=254,
        case="lower",
    ),
    "phone": IdentifierRule(
        r"\+[0-9 \-()/]{6,19}|[0-9 \-()/]{6,20}", "is not a telephone number that Synerise takes", max_bytes=20
    ),
    "uuid": IdentifierRule(UUID_PATTERN, "is not a UUID (8-4-4-4-12 hexadecimal digits)", case="lower"),
}


# --- tags ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tag:
    """A profile tag: its number and its name."""

    tag_id: int
    name: str


def tag_name(technical_name: str, version: int = 1) -> str:
    """The tag of a segment: our technical name with `-`, and `-v2` … for later versions. Never cut (section 7.12)."""
    name = technical_name.replace("_", "-") + (f"-v{version}" if version > 1 else "")
    if not TAG_NAME.fullmatch(name):
        raise Permanent(
            f"Synerise takes tag names of at most {LONGEST_TAG} characters; this segment's has {len(name)}.",
            code="tag_name_too_long",
            next_step="Make the segment anew; its number is too long for a Synerise tag.",
        )
    return name


def read_tags(rows: Sequence[Any]) -> list[Tag]:
    """The tags of a list; what is none is passed over."""
    found = [read_tag(row) for row in rows if isinstance(row, dict)]
    return [tag for tag in found if tag is not None]


def read_tag(row: Mapping[str, Any]) -> Tag | None:
    """One tag; numbers may arrive as strings."""
    number, name = whole(row.get("id")), row.get("name")
    return Tag(number, name[:MAX_VENDOR_TEXT]) if number is not None and isinstance(name, str) else None


def item_wrap(kind: str, tags: Sequence[str]) -> Wrap:
    """The bytes around an identifier in a batch; nothing is null, nothing but the tags is sent (section 7.5)."""
    suffix = '"}' if not tags else f'","tags":{json.dumps(list(tags), separators=(",", ":"))}}}'
    return Wrap(f'{{"{PROPERTIES[kind]}":"'.encode(), suffix.encode())


# --- the answer to a batch -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BatchAnswer:
    """What became of one batch: whether its good items were queued, and the rows that were not, with the reason."""

    taken: bool
    status: int
    refused: dict[int, str] = field(default_factory=dict)
    said: str = ""


def read_batch_answer(reply: Reply, items: int, said: str = "") -> BatchAnswer:
    """By shape, not by status: an array of `list[n]…` names the rejected rows (section 4.2).

    A page in the answer's place, or a 207 that names no row, does not tell what became of it: `UnknownOutcome`.
    """
    refused: dict[int, str] = {}
    listed = reply.json() if reply.body else None
    for entry in listed if isinstance(listed, list) else []:
        place = ROW.match(str(entry.get("field", ""))) if isinstance(entry, dict) else None
        if place is not None and int(place.group(1)) < items:
            refused.setdefault(int(place.group(1)), _reason(entry, place.group(2)))
    if (reply.status == 207 and not refused) or (reply.ok and reply.body.lstrip().startswith(b"<")):
        raise UnknownOutcome(
            "Synerise answered the batch, and which members it took cannot be read from that.",
            code="answer_unreadable",
            next_step="It is sent again, which does no harm. If that goes on, check the API address or ask Synerise.",
            status=reply.status,
        )
    return BatchAnswer(reply.ok, reply.status, dict(sorted(refused.items())), "" if refused else said)


def _reason(entry: Mapping[str, Any], name: str) -> str:
    """Property and message, without the value that was rejected: a reason is shown and may be kept."""
    message = str(entry.get("message") or "refused")
    value = entry.get("rejectedValue")
    if isinstance(value, str | int) and str(value):  # a telephone number may come as one
        message = message.replace(str(value), "•••")
    message = _impersonal(message)
    return f"{name}: {message}"[:LONGEST_REASON] if name else message[:LONGEST_REASON]


# --- profiles --------------------------------------------------------------------------------------------------------


def read_profile(row: Mapping[str, Any]) -> ProfileView | None:
    """A profile of the v4 calls; None without its number."""
    number = whole(row.get("clientId"))
    if number is None:
        return None
    identifiers = {kind: str(row[name]) for kind, name in PROPERTIES.items() if row.get(name)}
    seen = utc_moment(row.get("lastActivityDate"))
    return ProfileView(str(number), identifiers, texts(row.get("tags")), row.get("anonymous") is True, seen)


def read_customer(row: Mapping[str, Any]) -> SourceProfile:
    """A profile of CRM lists and exports, in their spelling."""
    identifiers = {kind: str(row[name]) for kind, name in CRM_FIELDS.items() if row.get(name)}
    return SourceProfile(str(row.get("id") or ""), identifiers, texts(row.get("tags")))


# --- odds and ends ---------------------------------------------------------------------------------------------------


def describe(reply: Reply) -> str:
    """The vendor's words in any of its error shapes: message, else error, else the start of the body (section 6)."""
    body = reply.object()
    words = [body.get(name) for name in ("message", "error", "help")]
    found = next((word for word in words if isinstance(word, str) and word), "" if body else reply.opening)
    return _impersonal(found)


def _impersonal(said: str) -> str:
    return impersonal(said, {*PROPERTIES.values(), *CRM_FIELDS.values()})


def refer(reply: Reply) -> str:
    """The vendor's own id of a failure, for its support."""
    body = reply.object()
    errors = body.get("errors")
    inner = [entry.get("traceId") for entry in errors if isinstance(entry, dict)] if isinstance(errors, list) else []
    found = next((text for text in [body.get("traceId"), *inner] if isinstance(text, str) and text), "")
    return found[:100]


def texts(value: Any) -> list[str]:
    """A list of texts; what is none is passed over."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
