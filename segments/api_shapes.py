"""How segments look on the API (design section 7.3), and how their bodies are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from audsync_web.api.times import api_time
from audsync_web.people.models import Company
from audsync_web.vendors.connectors.errors import InvalidConfiguration
from audsync_web.vendors.connectors.fields import read_values
from audsync_web.vendors.models import VendorAccount

from .active import ActiveMembership, active_memberships
from .models import Destination, DestinationStatus, Segment, SegmentStatus, Wanted
from .services import DestinationWish

LARGEST_ID = 2**63 - 1
# A removed destination is not shown any more.
DESTINATION_STATUSES = [choice for choice in DestinationStatus.choices if choice[0] != DestinationStatus.RELEASED]


class DestinationSerializer(serializers.Serializer[Any]):
    """A destination: the segment at one vendor account."""

    vendorAccountId = serializers.IntegerField()  # noqa: N815  # the API's own words
    vendor = serializers.CharField()
    status = serializers.ChoiceField(choices=DESTINATION_STATUSES)
    remoteId = serializers.CharField(allow_null=True)  # noqa: N815
    error = serializers.CharField(allow_null=True)


class ReplacedSerializer(serializers.Serializer[Any]):
    """A segment at a vendor account that a new version has taken the place of."""

    id = serializers.IntegerField()
    vendorAccountId = serializers.IntegerField()  # noqa: N815
    vendor = serializers.CharField()
    remoteId = serializers.CharField()  # noqa: N815


class ReplacedPageSerializer(serializers.Serializer[Any]):
    """A page of them, oldest first."""

    results = ReplacedSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class SegmentSerializer(serializers.Serializer[Any]):
    """A segment."""

    id = serializers.IntegerField()
    companyId = serializers.IntegerField()  # noqa: N815
    createdAt = serializers.DateTimeField()  # noqa: N815
    activatedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    durationDays = serializers.IntegerField()  # noqa: N815
    name = serializers.CharField()
    publicName = serializers.CharField(allow_blank=True)  # noqa: N815
    size = serializers.IntegerField(help_text="Members of the active membership.")
    status = serializers.ChoiceField(choices=SegmentStatus.choices)
    type = serializers.CharField()
    externalId = serializers.CharField()  # noqa: N815
    destinations = DestinationSerializer(many=True)


class SegmentPageSerializer(serializers.Serializer[Any]):
    """A page of segments, newest first."""

    results = SegmentSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class DestinationWishSerializer(serializers.Serializer[Any]):
    """A destination to make."""

    vendorAccountId = serializers.IntegerField(min_value=1)  # noqa: N815
    identifier = serializers.CharField(required=False)
    remoteId = serializers.CharField(  # noqa: N815
        required=False, help_text="An existing remote segment."
    )
    options = serializers.DictField(required=False, help_text="The vendor's own options of a destination.")


class NewSegmentSerializer(serializers.Serializer[Any]):
    """A segment to create."""

    name = serializers.CharField(max_length=255)
    durationDays = serializers.IntegerField(min_value=1, max_value=3650, default=365)  # noqa: N815
    type = serializers.CharField(default="core")
    destinations = DestinationWishSerializer(
        many=True, required=False, help_text="Each an object as shown or merely a vendor account's id."
    )


class SegmentChangeSerializer(serializers.Serializer[Any]):
    """What can be changed."""

    name = serializers.CharField(required=False, max_length=255)
    status = serializers.ChoiceField(
        required=False,
        choices=SegmentStatus.choices,
        help_text="`archived` puts it away, any other word takes it back.",
    )


def segment_shape(segment: Segment, active: ActiveMembership | None) -> dict[str, Any]:
    """A segment whose destinations and their accounts are loaded."""
    current = [row for row in segment.destinations.all() if _is_current(row)]
    named = [row for row in current if row.vendor_account.connector.capabilities.public_name and row.public_name]
    return {
        "id": segment.pk,
        "companyId": segment.company_id,
        "createdAt": api_time(segment.created_at),
        "activatedAt": api_time(segment.activated_at),
        "durationDays": segment.duration_days,
        "name": segment.name,
        "publicName": named[0].public_name if named else "",
        "size": active.members if active else 0,
        "status": segment.status,
        "type": segment.type,
        "externalId": str(segment.pk),
        "destinations": [destination_shape(row) for row in current],
    }


def _is_current(destination: Destination) -> bool:
    return destination.status != DestinationStatus.RELEASED and destination.wanted != Wanted.RELEASED


def destination_shape(destination: Destination) -> dict[str, Any]:
    """A destination whose account is loaded."""
    error = " ".join(filter(None, (destination.error_text, destination.next_step)))
    return {
        "vendorAccountId": destination.vendor_account_id,
        "vendor": destination.vendor_account.vendor,
        "status": destination.status,
        "remoteId": destination.remote_id or None,
        # Without a code it is only our own pacing that waits.
        "error": error if destination.error_code and error else None,
    }


def replaced_shape(destination: Destination) -> dict[str, Any]:
    """What a new version has replaced, its account loaded."""
    return {
        "id": destination.pk,
        "vendorAccountId": destination.vendor_account_id,
        "vendor": destination.vendor_account.vendor,
        "remoteId": destination.remote_id,
    }


def segment_shapes(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """Many segments, in a fixed number of queries."""
    active = active_memberships(segments)
    return [segment_shape(segment, active.get(segment.pk)) for segment in segments]


def read_wishes(company: Company, given: Any) -> list[DestinationWish] | None:
    """The `destinations` of a body: None when left out. Raises `ValidationError`."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise ValidationError({"destinations": "must be a list"})
    return [read_wish(company, item, "destinations") for item in given]


def read_wish(company: Company, given: Any, name: str) -> DestinationWish:
    """One destination of a body: a vendor account's id, or an object that names it. Raises `ValidationError`."""
    wish = {"vendorAccountId": given} if _is_id(given) else given
    if not isinstance(wish, Mapping):
        raise ValidationError({name: "must hold ids of vendor accounts, or objects with vendorAccountId"})
    if unknown := set(wish) - {"vendorAccountId", "identifier", "remoteId", "options"}:
        raise ValidationError({name: f"{', '.join(sorted(map(str, unknown)))} is not known here"})
    account = _account(company, wish.get("vendorAccountId"), name)
    return DestinationWish(
        vendor_account=account,
        identifier=_text(wish.get("identifier"), name, "identifier"),
        remote_id=_text(wish.get("remoteId"), name, "remoteId"),
        options=_options(account, wish.get("options"), name),
    )


def _is_id(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 < given <= LARGEST_ID


def _account(company: Company, given: Any, name: str) -> VendorAccount:
    if not _is_id(given):
        raise ValidationError({name: "vendorAccountId must be the id of a vendor account"})
    account: VendorAccount | None = VendorAccount.objects.visible_to(company).filter(pk=given).first()
    if account is None:
        raise ValidationError({name: f"there is no vendor account {given}"})
    return account


def _text(given: Any, name: str, key: str) -> str:
    if given is None:
        return ""
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise ValidationError({name: f"{key} must be text"})
    text = str(given).strip()
    if not text or len(text) > 120 or not text.isprintable():
        raise ValidationError({name: f"{key} must have 1 to 120 printable characters"})
    return text


def _options(account: VendorAccount, given: Any, name: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValidationError({name: "options must be an object"})
    try:
        read = read_values(account.connector.destination_fields, "settings", given)
    except InvalidConfiguration as fault:
        faults = "; ".join(f"{key} {text}" for key, text in fault.errors.items())
        raise ValidationError({name: f"{account.name}: {faults}"}) from None
    return {key: value for key, value in read.items() if value is not None}
