"""The API's calls to find one person and to erase them. Identifiers stand in bodies, never in a URL or an answer."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.paging import PAGE_PARAMETERS, page_response
from audsync_web.api.permissions import Manager
from audsync_web.api.schema import ErrorSerializer
from audsync_web.people.access import get_visible_or_404
from audsync_web.vendors.connectors.identifiers import KINDS
from uploads.erasure.job import EraseWish, erase_begin, erase_lift, erase_retry
from uploads.erasure.receipts import erasure_shape, search_shape, steps_of
from uploads.erasure.searching import search_begin
from uploads.erasure.selectors import erasures_of
from uploads.models import Erasure, ErasureStatus, PersonSearch, SearchStatus, StepStatus, StepWhat

from .uploads import UploadApi

CONFLICT = OpenApiResponse(ErrorSerializer, "Its present state does not allow that.")


class SearchWishSerializer(serializers.Serializer[Any]):
    """Whom to look for."""

    value = serializers.CharField(max_length=255)
    kind = serializers.ChoiceField(
        [(key, key) for key in KINDS], required=False, help_text="Without: every kind that it fits."
    )
    identityName = serializers.CharField(  # noqa: N815  # the API's own words
        max_length=60, required=False, help_text="What Acoustic Exchange calls this kind of identifier."
    )


class PlaceSerializer(serializers.Serializer[Any]):
    """A segment at a vendor account."""

    segmentId = serializers.IntegerField()  # noqa: N815
    segmentName = serializers.CharField()  # noqa: N815
    vendorAccountId = serializers.IntegerField()  # noqa: N815
    vendor = serializers.CharField()
    identifier = serializers.CharField()


class FindingSerializer(PlaceSerializer):
    """Where the person is, since when, by which upload."""

    destinationId = serializers.IntegerField()  # noqa: N815
    uploadId = serializers.UUIDField(allow_null=True)  # noqa: N815
    since = serializers.DateTimeField(allow_null=True)
    endsOn = serializers.DateField(allow_null=True)  # noqa: N815
    removedDestination = serializers.BooleanField()  # noqa: N815
    leftAtVendor = serializers.BooleanField(  # noqa: N815
        help_text="No longer a destination, but left at the vendor as it was: whoever is in it is taken out there."
    )


class ProfileAnswerSerializer(serializers.Serializer[Any]):
    """What a vendor that holds profiles or identities answered."""

    vendorAccountId = serializers.IntegerField()  # noqa: N815
    vendor = serializers.CharField()
    what = serializers.ChoiceField(StepWhat.choices)
    name = serializers.CharField()
    count = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    note = serializers.CharField(allow_null=True, help_text="What was not asked, and why.")


class PersonSearchSerializer(serializers.Serializer[Any]):
    """A search. It names no identifier."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(SearchStatus.choices)
    createdAt = serializers.DateTimeField()  # noqa: N815
    kinds = serializers.ListField(child=serializers.CharField())
    searched = serializers.IntegerField()
    total = serializers.IntegerField()
    kept = serializers.BooleanField(help_text="Whether it can still be erased; forgotten after a day.")
    findings = FindingSerializer(many=True)
    profiles = ProfileAnswerSerializer(many=True)
    unknown = PlaceSerializer(many=True)
    error = serializers.CharField(allow_null=True)


class EraseWishSerializer(serializers.Serializer[Any]):
    """The decision."""

    confirm = serializers.CharField(max_length=255, help_text="The identifier once more.")
    destinationIds = serializers.ListField(  # noqa: N815
        child=serializers.IntegerField(), required=False, max_length=10_000, help_text="Without: wherever it was found."
    )
    identities = serializers.BooleanField(default=True, help_text="Remove the identity at Acoustic Exchange.")
    profiles = serializers.BooleanField(default=False, help_text="Erase the profile at Synerise, for good.")


class StepSerializer(serializers.Serializer[Any]):
    """One act and what became of it."""

    what = serializers.ChoiceField(StepWhat.choices)
    status = serializers.ChoiceField([choice for choice in StepStatus.choices if choice[0] != StepStatus.LEFT])
    vendorAccountId = serializers.IntegerField(allow_null=True)  # noqa: N815
    vendor = serializers.CharField(allow_null=True)
    segmentId = serializers.IntegerField(allow_null=True)  # noqa: N815
    uploadId = serializers.UUIDField(allow_null=True)  # noqa: N815
    vendorJobIds = serializers.ListField(child=serializers.CharField())  # noqa: N815
    count = serializers.IntegerField(allow_null=True)
    text = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)


class LeftSerializer(serializers.Serializer[Any]):
    """What an erasure does not do, and why."""

    what = serializers.ChoiceField(StepWhat.choices)
    vendorAccountId = serializers.IntegerField(allow_null=True)  # noqa: N815
    vendor = serializers.CharField(allow_null=True)
    segmentId = serializers.IntegerField(allow_null=True)  # noqa: N815
    text = serializers.CharField()


class ErasureSerializer(serializers.Serializer[Any]):
    """An erasure and its receipt. It names no identifier."""

    id = serializers.UUIDField()
    company = serializers.CharField()
    status = serializers.ChoiceField(ErasureStatus.choices)
    askedBy = serializers.CharField(allow_null=True)  # noqa: N815
    via = serializers.CharField()
    createdAt = serializers.DateTimeField()  # noqa: N815
    finishedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    kinds = serializers.ListField(child=serializers.CharField())
    filesDeleted = serializers.IntegerField()  # noqa: N815
    keptOut = serializers.BooleanField()  # noqa: N815
    liftedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    error = serializers.CharField(allow_null=True)
    steps = StepSerializer(many=True)
    left = LeftSerializer(many=True)


class ErasurePageSerializer(serializers.Serializer[Any]):
    """A page of erasures, newest first."""

    results = ErasureSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class PersonApi(UploadApi):
    """What the views share: managers and admins only."""

    permission_classes = (Manager,)

    def search(self, search_id: uuid.UUID) -> PersonSearch:
        """One search of the company, else 404."""
        found: PersonSearch = get_visible_or_404(PersonSearch.objects.all(), self.company, pk=search_id)
        return found

    def erasure(self, erasure_id: uuid.UUID) -> Erasure:
        """One erasure of the company, else 404."""
        rows = Erasure.objects.select_related("company", "asked_by")
        found: Erasure = get_visible_or_404(rows, self.company, pk=erasure_id)
        return found

    def receipt(self, erasure_id: uuid.UUID) -> dict[str, Any]:
        """An erasure as it is now."""
        erasure = self.erasure(erasure_id)
        return erasure_shape(erasure, steps_of(erasure))


class PersonSearchListView(PersonApi):
    """Looking for a person."""

    @extend_schema(operation_id="person_search", request=SearchWishSerializer, responses={202: PersonSearchSerializer})
    def post(self, request: Request) -> Response:
        """Look for one person in every acknowledged membership, and at vendors that hold profiles or identities."""
        asked = SearchWishSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wish = asked.validated_data
        search = search_begin(
            actor=self.actor,
            value=wish["value"],
            kind=wish.get("kind", ""),
            identity_name=wish.get("identityName", ""),
        )
        return Response(search_shape(search), status=status.HTTP_202_ACCEPTED)


class PersonSearchView(PersonApi):
    """One search."""

    @extend_schema(operation_id="person_search_read", responses={200: PersonSearchSerializer})
    def get(self, request: Request, search_id: uuid.UUID) -> Response:
        """How far it is, and where the person was found."""
        return Response(search_shape(self.search(search_id)))


class PersonEraseView(PersonApi):
    """Erasing who was found."""

    @extend_schema(
        operation_id="person_erase",
        request=EraseWishSerializer,
        responses={202: ErasureSerializer, 409: CONFLICT},
    )
    def post(self, request: Request, search_id: uuid.UUID) -> Response:
        """Remove the person everywhere, keep them out of later files, and delete the files that hold them."""
        search = self.search(search_id)
        asked = EraseWishSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wish = asked.validated_data
        decided = EraseWish(wish["confirm"], wish.get("destinationIds"), wish["identities"], wish["profiles"])
        erasure = erase_begin(actor=self.actor, search=search, wish=decided)
        return Response(self.receipt(erasure.pk), status=status.HTTP_202_ACCEPTED)


class ErasureListView(PersonApi):
    """The company's erasures."""

    @extend_schema(
        operation_id="erasure_list",
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("status", OpenApiTypes.STR, enum=ErasureStatus.values),
            OpenApiParameter("q", OpenApiTypes.STR, description="Who asked, the number, or the kind of identifier."),
        ],
        responses={200: ErasurePageSerializer},
    )
    def get(self, request: Request) -> Response:
        """The erasures, newest first; their steps stand on the single ones."""
        wanted = request.query_params.get("status", "")
        if wanted and wanted not in ErasureStatus.values:
            raise ValidationError({"status": f"must be one of {', '.join(ErasureStatus.values)}"})
        text = request.query_params.get("q", "").replace("\0", "").strip()
        rows = erasures_of(self.company, status=wanted, text=text).select_related("company", "asked_by")
        order = ("-created_at", "-pk")
        return page_response(request, rows, lambda erasure: erasure_shape(erasure, []), order=order)


class ErasureView(PersonApi):
    """One erasure."""

    @extend_schema(operation_id="erasure_read", responses={200: ErasureSerializer})
    def get(self, request: Request, erasure_id: uuid.UUID) -> Response:
        """The receipt."""
        return Response(self.receipt(erasure_id))


class ErasureRetryView(PersonApi):
    """Trying again."""

    @extend_schema(operation_id="erasure_retry", request=None, responses={202: ErasureSerializer, 409: CONFLICT})
    def post(self, request: Request, erasure_id: uuid.UUID) -> Response:
        """Do again what failed."""
        erase_retry(actor=self.actor, erasure=self.erasure(erasure_id))
        return Response(self.receipt(erasure_id), status=status.HTTP_202_ACCEPTED)


class ErasureLiftView(PersonApi):
    """Lifting."""

    @extend_schema(operation_id="erasure_lift", request=None, responses={200: ErasureSerializer, 409: CONFLICT})
    def post(self, request: Request, erasure_id: uuid.UUID) -> Response:
        """Let the person come back with later files. Admins only."""
        erase_lift(actor=self.actor, erasure=self.erasure(erasure_id))
        return Response(self.receipt(erasure_id))
