"""The API's calls on segments and their destinations (design section 7.3)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.errors import ApiError, Conflict
from audsync_web.api.paging import PAGE_PARAMETERS, page_response
from audsync_web.api.permissions import ManagerWrites
from audsync_web.api.schema import ErrorSerializer
from audsync_web.api.views import ApiView
from audsync_web.people.access import get_visible_or_404
from audsync_web.vendors.connectors.base import LEAVE
from audsync_web.vendors.models import VendorAccount

from .active import active_memberships
from .api_shapes import (
    DestinationSerializer,
    DestinationWishSerializer,
    NewSegmentSerializer,
    ReplacedPageSerializer,
    ReplacedSerializer,
    SegmentChangeSerializer,
    SegmentPageSerializer,
    SegmentSerializer,
    destination_shape,
    read_wish,
    read_wishes,
    replaced_shape,
    segment_shape,
    segment_shapes,
)
from .models import Destination, DestinationStatus, Segment, SegmentStatus
from .renewing import destination_renew, left_at_vendors, left_segment_delete
from .services import (
    SegmentConflict,
    destination_add,
    destination_release,
    segment_archive,
    segment_change,
    segment_create,
    segment_publish,
    segment_restore,
)

# How long a publish waits for the destinations (design section 7.3), and how often it looks.
PUBLISH_WAIT_SECONDS = 10.0
LOOK_SECONDS = 0.1
STOPPED = {DestinationStatus.FAILED, DestinationStatus.NEEDS_ATTENTION}
CONFLICT = OpenApiResponse(ErrorSerializer, "Its present state does not allow that.")
_ARRIVED = "destinations__vendor_account"


class SegmentApi(ApiView):
    """What the views of segments share: managers write, and a state that does not allow it is 409."""

    permission_classes = (ManagerWrites,)

    def handle_exception(self, exc: Exception) -> Any:
        """As every view, and 409 for a conflict."""
        return super().handle_exception(Conflict(str(exc)) if isinstance(exc, SegmentConflict) else exc)

    def segments(self) -> QuerySet[Segment]:
        """The company's segments with what their shape needs."""
        rows: QuerySet[Segment] = Segment.objects.visible_to(self.company).prefetch_related(_ARRIVED)
        return rows

    def segment(self, segment_id: int) -> Segment:
        """One segment of the company, else 404."""
        return get_visible_or_404(Segment.objects.all(), self.company, pk=segment_id)

    def destination(self, segment_id: int, vendor_account_id: int) -> Destination:
        """A present destination of one segment of the company, else 404."""
        rows = self.segment(segment_id).destinations.current().select_related("vendor_account", "segment__company")
        account = get_visible_or_404(VendorAccount.objects.all(), self.company, pk=vendor_account_id)
        found: Destination | None = rows.filter(vendor_account=account).first()
        if found is None:
            raise Http404
        return found

    def shown(self, segment_id: int) -> dict[str, Any]:
        """A segment as it is now."""
        return segment_shapes([get_visible_or_404(self.segments(), self.company, pk=segment_id)])[0]


def body_object(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request; 400 for any other JSON."""
    if not isinstance(request.data, Mapping):
        raise ApiError(status.HTTP_400_BAD_REQUEST, "The body must be a JSON object.")
    return request.data


class SegmentListView(SegmentApi):
    """The company's segments."""

    @extend_schema(
        operation_id="segment_list",
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("status", OpenApiTypes.STR, enum=SegmentStatus.values),
            OpenApiParameter("q", OpenApiTypes.STR, description="Part of the name."),
        ],
        responses={200: SegmentPageSerializer},
    )
    def get(self, request: Request) -> Response:
        """The segments, newest first."""
        rows = self.segments()
        if wanted := request.query_params.get("status"):
            if wanted not in SegmentStatus.values:
                raise ValidationError({"status": f"must be one of {', '.join(SegmentStatus.values)}"})
            rows = rows.filter(status=wanted)
        if part := request.query_params.get("q", "").replace("\0", "").strip():
            rows = rows.filter(name__icontains=part)
        page = page_response(request, rows, lambda segment: {"segment": segment})
        found = [entry["segment"] for entry in page.data["results"]]
        active = active_memberships(found)
        page.data["results"] = [segment_shape(segment, active.get(segment.pk)) for segment in found]
        return page

    @extend_schema(operation_id="segment_create", request=NewSegmentSerializer, responses={201: SegmentSerializer})
    def post(self, request: Request) -> Response:
        """Create a segment; its creation at every destination begins at once."""
        body = body_object(request)
        segment = segment_create(
            actor=self.actor,
            name=body.get("name"),  # type: ignore[arg-type]  # the service says what is wrong with it
            duration_days=body.get("durationDays", 365),
            type=body.get("type", "core"),
            destinations=read_wishes(self.company, body.get("destinations")),
        )
        return Response(self.shown(segment.pk), status=status.HTTP_201_CREATED)


class SegmentView(SegmentApi):
    """One segment."""

    @extend_schema(operation_id="segment_read", responses={200: SegmentSerializer})
    def get(self, request: Request, segment_id: int) -> Response:
        """The segment."""
        return Response(self.shown(segment_id))

    @extend_schema(operation_id="segment_change", request=SegmentChangeSerializer, responses={200: SegmentSerializer})
    def patch(self, request: Request, segment_id: int) -> Response:
        """Rename the segment, put it away (`"status": "archived"`) or take it back."""
        segment, body = self.segment(segment_id), body_object(request)
        if unknown := sorted(str(key) for key in set(body) - {"name", "status"}):
            raise ValidationError(dict.fromkeys(unknown, "cannot be changed"))
        wanted = body.get("status", segment.status)
        if wanted not in SegmentStatus.values:
            raise ValidationError({"status": f"must be one of {', '.join(SegmentStatus.values)}"})
        with transaction.atomic():
            if "name" in body:
                name = body["name"]
                segment_change(actor=self.actor, segment=segment, name=name if isinstance(name, str) else "")
            self._put_away_or_take_back(segment, wanted)
        return Response(self.shown(segment_id))

    def _put_away_or_take_back(self, segment: Segment, wanted: str) -> None:
        is_away = segment.status == SegmentStatus.ARCHIVED
        if wanted == SegmentStatus.ARCHIVED and not is_away:
            segment_archive(actor=self.actor, segment=segment)
        elif wanted != SegmentStatus.ARCHIVED and is_away:
            segment_restore(actor=self.actor, segment=segment)
        elif wanted != segment.status:
            raise ValidationError({"status": "only archived can be asked for; publish has a call of its own"})


class SegmentPublishView(SegmentApi):
    """Publishing."""

    @extend_schema(
        operation_id="segment_publish",
        request=None,
        responses={
            200: OpenApiResponse(SegmentSerializer, "Published at every destination."),
            202: OpenApiResponse(SegmentSerializer, "Not yet everywhere; the segment goes on by itself."),
            409: CONFLICT,
        },
    )
    def post(self, request: Request, segment_id: int) -> Response:
        """Make the segment live everywhere; waits up to 10 s for the destinations."""
        segment = segment_publish(actor=self.actor, segment=self.segment(segment_id))
        deadline = time.monotonic() + PUBLISH_WAIT_SECONDS
        while segment.status != SegmentStatus.PUBLISHED and _is_moving(segment) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            segment.refresh_from_db(fields=["status", "activated_at"])
        shape = self.shown(segment_id)
        is_live = shape["status"] == SegmentStatus.PUBLISHED
        return Response(shape, status=status.HTTP_200_OK if is_live else status.HTTP_202_ACCEPTED)


def _is_moving(segment: Segment) -> bool:
    """Whether a destination may still become published without somebody's help."""
    rows = segment.destinations.current().exclude(status=DestinationStatus.PUBLISHED)
    statuses = list(rows.values_list("status", flat=True))
    # All published, and the segment's own word not written yet: that is a matter of a moment.
    return not statuses or any(word not in STOPPED for word in statuses)


class DestinationListView(SegmentApi):
    """A segment's destinations."""

    @extend_schema(
        operation_id="destination_add",
        request=DestinationWishSerializer,
        responses={201: DestinationSerializer, 409: CONFLICT},
    )
    def post(self, request: Request, segment_id: int) -> Response:
        """Add a destination; it is created, published when the segment is, and given the current membership."""
        segment = self.segment(segment_id)
        wish = read_wish(self.company, body_object(request), "destination")
        destination = destination_add(actor=self.actor, segment=segment, wish=wish)
        return Response(destination_shape(destination), status=status.HTTP_201_CREATED)


class DestinationView(SegmentApi):
    """One destination of a segment."""

    @extend_schema(
        operation_id="destination_remove",
        parameters=[
            OpenApiParameter(
                "release", OpenApiTypes.STR, description="What is done at the vendor first; `leave` does nothing there."
            )
        ],
        responses={202: SegmentSerializer},
    )
    def delete(self, request: Request, segment_id: int, vendor_account_id: int) -> Response:
        """Remove a destination from its segment; what was chosen is done at the vendor in the background."""
        destination = self.destination(segment_id, vendor_account_id)
        destination_release(
            actor=self.actor, destination=destination, choice=request.query_params.get("release", LEAVE.key)
        )
        return Response(self.shown(segment_id), status=status.HTTP_202_ACCEPTED)


class DestinationRenewView(SegmentApi):
    """A new version of a destination."""

    @extend_schema(
        operation_id="destination_renew", request=None, responses={201: DestinationSerializer, 409: CONFLICT}
    )
    def post(self, request: Request, segment_id: int, vendor_account_id: int) -> Response:
        """Make a new segment at the vendor, with nobody in it, where the next uploads go; the old one stays there."""
        made = destination_renew(actor=self.actor, destination=self.destination(segment_id, vendor_account_id))
        return Response(destination_shape(made), status=status.HTTP_201_CREATED)


class ReplacedListView(SegmentApi):
    """What new versions have replaced and is still at its vendor."""

    @extend_schema(operation_id="replaced_list", parameters=PAGE_PARAMETERS, responses={200: ReplacedPageSerializer})
    def get(self, request: Request, segment_id: int) -> Response:
        """The segments that a new version has taken the place of, oldest first."""
        return page_response(request, left_at_vendors(self.segment(segment_id)), replaced_shape, order=("pk",))


class ReplacedView(SegmentApi):
    """One of them."""

    @extend_schema(operation_id="replaced_delete", responses={202: ReplacedSerializer, 409: CONFLICT})
    def delete(self, request: Request, segment_id: int, destination_id: int) -> Response:
        """Delete it at its vendor, in the background."""
        rows = left_at_vendors(self.segment(segment_id))
        destination: Destination | None = rows.select_related("segment").filter(pk=destination_id).first()
        if destination is None:
            raise Http404
        left_segment_delete(actor=self.actor, destination=destination)
        return Response(replaced_shape(destination), status=status.HTTP_202_ACCEPTED)
