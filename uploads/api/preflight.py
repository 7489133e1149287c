"""`POST /segment/{id}/membership/preflight`: what an upload would meet, before a byte of it leaves."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.errors import ApiError
from audsync_web.api.idempotency import begin
from audsync_web.api.schema import ErrorSerializer
from audsync_web.api.times import api_time
from audsync_web.people.access import get_visible_or_404
from audsync_web.vendors.connectors.base import Level
from audsync_web.vendors.connectors.identifiers import KINDS
from segments.models import Segment
from uploads import files
from uploads.engine.checking import Checker
from uploads.inspection.preflight import Load, Row, load_of_upload, preflight, worst
from uploads.intake.bodies import RequestBody
from uploads.models import Mode, Upload
from uploads.receiving import with_rule
from uploads.rules import destinations_for_upload

from .options import UPLOAD_PARAMETERS, read_check_options, read_md5, read_mode
from .receive import CSV_TYPE, answer_again, answer_once, file_blocks, require_body, require_csv
from .uploads import StreamingApi

COLOURS = {Level.OK: "green", Level.WARNING: "amber", Level.BLOCKED: "red"}
LONGEST_JSON = 64 * 1024
MOST_MEMBERS = 10**12


class CheckSerializer(serializers.Serializer[Any]):
    """One cell of the matrix."""

    check = serializers.CharField()
    level = serializers.ChoiceField(choices=list(COLOURS.values()))
    text = serializers.CharField()
    fix = serializers.CharField(allow_null=True)


class PreflightRowSerializer(serializers.Serializer[Any]):
    """One destination."""

    vendorAccountId = serializers.IntegerField()  # noqa: N815  # the API's own words
    vendor = serializers.CharField()
    level = serializers.ChoiceField(choices=list(COLOURS.values()))
    checks = CheckSerializer(many=True)
    members = serializers.IntegerField(allow_null=True)
    held = serializers.IntegerField()
    adds = serializers.IntegerField(allow_null=True)
    renewed = serializers.IntegerField(allow_null=True)
    removes = serializers.IntegerField(allow_null=True)
    unchanged = serializers.IntegerField(allow_null=True)
    parts = serializers.IntegerField(allow_null=True)
    bytes = serializers.IntegerField(allow_null=True)
    lines = serializers.IntegerField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
    finishesAt = serializers.DateTimeField(allow_null=True, help_text="At the earliest.")  # noqa: N815


class PreflightSerializer(serializers.Serializer[Any]):
    """The matrix."""

    segmentId = serializers.IntegerField()  # noqa: N815
    kind = serializers.CharField()
    mode = serializers.ChoiceField(choices=Mode.choices)
    exact = serializers.BooleanField(help_text="False: estimated from the number of rows, as if all were new.")
    level = serializers.ChoiceField(choices=list(COLOURS.values()))
    recordsCount = serializers.IntegerField(allow_null=True)  # noqa: N815
    rejectedCount = serializers.IntegerField(allow_null=True)  # noqa: N815
    destinations = PreflightRowSerializer(many=True)
    finishesAt = serializers.DateTimeField(allow_null=True)  # noqa: N815


class PreflightRequestSerializer(serializers.Serializer[Any]):
    """An upload that is here already, or merely how many members of which kind are to come."""

    uploadId = serializers.UUIDField(required=False)  # noqa: N815
    kind = serializers.ChoiceField(required=False, choices=list(KINDS))
    members = serializers.IntegerField(required=False, min_value=0)
    mode = serializers.ChoiceField(required=False, choices=Mode.choices)


class PreflightView(StreamingApi):
    """Preflight."""

    @extend_schema(
        operation_id="membership_preflight",
        parameters=UPLOAD_PARAMETERS,
        request={CSV_TYPE: OpenApiTypes.BINARY, "application/json": PreflightRequestSerializer},
        responses={
            200: PreflightSerializer,
            413: OpenApiResponse(ErrorSerializer, "The file is too large."),
            415: OpenApiResponse(ErrorSerializer, "The body is neither text/csv nor JSON."),
        },
    )
    def post(self, request: Request, segment_id: int) -> HttpResponseBase:
        """Check a file without keeping it, an upload that is here, or a number of members. Nothing is sent."""
        segment, body = self.segment(segment_id), self.stream()
        is_json = request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/json"
        if not is_json:
            require_csv(request._request)
        require_body(body)
        held = begin(self.actor, request._request)
        body.alive = held.keep_alive
        if held.is_known:
            return answer_again(held, body)

        def work() -> Response:
            load, counted = self._load_of_json(segment, body) if is_json else _load_of_file(request, body)
            return Response(_shape(segment, load, counted))

        return answer_once(held, body, work)

    def _load_of_json(self, segment: Segment, body: RequestBody) -> tuple[Load, tuple[int | None, int | None]]:
        given = _json_object(body)
        if "uploadId" in given:
            rows = Upload.objects.select_related("segment").filter(segment=segment)
            upload = get_visible_or_404(rows, self.company, pk=_uuid(given["uploadId"]))
            return load_of_upload(upload), (upload.records, upload.rejected)
        kind, members = given.get("kind", "provider_id"), given.get("members")
        if not isinstance(kind, str) or kind not in KINDS:
            raise ValidationError({"kind": f"must be one of {', '.join(KINDS)}"})
        if not isinstance(members, int) or isinstance(members, bool) or not 0 <= members <= MOST_MEMBERS:
            raise ValidationError({"members": "must be a whole number; or give uploadId"})
        mode = read_mode({"mode": str(given["mode"])} if "mode" in given else {})
        return Load(kind, mode, members), (None, None)


def _json_object(body: RequestBody) -> dict[str, Any]:
    if body.length is not None and body.length > LONGEST_JSON:
        raise ApiError(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "The request body is too large.")
    raw = b""
    for block in body.blocks():
        raw += block
        if len(raw) > LONGEST_JSON:
            raise ApiError(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "The request body is too large.")
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        raise ApiError(status.HTTP_400_BAD_REQUEST, "The body is no JSON.") from None
    if not isinstance(given, dict):
        raise ApiError(status.HTTP_400_BAD_REQUEST, "The body must be a JSON object.")
    return given


def _uuid(given: Any) -> uuid.UUID:
    try:
        return uuid.UUID(str(given))
    except ValueError:
        raise ValidationError({"uploadId": "must be the id of an upload"}) from None


def _load_of_file(request: Request, body: RequestBody) -> tuple[Load, tuple[int | None, int | None]]:
    """Check a file as an upload would, keeping nothing of it."""
    given = request.query_params
    md5 = read_md5(request.headers.get("X-Content-MD5"))
    options = with_rule(read_check_options(given, max_bytes=settings.MAX_UPLOAD_BYTES, md5=md5))
    with files.spill_folder() as folder, Checker(options, folder / "rejections.csv.gz") as checker:
        for block in file_blocks(request._request, body):
            checker.feed(block)
        found = checker.finish()
    mean = max(1.0, found.bytes / max(1, found.records) - 1)
    return Load(found.kind, read_mode(given), found.accepted, mean), (found.records, found.rejected)


def _shape(segment: Segment, load: Load, counted: tuple[int | None, int | None]) -> dict[str, Any]:
    rows = preflight(destinations_for_upload(segment), load)
    ends = [row.finishes_at for row in rows]
    known = [moment for moment in ends if moment is not None]
    return {
        "segmentId": segment.pk,
        "kind": load.kind,
        "mode": load.mode.value,
        "exact": load.is_exact,
        "level": COLOURS[worst(row.level for row in rows)],
        "recordsCount": counted[0],
        "rejectedCount": counted[1],
        "destinations": [_row_shape(row) for row in rows],
        # When one cannot finish, nobody can say when all have.
        "finishesAt": api_time(max(known)) if known and len(known) == len(ends) else None,
    }


def _row_shape(row: Row) -> dict[str, Any]:
    totals, estimate = row.totals, row.estimate
    return {
        "vendorAccountId": row.destination.vendor_account_id,
        "vendor": row.destination.vendor_account.vendor,
        "level": COLOURS[row.level],
        "checks": [
            {"check": cell.check, "level": COLOURS[cell.level], "text": cell.text, "fix": cell.fix or None}
            for cell in row.findings
        ],
        "held": row.held,
        **{name: getattr(totals, name, None) for name in ("members", "adds", "renewed", "removes", "unchanged")},
        **{name: getattr(estimate, name, None) for name in ("parts", "bytes", "lines", "seconds")},
        "notes": list(estimate.notes) if estimate else [],
        "finishesAt": api_time(row.finishes_at),
    }
