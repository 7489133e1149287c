"""The lists of erasures and of pulls: what is filtered, searched and sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet
from django.http import Http404
from django.urls import reverse

from audsync_web.http import PageRequest, page_url
from audsync_web.keyset import CursorInvalid, keyset_slice
from audsync_web.vendors.models import VendorAccount
from uploads.erasure.selectors import asked_by, erasures_of
from uploads.models import Erasure, ErasureStatus, PullStatus, SourcePull

ROWS_A_PAGE = 50
DEFAULT_ORDER = "-time"


class ListForm(forms.Form):
    """Which rows of a list are wanted, and in which order. A value that fits nothing is ignored."""

    q = forms.CharField(required=False, max_length=100)
    status = forms.ChoiceField(required=False)
    sort = forms.ChoiceField(required=False)

    def __init__(
        self, *args: Any, statuses: Iterable[tuple[str, str]] = (), orders: Iterable[str] = (), **named: Any
    ) -> None:
        super().__init__(*args, **named)
        self.fields["status"].choices = list(statuses)  # type: ignore[attr-defined]
        self.fields["sort"].choices = [(order, order) for order in orders]  # type: ignore[attr-defined]


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


def pulls_wanted(request: PageRequest, account: VendorAccount) -> QuerySet[SourcePull]:
    """An account's pulls that fit the page's filter, in its order."""
    wanted = _wanted(request, PullStatus.choices, PULL_ORDERS)
    rows: QuerySet[SourcePull] = SourcePull.objects.visible_to(request.company).filter(vendor_account=account)
    rows = rows.select_related("segment", "asked_by").annotate(segment_name=F("segment__name"))
    rows = rows.filter(status=wanted["status"]) if wanted["status"] else rows
    if text := wanted["q"]:
        named = Q(segmentation__icontains=text) | Q(segment__name__icontains=text)
        rows = rows.filter(named | asked_by(text))
    return rows.order_by(*PULL_ORDERS[wanted["sort"]])


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
