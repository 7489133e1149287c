"""Tags and single profiles: create, list, delete, look up, assign, unassign, erase (spec sections 4.1, 4.3, 4.4)."""

from __future__ import annotations

from collections.abc import Mapping

from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.errors import Permanent, UnknownOutcome, not_naming, unreadable
from audsync_web.vendors.connectors.source import ProfileView

from .session import Session
from .wire import LOOKUPS, Tag, read_profile, read_tag, read_tags

TAGS = "/v4/tags"
ALL_TAGS = "/v4/clients/tags"
ONE_TAG = "/v4/tags/{tag}"
LOOKUP = "/v4/clients/{type}/{value}"
TAGS_OF = "/v4/clients/{client}/tags"
TAG_OF = "/v4/clients/{client}/tags/{tag}"
BY_CUSTOM_ID = "/v4/clients/by-custom-id/{value}"


class Profiles:
    """The calls for one tag or one profile."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- tags

    def tags(self) -> list[Tag]:
        """Every profile tag of the workspace."""
        return _tags(self._session.read(ALL_TAGS))

    def tag(self, name: str) -> Tag | None:
        """The tag of that name; names are compared exactly."""
        return next((tag for tag in self.tags() if tag.name == name), None)

    def create_tag(self, name: str, colour: str) -> Tag:
        """Create the tag; Synerise answers with the existing one where the name is taken."""
        reply = self._session.effect("POST", TAGS, json_body={"name": name, "color": colour})
        tag = read_tag(reply.object()) or self.tag(name)
        if tag is None or tag.name != name:
            raise Permanent(
                "Synerise answered, but not with the tag that was asked for.",
                code="answer_unreadable",
                next_step="Look at the workspace's tags.",
                status=reply.status,
            )
        return tag

    def delete_tag(self, tag_id: int) -> bool:
        """Delete the definition; False when it was gone already. Profiles stay."""
        return self._session.effect("DELETE", ONE_TAG, values={"tag": tag_id}, accept=(404,)).ok

    # --- one profile

    def find(self, kind: str, value: str) -> ProfileView | None:
        """The profile that has an identifier, None when there is none."""
        with not_naming(value):
            reply = self._session.read(LOOKUP, values={"type": LOOKUPS[kind], "value": value}, accept=(404,))
        if not reply.ok:
            return None
        profile = read_profile(reply.object())
        if profile is None:  # nobody is what 404 says; taken for it, a member who left would keep the tag
            raise unreadable("Synerise")
        return profile

    def tags_of(self, client: str) -> Mapping[str, str]:
        """The tags of one profile: number → name."""
        found = _tags(self._session.read(TAGS_OF, values={"client": client}))
        return {str(tag.tag_id): tag.name for tag in found}

    def assign(self, client: str, tag_id: int) -> bool:
        """Give a profile a tag; False when profile or tag is not there. A 400 for a duplicate needs a look."""
        reply = self._session.effect("POST", TAG_OF, values={"client": client, "tag": tag_id}, accept=(400, 404))
        if reply.status == 400:
            return str(tag_id) in self.tags_of(client)
        return reply.ok

    def unassign(self, client: str, tag_id: int) -> None:
        """Take a tag from a profile; 404 means that it is not there, which is what was wanted (section 7.13)."""
        self._session.effect("DELETE", TAG_OF, values={"client": client, "tag": tag_id}, accept=(404,))

    def erase(self, custom_id: str) -> bool:
        """Delete a profile for good; False when there is none."""
        try:
            with not_naming(custom_id):
                reply = self._session.effect("DELETE", BY_CUSTOM_ID, values={"value": custom_id}, accept=(404,))
        except UnknownOutcome as lost:
            lost.next_step = "Look the profile up first; erase it again only if it is still there."
            raise
        return reply.ok


def _tags(reply: Reply) -> list[Tag]:
    """The tags of a list; what is no list says nothing, not that there are none."""
    rows = reply.json()
    if not isinstance(rows, list):
        raise unreadable("Synerise")
    return read_tags(rows)
