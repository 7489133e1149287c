"""The API's calls on audiences that live at a vendor: look through them, and bring them to a segment."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.errors import ApiError
from audsync_web.api.paging import DEFAULT_LIMIT, MAX_LIMIT, PAGE_PARAMETERS, next_url, whole_number
from audsync_web.api.permissions import Manager
from audsync_web.api.schema import ErrorSerializer
from audsync_web.api.times import api_time
from audsync_web.people.access import get_visible_or_404
from audsync_web.vendors.api_faults import answer_to, told
from audsync_web.vendors.connectors.errors import ConnectorError, RemoteMissing
from audsync_web.vendors.connectors.source import SourceProfile
from audsync_web.vendors.models import VendorAccount
from uploads.intake.sources import IDENTIFIERS, pull_begin, pull_cancel, source_page
from uploads.models import Mode, PullStatus, PullWay, SourcePull

from .uploads import UploadApi

LARGEST_OFFSET = 10**9
CONFLICT = OpenApiResponse(ErrorSerializer, "Its present state does not allow that.")
VENDOR_FAILED = OpenApiResponse(ErrorSerializer, "The vendor did not answer, or not as it should.")


class SourceProfileSerializer(serializers.Serializer[Any]):
    """One profile of a segmentation."""

    profileId = serializers.CharField()  # noqa: N815  # the API's own words
    identifiers = serializers.DictField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())


class SourcePageSerializer(serializers.Serializer[Any]):
    """A page of a segmentation."""

    results = SourceProfileSerializer(many=True)
    matching = serializers.IntegerField(allow_null=True)
    next = serializers.URLField(allow_null=True)


class PullWishSerializer(serializers.Serializer[Any]):
    """What to bring where."""

    segmentId = serializers.IntegerField()  # noqa: N815
    mode = serializers.ChoiceField(Mode.choices, default=Mode.REPLACE.value)
    identifier = serializers.ChoiceField([(one, one) for one in IDENTIFIERS], required=False)
    way = serializers.ChoiceField(PullWay.choices, required=False, help_text="Frozen first where that is switched on.")


class SourcePullSerializer(serializers.Serializer[Any]):
    """A segmentation on its way to become an upload."""

    id = serializers.UUIDField()
    vendorAccountId = serializers.IntegerField()  # noqa: N815
    segmentation = serializers.CharField()
    segmentId = serializers.IntegerField()  # noqa: N815
    mode = serializers.ChoiceField(Mode.choices)
    identifier = serializers.CharField()
    way = serializers.ChoiceField(PullWay.choices)
    status = serializers.ChoiceField(PullStatus.choices)
    rows = serializers.IntegerField(help_text="Identifiers read so far.")
    missing = serializers.IntegerField(help_text="Profiles without that identifier.")
    expected = serializers.IntegerField(allow_null=True)
    uploadId = serializers.UUIDField(allow_null=True)  # noqa: N815
    details = serializers.CharField(allow_null=True)
    createdAt = serializers.DateTimeField()  # noqa: N815
    finishedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815


def pull_shape(pull: SourcePull) -> dict[str, Any]:
    """A pull as the API shows it."""
    return {
        "id": str(pull.pk),
        "vendorAccountId": pull.vendor_account_id,
        "segmentation": pull.segmentation,
        "segmentId": pull.segment_id,
        "mode": pull.mode,
        "identifier": pull.identifier,
        "way": pull.way,
        "status": pull.status,
        "rows": pull.rows,
        "missing": pull.missing,
        "expected": pull.expected,
        "uploadId": str(pull.upload_id) if pull.upload_id else None,
        "details": pull.error_text or pull.details or None,
        "createdAt": api_time(pull.created_at),
        "finishedAt": api_time(pull.finished_at),
    }


def vendor_error(error: ConnectorError) -> ApiError:
    """A vendor's error as an answer: what it does not know is 404, a wrong UUID 400, the rest as everywhere."""
    if isinstance(error, RemoteMissing):
        return ApiError(status.HTTP_404_NOT_FOUND, told(error))
    if error.code in {"bad_uuid", "not_supported"}:
        return ApiError(status.HTTP_400_BAD_REQUEST, told(error))
    return answer_to(error)


class SourceApi(UploadApi):
    """What the views of sources share: managers only, and the vendor's errors as answers."""

    permission_classes = (Manager,)

    def handle_exception(self, exc: Exception) -> Any:
        """As every view of uploads; a vendor's error is told."""
        return super().handle_exception(vendor_error(exc) if isinstance(exc, ConnectorError) else exc)

    def account(self, account_id: int) -> VendorAccount:
        """One vendor account of the company, else 404."""
        return get_visible_or_404(VendorAccount.objects.all(), self.company, pk=account_id)

    def pull(self, pull_id: UUID) -> SourcePull:
        """One pull of the company, else 404."""
        return get_visible_or_404(SourcePull.objects.all(), self.company, pk=pull_id)


class SegmentationProfilesView(SourceApi):
    """The profiles of a segmentation."""

    @extend_schema(
        operation_id="segmentation_profiles",
        parameters=PAGE_PARAMETERS,
        responses={200: SourcePageSerializer, 502: VENDOR_FAILED},
    )
    def get(self, request: Request, vendor_account_id: int, uuid: str) -> Response:
        """Who is in the segmentation now, page by page. Asks the vendor, which gives 100 at most."""
        limit = whole_number(request, "limit", default=DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT)
        # The vendor counts its rows, so the place where a page begins is a number.
        offset = whole_number(request, "cursor", default=0, minimum=0, maximum=LARGEST_OFFSET)
        page = source_page(self.account(vendor_account_id), uuid, limit=limit, offset=offset)
        following = None if page.last else next_url(request, str(offset + len(page.profiles)))
        results = [_profile_shape(profile) for profile in page.profiles]
        return Response({"results": results, "matching": page.matching, "next": following})


def _profile_shape(profile: SourceProfile) -> dict[str, Any]:
    return {
        "profileId": profile.profile_id,
        "identifiers": dict(profile.identifiers),
        "tags": list(profile.tags),
    }


class SegmentationUploadsView(SourceApi):
    """Bringing a segmentation to a segment."""

    @extend_schema(
        operation_id="segmentation_upload",
        request=PullWishSerializer,
        responses={202: SourcePullSerializer, 409: CONFLICT},
    )
    def post(self, request: Request, vendor_account_id: int, uuid: str) -> Response:
        """Read the segmentation and make it an upload of a segment. `Location` is where to follow it."""
        account = self.account(vendor_account_id)
        asked = PullWishSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wish = asked.validated_data
        pull = pull_begin(
            actor=self.actor,
            account=account,
            segmentation=uuid,
            segment=self.segment(wish["segmentId"]),
            mode=Mode(wish["mode"]),
            identifier=wish.get("identifier", ""),
            way=PullWay(wish["way"]) if "way" in wish else None,
        )
        place = request.build_absolute_uri(reverse("api:source_pull", args=[pull.pk]))
        return Response(pull_shape(pull), status=status.HTTP_202_ACCEPTED, headers={"Location": place})


class SourcePullView(SourceApi):
    """One pull."""

    @extend_schema(operation_id="source_pull_read", responses={200: SourcePullSerializer})
    def get(self, request: Request, pull_id: UUID) -> Response:
        """How far it is, and the upload that it became."""
        return Response(pull_shape(self.pull(pull_id)))


class SourcePullCancelView(SourceApi):
    """Stopping a pull."""

    @extend_schema(
        operation_id="source_pull_cancel", request=None, responses={202: SourcePullSerializer, 409: CONFLICT}
    )
    def post(self, request: Request, pull_id: UUID) -> Response:
        """Stop reading; what was read is deleted."""
        pull = pull_cancel(actor=self.actor, pull=self.pull(pull_id))
        return Response(pull_shape(pull), status=status.HTTP_202_ACCEPTED)
