"""The lists of erasures and of pulls: what is filtered, searched and sorted, a page at a time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import CharField, F, Q, QuerySet
from django.db.models.functions import Cast
from django.http import Http404
from django.urls import reverse

from audsync_web.http import PageRequest, page_url
from audsync_web.keyset import CursorInvalid, keyset_slice
from audsync_web.people.models import Company
from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.models import VendorAccount
from uploads.models import Erasure, ErasureStatus, PullStatus, SourcePull

from .lifecycle_forms import ListForm

ROWS_A_PAGE = 50
DEFAULT_ORDER = "-time"
SHORT_ID = re.compile(r"[0-9a-f]{4,8}")


@dataclass(frozen=True)
class Listed:
    """A list as a page shows it: its rows, and what its filter needs."""

    rows: list[Any]
    context: Mapping[str, Any] = field(default_factory=dict)


def _orders(**columns: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, column in columns.items():
        for sign in ("", "-"):
            # Among equals the newest stand first.
            rest = ("pk",) if column == "created_at" else ("-created_at", "-pk")
            found[f"{sign}{name}"] = (f"{sign}{column}", *rest)
    return found


ERASURE_ORDERS = _orders(time="created_at", status="status", files="files_deleted")
PULL_ORDERS = _orders(time="created_at", status="status", read="rows", segment="segment_name")


def erasures_wanted(request: PageRequest) -> QuerySet[Erasure]:
    """The company's erasures that fit the page's filter, in its order."""
    wanted = _wanted(request, ErasureStatus.choices, ERASURE_ORDERS)
    rows = erasures_of(request.company, status=wanted["status"], text=wanted["q"])
    return rows.order_by(*ERASURE_ORDERS[wanted["sort"]])


def erasures_of(company: Company, *, status: str = "", text: str = "") -> QuerySet[Erasure]:
    """The company's erasures of one status, and those that a text finds: by who asked, number or kind of identifier."""
    rows: QuerySet[Erasure] = Erasure.objects.visible_to(company).select_related("asked_by")
    rows = rows.filter(status=status) if status else rows
    if not text:
        return rows
    numbered = rows.annotate(number=Cast("id", CharField()))
    return numbered.filter(_asked_by(text) | _is_number(text) | _is_of_kind(text))


def pulls_wanted(request: PageRequest, account: VendorAccount) -> QuerySet[SourcePull]:
    """An account's pulls that fit the page's filter, in its order."""
    wanted = _wanted(request, PullStatus.choices, PULL_ORDERS)
    rows: QuerySet[SourcePull] = SourcePull.objects.visible_to(request.company).filter(vendor_account=account)
    rows = rows.select_related("segment", "asked_by").annotate(segment_name=F("segment__name"))
    rows = rows.filter(status=wanted["status"]) if wanted["status"] else rows
    if text := wanted["q"]:
        named = Q(segmentation__icontains=text) | Q(segment__name__icontains=text)
        rows = rows.filter(named | _asked_by(text))
    return rows.order_by(*PULL_ORDERS[wanted["sort"]])


def _asked_by(text: str) -> Q:
    return Q(asked_by__email__icontains=text) | Q(asked_by__name__icontains=text)


def _is_of_kind(text: str) -> Q:
    """Erasures of a kind of identifier, by its name on the pages."""
    found = Q(pk__in=[])
    for key, kind in KINDS.items():
        if text.lower() in kind.label.lower():
            found |= Q(kinds__icontains=f'"{key}"')
    return found


def _is_number(text: str) -> Q:
    """An erasure's number, whole or as lists show it."""
    given = text.lower().removeprefix("erasure").strip()
    try:
        return Q(pk=uuid.UUID(given))
    except ValueError:
        return Q(number__istartswith=given) if SHORT_ID.fullmatch(given) else Q(pk__in=[])


def _wanted(request: PageRequest, statuses: Iterable[tuple[str, str]], orders: Iterable[str]) -> dict[str, str]:
    form = ListForm(request.GET, statuses=statuses, orders=orders)
    form.is_valid()
    given = form.cleaned_data
    return {name: given.get(name) or "" for name in ("q", "status")} | {"sort": given.get("sort") or DEFAULT_ORDER}


def listed(request: PageRequest, rows: QuerySet[Any], statuses: Iterable[tuple[str, str]], export: str) -> Listed:
    """A page of a list that was filtered above; 404 for a cursor of another list."""
    order = [str(name) for name in rows.query.order_by]
    try:
        found = keyset_slice(rows, order=order, limit=ROWS_A_PAGE, cursor=request.GET.get("cursor"))
    except CursorInvalid:
        raise Http404 from None
    query = request.GET.urlencode()
    context = {
        "statuses": statuses,
        "filtered": bool(request.GET.get("q") or request.GET.get("status")),
        "export_url": f"{export}?{query}" if query else export,
        "older_url": page_url(request, found.older),
        "newer_url": page_url(request, found.newer),
    }
    return Listed(found.rows, context)


def erasures_listed(request: PageRequest) -> Listed:
    """A page of the company's erasures."""
    return listed(request, erasures_wanted(request), ErasureStatus.choices, reverse("erasures_export"))


def pulls_listed(request: PageRequest, account: VendorAccount) -> Listed:
    """A page of an account's pulls."""
    export = reverse("source_pulls_export", args=[account.pk])
    return listed(request, pulls_wanted(request, account), PullStatus.choices, export)
