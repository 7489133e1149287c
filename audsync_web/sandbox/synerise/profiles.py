"""Profiles and their tags: the batch, reads, assign and unassign, erasure (spec sections 4.1 to 4.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from audsync_web.sandbox.framework import Response

from .frame import Call, Operation, absent, refused
from .world import IDENTIFIERS, Batch, Profile, Tag

MOST_ITEMS = 1000
MOST_BYTES = 1_000_000
CLIENT_BYTES = 950_000
LONGEST_TAG = 20

_EMAIL = re.compile(
    r"^(([^<>()\[\]\\.,;:\s@\"]+(\.[^<>()\[\]\\.,;:\s@\"]+)*)|(\".+\"))"
    r"@((\[[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\])|(([a-zA-Z\-0-9]+\.)+[a-zA-Z]{2,}))$"
)
_PHONE = re.compile(r"^(\+[0-9 \-()/]{6,19}|[0-9 \-()/]{6,20})$")
_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_BANNED = re.compile("[\U00010000-\U0010ffff\r\n\u2028\u2029\u00ad\ufe00-\ufe0f\x00]")
_SELECTORS = re.compile("^[\ufe00-\ufe0f]+$")
_BIRTH = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_TEXTS = frozenset(["firstName", "lastName", "displayName", "company", "city", "address", "zipCode", "province"])
_SEXES = frozenset({"FEMALE", "MALE", "NOT_SPECIFIED", "OTHER"})
_TYPES = {"by-custom-id": "customId", "by-phone": "phone", "by-uuid": "uuid", "by-email": "email"}


def operations() -> list[Operation]:
    """The rows of the table that this module serves."""
    one, tag = "/v4/clients/{client:int}", "/v4/clients/{client:int}/tags/{tag:int}"
    erase = "API_BY_ID_CLIENT_DELETE"
    return [
        Operation("GET", "/v4/server/time", lambda c: Response.of({"serverTime": c.now.isoformat()}), anyone=True),
        Operation("POST", "/v4/clients/batch", batch, "API_BATCH_CLIENT_CREATE", "batch", "required", body=True),
        Operation("POST", "/v4/tags", create_tag, "API_TAGS_CREATE", "create", "checked", body=True),
        Operation("GET", "/v4/clients/tags", list_tags, "API_TAGS_CLIENT_READ", version="required"),
        Operation("DELETE", "/v4/tags/{tag:int}", delete_tag, "API_TAGS_CREATE", "delete_tag", "checked"),
        Operation("GET", f"{one}/tags", tags_of, "API_TAGS_READ", version="checked"),
        Operation("POST", tag, assign, "API_ASSIGN_TAGS_EXECUTE", "assign", "checked"),
        Operation("DELETE", tag, unassign, "API_ASSIGN_TAGS_EXECUTE", "unassign", "checked"),
        Operation("GET", one, read_by_id, "API_BY_ID_CLIENT_READ", version="required"),
        Operation("DELETE", one, erase_by_id, erase, "erase", "required"),
        Operation("DELETE", "/v4/clients/by-custom-id/{value}", erase_by_custom_id, erase, "erase", "required"),
        Operation("DELETE", "/v4/clients/by-customid/{value}", erase_by_custom_id, erase, "erase", "required"),
        Operation("GET", "/v4/clients/{type}/{value}", read_by, "API_BY_IDENTIFIER_CLIENT_READ", version="required"),
    ]


# --- the batch (section 4.2)


def batch(call: Call) -> Response:
    """Queue the good items; answer 202, or 207 with one entry for each bad property."""
    items = call.body
    if not isinstance(items, list) or not items:
        raise refused(400, "An array with at least one item is needed")
    if len(items) > MOST_ITEMS:
        call.request.violate(f"{len(items)} items in one batch")
        raise refused(400, f"More than {MOST_ITEMS} items")
    if call.on("batch_refused"):
        raise refused(int(call.number("refusal_status", 400)), "The request was rejected")
    _note_rules(call, items)
    forced = {int(text) for text in call.faults.get("synerise.refuse_rows").split(",") if text.strip().isdigit()}
    faults = []
    good = []
    for row, item in enumerate(items):
        found = [*_item_faults(call, item), *([("customId", "", "refused by a switch")] if row in forced else [])]
        if not found:
            good.append(item)
        faults += [_entry(row, *fault) for fault in found]
    status = int(call.number("array_status", 207)) if faults else 202
    if status < 300:
        _queue(call, good, len(items))
    return Response.of(faults, status) if faults else Response(status)


def _queue(call: Call, good: list[dict[str, Any]], count: int) -> None:
    due = call.now + timedelta(seconds=call.number("apply_seconds", 0.25))
    kept = [] if call.on("ignore_batches") else good
    number = call.workspace.next_id()
    queued = Batch(number, count, call.size, call.digest, count - len(good), due, kept)
    call.workspace.batches.append(queued)
    call.workspace.queue.append(queued)


def _entry(row: int, name: str, value: Any, message: str) -> dict[str, Any]:
    return {"rejectedValue": value, "field": f"list[{row}].{name}", "status": 400, "message": message}


def _note_rules(call: Call, items: list[Any]) -> None:
    """What only a careless client does, though the vendor takes it."""
    if call.size > CLIENT_BYTES:
        call.request.violate(f"{call.size} bytes in one batch, over the client's own bound")
    keys: set[str] = set()
    seen: set[tuple[str, str]] = set()
    named = 0
    has_null = False
    for item in items:
        if not isinstance(item, dict):
            continue
        keys.update(item)
        has_null = has_null or None in item.values()
        for name in IDENTIFIERS:
            if item.get(name):
                seen.add((name, str(item[name])))
                named += 1
        for tag in item.get("tags") or ():
            if tag in call.workspace.retired:
                call.request.violate("a deleted tag's name is used again")
    if has_null:
        call.request.violate("null in a profile batch")
    for name in keys & {"agreements", "countryCode"}:
        call.request.violate(f"{name} in a profile batch")
    if len(seen) < named:
        call.request.violate("the same identifier twice in one batch")


def _item_faults(call: Call, item: Any) -> list[tuple[str, Any, str]]:
    if not isinstance(item, dict):
        return [("", str(item), "Item must be an object")]
    found: list[tuple[str, Any, str]] = []
    if not item.get("clientId") and not any(item.get(name) for name in IDENTIFIERS):
        found.append(("customId", "", "At least one identifier is needed"))
    for name, value in item.items():
        check = _CHECKS.get(name)
        if check is None or value is None:
            continue
        message = check(value)
        if message:
            found.append((name, value if isinstance(value, str) else str(value), message))
    if item.get("uuid") and not found and _foreign_uuid(call, item):
        found.append(("uuid", item["uuid"], "UUID belongs to another profile"))
    return found


def _foreign_uuid(call: Call, item: dict[str, Any]) -> bool:
    owner = call.workspace.index["uuid"].get(str(item["uuid"]).strip())
    others = {name: item[name] for name in ("clientId", "customId", "email") if item.get(name)}
    if owner is None or not others:
        return False
    meant = call.workspace.find(others, unique_email=not call.on("non_unique_email"))
    return meant is None or meant.id != owner


def _check_identifier(pattern: re.Pattern[str] | None, message: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or _BANNED.search(value):
            return "Value holds characters that are not allowed"
        text = value.strip()
        return message if pattern is not None and not pattern.match(text) else ""

    return check


def _check_text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value or _SELECTORS.match(value):
        return "Value is not a plain text"
    return ""


def _check_tags(value: Any) -> str:
    if not isinstance(value, list) or any(_check_text(tag) for tag in value):
        return "Tags must be an array of texts"
    return "A tag is longer than 20 characters" if any(len(tag) > LONGEST_TAG for tag in value) else ""


def _check_birth(value: Any) -> str:
    if not isinstance(value, str) or not _BIRTH.match(value):
        return "Birth date must be yyyy-mm-dd"
    try:
        born = date.fromisoformat(value)
    except ValueError:
        return "Birth date is no date"
    return "Birth date is too early" if born <= date(1900, 1, 1) else ""


_CHECKS: dict[str, Callable[[Any], str]] = {
    "email": _check_identifier(_EMAIL, "E-mail is malformed"),
    "phone": _check_identifier(_PHONE, "Phone is malformed"),
    "uuid": _check_identifier(_UUID, "UUID must be well-formed value as per RFC 4122"),
    "customId": _check_identifier(None, ""),
    "tags": _check_tags,
    "birthDate": _check_birth,
    "sex": lambda value: "" if value in _SEXES else "Sex is not in the list",
    **dict.fromkeys(_TEXTS, _check_text),
}


# --- tags (section 4.1)


def create_tag(call: Call) -> Response:
    """A tag by name; the existing one when the name is taken."""
    given = call.body if isinstance(call.body, dict) else {}
    name = given.get("name")
    if not isinstance(name, str) or not name or _check_text(name):
        raise refused(400, "Name is needed")
    if len(name) > LONGEST_TAG:
        call.request.violate(f"a tag name of {len(name)} characters")
    if name in call.workspace.retired:
        call.request.violate("a deleted tag's name is used again")
    tag = call.workspace.tags.get(name)
    if tag is None:
        tag = Tag(call.workspace.next_id(), name, str(given.get("color") or "#0768ff"))
        call.workspace.tags[name] = tag
    return Response.of({"businessProfileId": call.workspace.number, **tag.as_json()})


def list_tags(call: Call) -> Response:
    """Every tag that profiles can have."""
    return Response.of([tag.as_json() for tag in call.workspace.tags.values()])


def delete_tag(call: Call) -> Response:
    """Delete a definition; unknown, deleted and global ones are 404."""
    number = int(call.values["tag"])
    tag = next((tag for tag in call.workspace.tags.values() if tag.id == number and not tag.is_global), None)
    if tag is None:
        raise absent("Tag does not exist")
    call.workspace.delete_tag(tag, call.now + timedelta(seconds=call.number("tag_cache_seconds", 2)))
    return Response(204)


def tags_of(call: Call) -> Response:
    """The tags of one profile."""
    profile = _profile(call)
    held = [call.workspace.tags.get(name) for name in sorted(profile.tags)]
    return Response.of([tag.as_json() for tag in held if tag is not None])


def assign(call: Call) -> Response:
    """Give a profile a tag."""
    profile, tag = _profile(call), _tag(call)
    call.workspace.set_tags(profile, profile.tags | {tag.name})
    return Response.of({"clientId": profile.id, "id": call.workspace.next_id(), "tagId": tag.id})


def unassign(call: Call) -> Response:
    """Take a tag from a profile."""
    profile, tag = _profile(call), _tag(call)
    call.workspace.set_tags(profile, profile.tags - {tag.name})
    return Response(204)


def _tag(call: Call) -> Tag:
    tag = call.workspace.tag_by_id(int(call.values["tag"]))
    if tag is None:
        raise absent("Tag does not exist")
    return tag


def _profile(call: Call) -> Profile:
    profile = call.workspace.profiles.get(int(call.values["client"]))
    if profile is None:
        raise absent("Profile does not exist")
    return profile


# --- reading and erasing (sections 4.3 and 4.4)


def read_by(call: Call) -> Response:
    """One profile by one identifier."""
    name = _TYPES.get(call.values["type"])
    if name is None:
        raise refused(400, "Identifier type is not known")
    number = call.workspace.index[name].get(call.values["value"])
    if number is None:
        raise refused(404, "Profile does not exist")
    return Response.of(call.workspace.profiles[number].as_v4())


def read_by_id(call: Call) -> Response:
    """One profile by its number."""
    return Response.of(_profile(call).as_v4())


def erase_by_id(call: Call) -> Response:
    """Delete a profile by its number."""
    call.workspace.erase(_profile(call))
    return Response(204)


def erase_by_custom_id(call: Call) -> Response:
    """Delete a profile by customId; a second call finds nothing."""
    number = call.workspace.index["customId"].get(call.values["value"])
    if number is None:
        raise refused(404, "Profile does not exist")
    call.workspace.erase(call.workspace.profiles[number])
    return Response(204)
