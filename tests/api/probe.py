"""Small views that stand for any view of the API, and the URLs under which tests serve them."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.urls import include, path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web import urls as product
from audsync_web.api.idempotency import begin
from audsync_web.api.paging import page_response
from audsync_web.api.permissions import ManagerWrites
from audsync_web.api.views import ApiView
from audsync_web.people.models import AuditEntry

handler400, handler403 = product.handler400, product.handler403
handler404, handler500 = product.handler404, product.handler500

CALLS: list[str] = []


class Item(serializers.Serializer[Any]):
    name = serializers.CharField()
    size = serializers.IntegerField()


class Work(ApiView):
    """Counts its calls; `?status=` chooses its answer."""

    permission_classes = (ManagerWrites,)

    def get(self, request: Request) -> Response:
        return Response({"company": self.company.slug, "role": self.actor.role})

    def post(self, request: Request, pk: int = 0) -> HttpResponseBase:
        CALLS.append(self.actor.who)
        if request.query_params.get("fail"):
            raise RuntimeError("secret detail")
        if request.query_params.get("missing"):
            raise Http404("secret detail")
        item = Item(data=request.data)
        item.is_valid(raise_exception=True)
        return Response({"call": len(CALLS)}, status=int(request.query_params.get("status", "201")))


class Stream(ApiView):
    """Reads its body as a stream, as the membership upload does."""

    streams = True

    def post(self, request: Request) -> HttpResponseBase:
        held = begin(self.actor, request._request)
        digest = hashlib.sha256()
        while block := request._request.read(4):
            digest.update(block)
            held.keep_alive()
        if held.is_known:
            return held.answer_again(digest.hexdigest())
        CALLS.append("stream")
        answer = HttpResponse(f"call {len(CALLS)}", status=201, content_type="text/plain")
        return held.finish(digest.hexdigest(), answer)


class Trail(ApiView):
    """A list."""

    def get(self, request: Request) -> Response:
        rows = AuditEntry.objects.filter(company=self.company)
        order = request.query_params.getlist("order") or ["-pk"]
        return page_response(request, rows, lambda row: {"id": row.pk, "action": row.action}, order=order)


urlpatterns = [
    path("api/probe/work", Work.as_view()),
    path("api/probe/work/<int:pk>", Work.as_view()),
    path("api/probe/stream", Stream.as_view()),
    path("api/probe/trail", Trail.as_view()),
    path("", include(product.urlpatterns)),
]
