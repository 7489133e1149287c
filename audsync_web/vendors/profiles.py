"""One person at a vendor that keeps profiles: look up by identifier, see tags, erase by custom id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.views.decorators.debug import sensitive_variables

from audsync_web.people import audit
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company

from .asking import asking
from .connectors.errors import Permanent
from .connectors.identifiers import KINDS
from .connectors.registry import VENDORS, connector_class
from .connectors.source import ProfileConnector, ProfileView
from .connectors.telephone import e164, phone_region
from .masking import masked
from .models import VendorAccount
from .removals import ERASE_PROFILE, Receipt, Removal, carry_out, require_confirmation, require_leave

CUSTOM_ID = "custom_id"

_asking: Callable[[VendorAccount], AbstractContextManager[ProfileConnector]] = asking


@dataclass(frozen=True)
class ProfileTag:
    """A tag of a profile, and our segment where the tag is that of one."""

    name: str
    segment_id: int | None = None
    segment_name: str = ""


@dataclass(frozen=True)
class FoundProfile:
    """A profile with its tags; `profile` is None where the vendor has none."""

    kind: str
    value: str = field(repr=False)
    profile: ProfileView | None
    tags: Sequence[ProfileTag] = ()

    @property
    def custom_id(self) -> str:
        """What erasing goes by; empty where the profile has none."""
        return str(self.profile.identifiers.get(CUSTOM_ID, "")) if self.profile else ""


def profile_accounts(company: Company) -> QuerySet[VendorAccount]:
    """The company's accounts at vendors whose profiles can be looked up."""
    able = [key for key in VENDORS if issubclass(connector_class(key), ProfileConnector)]
    found: QuerySet[VendorAccount] = VendorAccount.objects.visible_to(company).filter(vendor__in=able)
    return found


def lookup_kinds(account: VendorAccount) -> list[tuple[str, str]]:
    """The identifier kinds that a profile can be looked up by, with their labels."""
    return [(kind, KINDS[kind].label) for kind in account.connector.identifier_rules]


@sensitive_variables("value")
def look_up(*, actor: Actor, account: VendorAccount, kind: str, value: str) -> FoundProfile:
    """The profile that has an identifier, and its tags. Raises the connector's errors."""
    actor.require_manager()
    value = _as_delivered(account, kind, value)
    with _asking(account) as connector:
        profile = connector.find_profile(kind, value)
        names = sorted(connector.profile_tags(profile.profile_id).values()) if profile else []
    audit.record(
        actor, "profile.look_up", account, identifier=kind, value=masked(value), found=0 if profile is None else 1
    )
    return FoundProfile(kind, value, profile, _with_segments(account, names))


def _as_delivered(account: VendorAccount, kind: str, value: str) -> str:
    """The identifier in the form in which members of the account are delivered, so that nobody is told to be nobody for
    a capital letter. Raises `Permanent` where it cannot be one."""
    rule = account.connector.identifier_rules[kind]
    text = rule.brought_to_case(value.strip())
    if not rule.accepts(text):
        raise Permanent(f"This {rule.reason}.", code="identifier_refused", next_step="Correct it, or choose its kind.")
    region = phone_region(account.settings, kind)
    return (e164(text, region) or text) if region else text


def _with_segments(account: VendorAccount, names: Sequence[str]) -> list[ProfileTag]:
    """Say of each tag whether it is one of our segments at this account."""
    if not names:
        return []
    # Destinations stand above this app and are reached through the account, as its pages do; a tag's name is the id.
    ours = account.destinations.filter(remote_id__in=names).select_related("segment")
    segments = {row.remote_id: row.segment for row in ours.order_by("pk")}
    return [_tag(name, segments.get(name)) for name in names]


def _tag(name: str, segment: Any) -> ProfileTag:
    return ProfileTag(name, segment.pk, segment.name) if segment else ProfileTag(name)


@sensitive_variables("custom_id", "confirm", "removal")
def erase(
    *, actor: Actor, account: VendorAccount, custom_id: str, confirm: str, expected: int | None = None
) -> Receipt:
    """Delete a profile for good; sent once, never repeated. `confirm` must be the custom id itself.

    Raises `ValidationError`, and the connector's errors where nothing was done; a lost answer is an outcome of the
    receipt.
    """
    require_leave(actor, account)
    require_confirmation(custom_id, confirm)
    with _asking(account) as connector:
        removal = Removal(
            ERASE_PROFILE,
            CUSTOM_ID,
            custom_id,
            count=lambda: int(connector.find_profile(CUSTOM_ID, custom_id) is not None),
            send=lambda: int(connector.erase_profile(custom_id)),
        )
        return carry_out(actor=actor, account=account, removal=removal, expected=expected)
