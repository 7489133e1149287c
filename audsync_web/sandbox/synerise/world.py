"""What a Synerise workspace holds: profiles, profile tags, queued batches, segmentations and snapshots of them."""

from __future__ import annotations

import uuid as uuids
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

IDENTIFIERS = ("customId", "uuid", "email", "phone")
_NATIVE = "firstName lastName displayName company address city province zipCode countryCode birthDate sex avatarUrl"
NATIVE = tuple(_NATIVE.split())
_RESERVED = """
    email clientId phone customId uuid firstName lastName displayName company address city province zipCode
    countryCode birthDate sex avatarUrl anonymous agreements tags businessProfileId time ip source
    newsletter_agreement custom_identify firstname lastname created updated last_activity_date birthdate
    external_avatar_url displayname receive_smses receive_push_messages receive_webpush_messages
    receive_btooth_messages receive_rfid_messages receive_wifi_messages confirmation_hash ownerId anonymous_type
    country_id geo_loc_city geo_loc_country geo_loc_as geo_loc_country_code geo_loc_isp geo_loc_lat geo_loc_lon
    geo_loc_org geo_loc_query geo_loc_region geo_loc_region_name geo_loc_status geo_loc_timezone geo_loc_zip
    club_card_id type confirmed facebookId status
"""
RESERVED = frozenset(_RESERVED.split())

DEMO_KEY = "demo-synerise-workspace-key"
DEMO_PROFILE_KEY = "demo-synerise-profile-key"
DEMO_SEGMENTATION = "5e6f0a1c-7d2b-4c3d-8e4f-9a0b1c2d3e4f"
DEMO_TAG = "loyal-buyers"


@dataclass(slots=True)
class Profile:
    """A person; `named` are the identifiers it has."""

    id: int
    named: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    attributes: dict[str, Any] = field(default_factory=dict)
    native: dict[str, Any] = field(default_factory=dict)

    def as_v4(self) -> dict[str, Any]:
        """As the v4 calls show it."""
        shown = {"clientId": self.id, **self.named, **self.native}
        return {**shown, "anonymous": not self.named, "attributes": self.attributes, "tags": sorted(self.tags)}

    def as_crm(self) -> dict[str, Any]:
        """As the CRM lists show it, in their spelling."""
        shown: dict[str, Any] = {"id": self.id, "anonymous_type": None if self.named else "UUID"}
        for name, crm in (("uuid", "uuid"), ("email", "email"), ("customId", "custom_identify"), ("phone", "phone")):
            shown[crm] = self.named.get(name)
        for name in NATIVE:
            shown["firstname" if name == "firstName" else name] = self.native.get(name)
        shown["tags"] = sorted(self.tags)
        return shown


@dataclass
class Tag:
    """A profile tag. A global one belongs to no workspace and cannot be deleted."""

    id: int
    name: str
    color: str = "#0768ff"
    is_global: bool = False
    members: set[int] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """As the tag lists show it."""
        return {"id": self.id, "name": self.name, "color": self.color}


@dataclass
class Segmentation:
    """A saved segmentation: every profile that has one of the tags. `listed` is its result at a revision."""

    uuid: str
    name: str
    tags: frozenset[str]
    listed: tuple[int, list[int]] = (-1, [])


@dataclass
class Snapshot:
    """A materialisation or an export task: rows frozen when it was made."""

    id: int
    rows: list[dict[str, Any]]
    expires: datetime
    short_page: int | None = None
    """The offset of a page that was shorter than asked: reading beyond it is a broken client rule."""


@dataclass
class Batch:
    """A queued profile batch, without identifiers once it was applied."""

    number: int
    count: int
    bytes: int
    digest: str
    refused: int
    due: datetime
    items: list[dict[str, Any]] = field(default_factory=list, repr=False)


class Workspace:
    """One workspace. Every method expects the sandbox's lock to be held."""

    def __init__(self, number: int, name: str, key: str) -> None:
        self.number = number
        self.name = name
        self.key = key
        self.guid = str(uuids.UUID(int=number))
        self.profiles: dict[int, Profile] = {}
        self.index: dict[str, dict[str, int]] = {name: {} for name in IDENTIFIERS}
        self.tags: dict[str, Tag] = {"vip": Tag(1, "vip", is_global=True)}
        self.fading: dict[int, tuple[Tag, datetime]] = {}
        self.retired: set[str] = set()
        self.queue: deque[Batch] = deque()
        self.batches: list[Batch] = []
        self.segmentations: dict[str, Segmentation] = {}
        self.materialisations: dict[int, Snapshot] = {}
        self.exports: dict[int, Snapshot] = {}
        self.events: deque[dict[str, Any]] = deque(maxlen=50_000)
        self.salted: dict[str, dict[str, Any]] = {}
        self.revision = 0
        self._last_profile = 500
        self._last_id = 9000

    def next_id(self) -> int:
        """A fresh id for tags, tasks and snapshots."""
        self._last_id += 1
        return self._last_id

    # --- profiles

    def find(self, item: Mapping[str, Any], *, unique_email: bool) -> Profile | None:
        """The profile that an item means: clientId, customId, uuid, e-mail, and phone only as the sole identifier."""
        client = item.get("clientId")
        if isinstance(client, int) and client in self.profiles:
            return self.profiles[client]
        names = ["customId", "uuid", *(["email"] if unique_email else [])]
        given = [name for name in names if item.get(name)]
        if not given and item.get("phone"):
            given = ["phone"]
        for name in given:
            number = self.index[name].get(str(item[name]).strip())
            if number is not None:
                return self.profiles[number]
        return None

    def upsert(self, item: Mapping[str, Any], *, append_tags: bool, unique_email: bool) -> None:
        """Apply one item of a batch."""
        profile = self.find(item, unique_email=unique_email)
        if profile is None:
            if not any(item.get(name) for name in IDENTIFIERS):
                return  # an unknown clientId as the sole identifier creates nothing
            self._last_profile += 1
            profile = self.profiles[self._last_profile] = Profile(self._last_profile)
        for name in IDENTIFIERS:
            if item.get(name):
                self._name(profile, name, str(item[name]).strip())
        self._write_fields(profile, item)
        if "tags" in item:
            names = set(item["tags"] or ())
            self.set_tags(profile, profile.tags | names if append_tags else names)

    def _name(self, profile: Profile, name: str, value: str) -> None:
        taken = self.index[name].setdefault(value, profile.id)
        if taken == profile.id:
            profile.named[name] = value

    def _write_fields(self, profile: Profile, item: Mapping[str, Any]) -> None:
        for name in NATIVE:
            if name in item:
                profile.native[name] = item[name]
        for name, value in (item.get("attributes") or {}).items():
            if name in RESERVED:
                continue
            if value is None:
                profile.attributes.pop(name, None)
            else:
                profile.attributes[name] = value

    def erase(self, profile: Profile) -> None:
        """Delete a profile; snapshots that exist keep it."""
        self.set_tags(profile, set())
        for name, value in profile.named.items():
            self.index[name].pop(value, None)
        del self.profiles[profile.id]
        self.revision += 1

    # --- tags

    def tag_by_id(self, number: int) -> Tag | None:
        """A tag that can be given: defined, or deleted so lately that it is still cached."""
        if number in self.fading:
            return self.fading[number][0]
        return next((tag for tag in self.tags.values() if tag.id == number), None)

    def set_tags(self, profile: Profile, names: set[str]) -> None:
        """Make a profile's tags exactly these; unknown names create the tag."""
        for name in profile.tags - names:
            if name in self.tags:
                self.tags[name].members.discard(profile.id)
        for name in names - profile.tags:
            self._held(name).members.add(profile.id)
        profile.tags = set(names)
        self.revision += 1

    def _held(self, name: str) -> Tag:
        for tag, _ in self.fading.values():
            if tag.name == name:
                return tag
        if name not in self.tags:
            self.tags[name] = Tag(self.next_id(), name)
        return self.tags[name]

    def delete_tag(self, tag: Tag, until: datetime) -> None:
        """Take a definition away; the tag stays on profiles, and assignable, until the cache forgets it."""
        del self.tags[tag.name]
        self.retired.add(tag.name)
        self.fading[tag.id] = (tag, until)

    # --- time

    def settle(self, now: datetime, *, append_tags: bool, unique_email: bool) -> None:
        """Apply what is due: queued batches, tags that the cache forgets."""
        while self.queue and self.queue[0].due <= now:
            batch = self.queue.popleft()
            for item in batch.items:
                self.upsert(item, append_tags=append_tags, unique_email=unique_email)
            batch.items = []
        for number in [number for number, (_, until) in self.fading.items() if until <= now]:
            tag, _ = self.fading.pop(number)
            for member in tag.members:
                if member in self.profiles:
                    self.profiles[member].tags.discard(tag.name)
            self.revision += 1

    # --- segmentations

    def listing(self, segmentation: Segmentation) -> list[int]:
        """Ids of the profiles in a segmentation now, in order."""
        if segmentation.listed[0] != self.revision:
            found: set[int] = set()
            for name in segmentation.tags:
                found |= self.tags[name].members if name in self.tags else set()
            segmentation.listed = (self.revision, sorted(found))
        return segmentation.listed[1]

    def freeze(self, ids: Iterable[int], life: timedelta, now: datetime) -> Snapshot:
        """A snapshot of profiles as they are now."""
        return Snapshot(self.next_id(), [self.profiles[number].as_crm() for number in ids], now + life)


def demo_workspace() -> Workspace:
    """A workspace with 250 profiles that a segmentation of its own holds."""
    workspace = Workspace(48213, "Demo workspace", DEMO_KEY)
    for number in range(1, 251):
        item = {"customId": f"demo-crm-{number:06d}", "email": f"person-{number}@example.invalid", "tags": [DEMO_TAG]}
        workspace.upsert(item, append_tags=False, unique_email=True)
    workspace.segmentations[DEMO_SEGMENTATION] = Segmentation(DEMO_SEGMENTATION, "Loyal buyers", frozenset({DEMO_TAG}))
    return workspace
