"""The API's calls on profiles: look one up by identifier, erase it by custom id. Managers and admins only.

Identifiers of people come and go in bodies, never in an address.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.errors import ApiError
from audsync_web.api.times import api_time
from audsync_web.people.access import get_visible_or_404

from . import profiles
from .api_faults import vendor_asked
from .connectors.errors import ConnectorError
from .identity import LONGEST_VALUE
from .identity_api import IdentityView, ReceiptSerializer, body_text, receipt_shape
from .models import VendorAccount
from .profiles import FoundProfile
from .removals import LOST


class KindAndValueSerializer(serializers.Serializer[Any]):
    """A profile's identifier: one of the kinds that the vendor knows profiles by, and its value."""

    kind = serializers.CharField(max_length=50)
    value = body_text(LONGEST_VALUE)


class ProfileTagSerializer(serializers.Serializer[Any]):
    """A tag of a profile; `segmentId` where it is that of one of the company's segments."""

    name = serializers.CharField()
    segmentId = serializers.IntegerField(allow_null=True)  # noqa: N815  # the API's spelling, as all below


class ProfileSerializer(serializers.Serializer[Any]):
    """A profile as the vendor holds it. `identifiers` go by their kinds; one that it lacks is left out."""

    profileId = serializers.CharField()  # noqa: N815
    identifiers = serializers.DictField(child=serializers.CharField())
    tags = ProfileTagSerializer(many=True)
    isAnonymous = serializers.BooleanField()  # noqa: N815
    lastActiveAt = serializers.DateTimeField(allow_null=True)  # noqa: N815


class ProfilePageSerializer(serializers.Serializer[Any]):
    """The profile that has an identifier, or none."""

    results = ProfileSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class EraseSerializer(serializers.Serializer[Any]):
    """A profile to erase; `confirm` is its custom id once more."""

    customId = body_text(LONGEST_VALUE)  # noqa: N815
    confirm = body_text(LONGEST_VALUE)


def profile_shape(found: FoundProfile) -> list[dict[str, Any]]:
    """What was found as the API shows it."""
    if found.profile is None:
        return []
    profile = found.profile
    return [
        {
            "profileId": profile.profile_id,
            "identifiers": dict(profile.identifiers),
            "tags": [{"name": tag.name, "segmentId": tag.segment_id} for tag in found.tags],
            "isAnonymous": profile.is_anonymous,
            "lastActiveAt": api_time(profile.last_active_at) if profile.last_active_at else None,
        }
    ]


class ProfileCall(IdentityView):
    """A call on an account whose vendor keeps profiles; another account is 404."""

    def account(self, vendor_account_id: int) -> VendorAccount:
        """The account, 404 for a stranger's and for one of a vendor without profiles."""
        return get_visible_or_404(profiles.profile_accounts(self.company), self.company, pk=vendor_account_id)


class ProfileSearchView(ProfileCall):
    """The profile of an identifier."""

    @extend_schema(
        operation_id="profile_search", request=KindAndValueSerializer, responses={200: ProfilePageSerializer}
    )
    def post(self, request: Request, vendor_account_id: int) -> Response:
        """The profile that has an identifier, with its tags; none is an empty list."""
        account = self.account(vendor_account_id)
        given = self.given(KindAndValueSerializer)
        kinds = [kind for kind, _ in profiles.lookup_kinds(account)]
        if given["kind"] not in kinds:
            raise ApiError(status.HTTP_400_BAD_REQUEST, f"kind: must be one of {', '.join(kinds)}")
        with vendor_asked():
            found = profiles.look_up(actor=self.actor, account=account, **given)
        return Response({"results": profile_shape(found), "next": None})


class ProfileEraseView(ProfileCall):
    """The erasing of a profile."""

    @extend_schema(operation_id="profile_erase", request=EraseSerializer, responses={200: ReceiptSerializer})
    def post(self, request: Request, vendor_account_id: int) -> Response:
        """Erase a profile with its attributes, tags and history at the vendor, for good.

        `confirm` must be the custom id; it is looked up before and after, and sent once. 502 when the vendor's answer
        was lost and the profile is still there: look it up before erasing it again.
        """
        account = self.account(vendor_account_id)
        given = self.given(EraseSerializer)
        with vendor_asked():
            receipt = profiles.erase(
                actor=self.actor, account=account, custom_id=given["customId"], confirm=given["confirm"]
            )
            if receipt.outcome == LOST and isinstance(receipt.error, ConnectorError):
                raise receipt.error
        return Response(receipt_shape(receipt))
