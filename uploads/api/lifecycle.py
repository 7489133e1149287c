"""The API's calls on what follows an upload: when members end, topping them up, taking the upload back."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.paging import whole_number
from audsync_web.api.schema import ErrorSerializer
from uploads.lifecycle.topup import LONGEST_WINDOW, Ending, ending_of_segment, top_up
from uploads.lifecycle.undo import undo_begin
from uploads.models import Upload

from .shapes import UploadRowSerializer, UploadSerializer, upload_row
from .uploads import UploadApi

CONFLICT = OpenApiResponse(ErrorSerializer, "There is nothing that could be done; the text says why.")


class EndingSerializer(serializers.Serializer[Any]):
    """Members that end soon at one destination."""

    vendorAccountId = serializers.IntegerField()  # noqa: N815  # the API's own words
    vendor = serializers.CharField()
    members = serializers.IntegerField()
    firstEndsOn = serializers.DateField()  # noqa: N815
    days = serializers.IntegerField(help_text="From today to the first of them.")
    withinDays = serializers.IntegerField(help_text="The window that was looked at.")  # noqa: N815


class EndingListSerializer(serializers.Serializer[Any]):
    """The destinations where members end soon, soonest first."""

    results = EndingSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class TopUpSerializer(serializers.Serializer[Any]):
    """What to top up."""

    withinDays = serializers.IntegerField(  # noqa: N815
        required=False, min_value=1, max_value=LONGEST_WINDOW, help_text="Without: two weeks, or a quarter of the life."
    )
    vendorAccountIds = serializers.ListField(  # noqa: N815
        child=serializers.IntegerField(), required=False, allow_empty=False, max_length=100
    )


class ToppedUpSerializer(serializers.Serializer[Any]):
    """The uploads that were made, one for each destination concerned."""

    uploads = UploadRowSerializer(many=True)


def ending_shape(ending: Ending) -> dict[str, Any]:
    """One destination where members end soon."""
    account = ending.destination.vendor_account
    return {
        "vendorAccountId": account.pk,
        "vendor": account.vendor,
        "members": ending.members,
        "firstEndsOn": ending.first_on.isoformat(),
        "days": ending.days,
        "withinDays": ending.window,
    }


class TopUpView(UploadApi):
    """Members who are about to end."""

    @extend_schema(
        operation_id="membership_ending",
        parameters=[OpenApiParameter("withinDays", OpenApiTypes.INT, description=f"1 to {LONGEST_WINDOW}.")],
        responses={200: EndingListSerializer},
    )
    def get(self, request: Request, segment_id: int) -> Response:
        """How many members end soon at each destination."""
        days = whole_number(request, "withinDays", default=0, minimum=1, maximum=LONGEST_WINDOW)
        endings = ending_of_segment(self.segment(segment_id), days or None)
        return Response({"results": [ending_shape(row) for row in endings], "next": None})

    @extend_schema(
        operation_id="membership_top_up",
        request=TopUpSerializer,
        responses={201: ToppedUpSerializer, 409: CONFLICT},
    )
    def post(self, request: Request, segment_id: int) -> Response:
        """Send again who is about to end, and nobody else."""
        segment = self.segment(segment_id)
        asked = TopUpSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        made = top_up(
            actor=self.actor,
            segment=segment,
            within_days=asked.validated_data.get("withinDays"),
            accounts=asked.validated_data.get("vendorAccountIds"),
        )
        return Response({"uploads": [upload_row(upload) for upload in made]}, status=status.HTTP_201_CREATED)


class UploadUndoView(UploadApi):
    """Taking an upload back."""

    @extend_schema(operation_id="upload_undo", request=None, responses={201: UploadSerializer, 409: CONFLICT})
    def post(self, request: Request, segment_id: int, upload_id: uuid.UUID) -> Response:
        """Bring every destination that this upload was the last to change back to its membership of before."""
        wanted = self.upload(segment_id, upload_id, Upload.objects.select_related("segment__company"))
        made = undo_begin(actor=self.actor, upload=wanted, hold=False)
        return Response(self.shown(made), status=status.HTTP_201_CREATED)
