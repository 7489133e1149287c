"""The API's calls on uploads and the active membership (design section 7.3)."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.errors import ApiError
from audsync_web.api.idempotency import HEADER as KEY_HEADER
from audsync_web.api.paging import whole_number
from audsync_web.api.schema import ErrorSerializer
from audsync_web.api.times import api_time
from audsync_web.api.views import ApiView
from audsync_web.exports import csv_response, opaque_response
from audsync_web.people.access import get_visible_or_404
from segments.active import active_memberships
from segments.models import Segment
from uploads.delivery.rejected import COLUMNS, rejected_rows, rejections_audit
from uploads.delivery.reports import vendor_report_audit, vendor_report_blocks
from uploads.intake.bodies import RequestBody
from uploads.models import Upload
from uploads.services import upload_cancel, upload_retry

from .heard import answer_and_listen
from .options import UPLOAD_HEADERS, UPLOAD_PARAMETERS
from .receive import CSV_TYPE, end_is_uncertain, receive_upload
from .refusals import as_refusal
from .shapes import (
    ActiveMembershipSerializer,
    NewUploadSerializer,
    UploadRowSerializer,
    UploadSerializer,
    upload_row,
    upload_shape,
    with_deliveries,
)

LONGEST_LIST = 1000
CONFLICT = OpenApiResponse(ErrorSerializer, "Its present state does not allow that.")


class UploadApi(ApiView):
    """What the views of uploads share."""

    def handle_exception(self, exc: Exception) -> Any:
        """As every view; what was refused of an upload has its code."""
        return super().handle_exception(as_refusal(exc) or exc)

    def segment(self, segment_id: int) -> Segment:
        """One segment of the company, else 404."""
        return get_visible_or_404(Segment.objects.all(), self.company, pk=segment_id)

    def upload(self, segment_id: int, upload_id: uuid.UUID, rows: QuerySet[Upload] | None = None) -> Upload:
        """One upload of one segment of the company, else 404."""
        wanted = Upload.objects.select_related("segment") if rows is None else rows
        return get_visible_or_404(wanted, self.company, pk=upload_id, segment_id=segment_id)

    def shown(self, upload: Upload) -> dict[str, Any]:
        """An upload as it is now."""
        return upload_shape(with_deliveries(Upload.objects.filter(pk=upload.pk)).get())


class StreamingApi(UploadApi):
    """A view that reads its body as a stream. What a refused request has not read is read to its end."""

    streams = True
    body: RequestBody | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Take hold of the body before anything can be refused."""
        self.body = RequestBody(request._request, hashed=KEY_HEADER in request.headers)
        super().initial(request, *args, **kwargs)

    def stream(self) -> RequestBody:
        """The request's body."""
        if self.body is None:
            raise TypeError("the request has not begun")
        return self.body

    def handle_exception(self, exc: Exception) -> Any:
        """The answer to an exception, once the body was read."""
        if self.body is not None:
            self.body.drain()
        return super().handle_exception(exc)


class UploadListView(StreamingApi):
    """A segment's uploads."""

    @extend_schema(
        operation_id="upload_list",
        parameters=[
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"Rows, 1 to {LONGEST_LIST}."),
            OpenApiParameter("before", OpenApiTypes.UUID, description="Only uploads older than this one."),
        ],
        responses={200: UploadRowSerializer(many=True)},
    )
    def get(self, request: Request, segment_id: int) -> Response:
        """The uploads, newest first; a `Link` header with `rel="next"` when there are more."""
        segment = self.segment(segment_id)
        limit = whole_number(request, "limit", default=LONGEST_LIST, minimum=1, maximum=LONGEST_LIST)
        rows = Upload.objects.visible_to(self.company).filter(segment=segment).order_by("-created_at", "-id")
        if before := request.query_params.get("before"):
            rows = rows.filter(_older_than(rows, before))
        found = list(rows[: limit + 1])
        response = Response([upload_row(upload) for upload in found[:limit]])
        if len(found) > limit:
            response.headers["Link"] = f'<{_next(request, found[limit - 1])}>; rel="next"'
        return response

    @extend_schema(
        operation_id="upload_create",
        parameters=[*UPLOAD_PARAMETERS, *UPLOAD_HEADERS],
        request={CSV_TYPE: OpenApiTypes.BINARY},
        responses={
            201: NewUploadSerializer,
            409: OpenApiResponse(ErrorSerializer, "The segment is archived."),
            411: OpenApiResponse(ErrorSerializer, "The body has no length and is not chunked."),
            413: OpenApiResponse(ErrorSerializer, "The file is too large."),
            415: OpenApiResponse(ErrorSerializer, "The body is not text/csv."),
            507: OpenApiResponse(ErrorSerializer, "There is no room for the file."),
        },
    )
    def post(self, request: Request, segment_id: int) -> HttpResponseBase:
        """Upload a CSV of members: exactly one column, its header the kind of identifier."""
        answer: HttpResponseBase = receive_upload(request, self.stream(), self.actor, self.segment(segment_id))
        return answer

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """As every view; the answer to a file whose end is uncertain is given in two pieces."""
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        uncertain = self.body is not None and request.method == "POST" and end_is_uncertain(request, self.body)
        if not uncertain or not isinstance(answer, Response) or answer.status_code != status.HTTP_201_CREATED:
            return answer
        return answer_and_listen(answer.render(), self.actor, request)


def _older_than(rows: QuerySet[Upload], before: str) -> Q:
    try:
        last = rows.filter(pk=uuid.UUID(before)).values_list("created_at", "pk").first()
    except ValueError:
        last = None
    if last is None:
        raise ValidationError({"before": "is no upload of this segment"})
    created_at, pk = last
    return Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=pk)


def _next(request: Request, last: Upload) -> str:
    query = request.query_params.copy()
    query["before"] = str(last.pk)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


class UploadView(UploadApi):
    """One upload."""

    @extend_schema(operation_id="upload_read", responses={200: UploadSerializer})
    def get(self, request: Request, segment_id: int, upload_id: uuid.UUID) -> Response:
        """The upload with its deliveries."""
        return Response(upload_shape(self.upload(segment_id, upload_id, with_deliveries(Upload.objects.all()))))


class UploadCancelView(UploadApi):
    """Cancelling."""

    @extend_schema(operation_id="upload_cancel", request=None, responses={202: UploadSerializer, 409: CONFLICT})
    def post(self, request: Request, segment_id: int, upload_id: uuid.UUID) -> Response:
        """Stop what is unsent; what a vendor has already is followed to its end."""
        upload = upload_cancel(actor=self.actor, upload=self.upload(segment_id, upload_id))
        return Response(self.shown(upload), status=status.HTTP_202_ACCEPTED)


class UploadRetryView(UploadApi):
    """Trying again."""

    @extend_schema(operation_id="upload_retry", request=None, responses={202: UploadSerializer, 409: CONFLICT})
    def post(self, request: Request, segment_id: int, upload_id: uuid.UUID) -> Response:
        """Send again what failed, only where it failed."""
        upload = upload_retry(actor=self.actor, upload=self.upload(segment_id, upload_id))
        return Response(self.shown(upload), status=status.HTTP_202_ACCEPTED)


class RejectionsView(UploadApi):
    """What was not taken."""

    @extend_schema(
        operation_id="upload_rejections",
        responses={
            (200, CSV_TYPE): OpenApiTypes.STR,
            410: OpenApiResponse(ErrorSerializer, "The report is no longer kept."),
        },
    )
    def get(self, request: Request, segment_id: int, upload_id: uuid.UUID) -> HttpResponseBase:
        """Every row of the file and every identifier at a vendor that was not taken, as CSV. Each look is audited."""
        upload = self.upload(segment_id, upload_id)
        if upload.report_gone_at is not None:
            raise ApiError(status.HTTP_410_GONE, "The report of this upload is no longer kept.")
        rejections_audit(actor=self.actor, upload=upload)
        return csv_response(f"rejected-{upload.pk}.csv", COLUMNS, rejected_rows(upload))


class VendorReportView(UploadApi):
    """A vendor's own error file."""

    @extend_schema(
        operation_id="upload_vendor_report",
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            410: OpenApiResponse(ErrorSerializer, "The report is no longer kept."),
        },
    )
    def get(self, request: Request, segment_id: int, upload_id: uuid.UUID, vendor_account_id: int) -> HttpResponseBase:
        """The error file that a vendor left for the newest delivery there, as it came; 404 when it left none."""
        upload = self.upload(segment_id, upload_id)
        if upload.report_gone_at is not None:
            raise ApiError(status.HTTP_410_GONE, "The report of this upload is no longer kept.")
        deliveries = upload.deliveries.select_related("upload").filter(vendor_account_id=vendor_account_id)
        delivery = deliveries.order_by("-pk").first()
        if delivery is None or not delivery.vendor_report:
            raise Http404
        vendor_report_audit(actor=self.actor, delivery=delivery)
        return opaque_response(f"vendor-errors-{delivery.pk}.txt", vendor_report_blocks(delivery))


class MembershipView(UploadApi):
    """The active membership."""

    @extend_schema(operation_id="membership_read", responses={200: ActiveMembershipSerializer})
    def get(self, request: Request, segment_id: int) -> Response:
        """The newest upload that every destination acknowledged; 404 when there is none, and until publish."""
        active = active_memberships([self.segment(segment_id)]).get(segment_id)
        if active is None:
            raise Http404
        return Response(
            {
                "segmentId": segment_id,
                "activeMembershipUploadId": str(active.upload_id),
                "createdAt": api_time(active.activated_at),
            }
        )
