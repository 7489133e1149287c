"""Audience segments of one data mart: found by technical name, created, read, renamed (spec section 4, M8 to M10)."""

from __future__ import annotations

import re
from typing import Any

from audsync_web.vendors.connectors.base import RemoteSegment, SegmentSpec, SegmentState
from audsync_web.vendors.connectors.errors import Permanent, unreadable
from audsync_web.vendors.connectors.reading import whole

from .api import Api, identifier, moment, text

TECHNICAL_NAME = re.compile(r"[a-z0-9_]{1,80}")
"""M-U12: names inside these bounds are safe whatever the vendor's own rules are; never changed after creation."""

WRITABLE = (
    "type",
    "feed_type",
    "subtype",
    "datamart_id",
    "organisation_id",
    "name",
    "technical_name",
    "short_description",
    "persisted",
    "default_ttl",
)


class Segments:
    """The segments that an account may feed: USER_LIST, from files, not paused (rule 21)."""

    def __init__(self, api: Api, datamart_id: str, organisation_id: str) -> None:
        self._api = api
        self._datamart_id = datamart_id
        self._organisation_id = organisation_id

    def probe(self) -> None:
        """Read a page of segments: proves the right to see them."""
        listed = self._api.pages(
            "/audience_segments", {}, organisation_id=self._organisation_id, datamart_id=self._datamart_id
        )
        next(listed, None)

    def compartments(self) -> set[str]:
        """The namespaces of account ids in this data mart (M11)."""
        listed = self._api.pages("/datamarts/{dm}/compartments", {"dm": self._datamart_id})
        return {identifier(found.get("compartment_id")) for found in listed}

    def find(self, technical_name: str) -> dict[str, Any] | None:
        """The USER_LIST of exactly this technical name, or None."""
        return self._named(technical_name, type="USER_LIST")

    def holder(self, technical_name: str) -> dict[str, Any] | None:
        """Whatever segment has this technical name, of any type: who stands behind a 409."""
        return self._named(technical_name)

    def _named(self, technical_name: str, **filters: str) -> dict[str, Any] | None:
        listed = self._api.pages(
            "/audience_segments",
            {},
            organisation_id=self._organisation_id,
            datamart_id=self._datamart_id,
            technical_name=technical_name,
            **filters,
        )
        # Compared here as well: a filter that the vendor does not know would be ignored in silence.
        return next((found for found in listed if self._is(found, technical_name)), None)

    def _is(self, found: dict[str, Any], technical_name: str) -> bool:
        datamart = identifier(found.get("datamart_id")) or self._datamart_id
        return found.get("technical_name") == technical_name and datamart == self._datamart_id

    def create(self, spec: SegmentSpec) -> dict[str, Any]:
        """M9. `default_ttl` stays null, so that the lifetime on each line alone decides (M-U16)."""
        if not TECHNICAL_NAME.fullmatch(spec.technical_name):
            raise Permanent("The technical name may hold a–z, 0–9 and _ only, at most 80.", code="bad_technical_name")
        body = {
            "type": "USER_LIST",
            "feed_type": "FILE_IMPORT",
            "subtype": "STANDARD",
            "datamart_id": self._datamart_id,
            "organisation_id": self._organisation_id,
            "name": spec.name,
            "technical_name": spec.technical_name,
            "short_description": "Fed by AudSync",
            "persisted": True,
            "default_ttl": None,
        }
        made = self._api.call("POST", "/audience_segments", {}, body, organisation_id=self._organisation_id)
        if not identifier(made.get("id")):
            raise unreadable("mediarithmics", effect=True)
        return made

    def read(self, remote_id: str) -> dict[str, Any]:
        """M10."""
        return self._api.one("/audience_segments/{seg}", {"seg": remote_id})

    def feedable(self, remote_id: str) -> dict[str, Any]:
        """M10, refused unless files may be sent to it."""
        return self.require_feedable(self.read(remote_id))

    def require_feedable(self, found: dict[str, Any]) -> dict[str, Any]:
        """The segment itself, or `Permanent` with what is in the way (rule 21, M-U22)."""
        fault = self._fault(found)
        if fault:
            raise Permanent(
                f"The segment at mediarithmics {fault}.",
                code="segment_unsuitable",
                next_step="Choose a USER_LIST segment that is fed by files and is not paused.",
            )
        return found

    def _fault(self, found: dict[str, Any]) -> str:
        if identifier(found.get("datamart_id")) not in ("", self._datamart_id):
            return "belongs to another data mart"
        if found.get("type") != "USER_LIST":
            return "is no USER_LIST"
        if found.get("feed_type") not in (None, "", "FILE_IMPORT"):
            return "is not fed by files"
        return "is paused" if found.get("paused") is True else ""

    def rename(self, remote_id: str, name: str) -> None:
        """M10 with PUT: everything as it is, under another display name. Saying it twice does no harm."""
        present = self.read(remote_id)
        if present.get("name") == name:
            return
        body = {key: present[key] for key in WRITABLE if key in present}
        self._api.call("PUT", "/audience_segments/{seg}", {"seg": remote_id}, {**body, "name": name})


def remote_segment(found: dict[str, Any], state: SegmentState = SegmentState.CREATED) -> RemoteSegment:
    """A segment in our words. The size is as the vendor reports it, however fresh (M-U13)."""
    return RemoteSegment(
        identifier(found.get("id")),
        state,
        raw_state="paused" if found.get("paused") is True else "",
        name=text(found.get("name")),
        external_id=text(found.get("technical_name")),
        size=whole(found.get("user_points_count")),
        created_at=moment(found.get("creation_ts")),
    )
