"""The list of vendor accounts, its export, and the vendor's own history of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, is_fragment, page_url
from audsync_web.keyset import CursorInvalid, keyset_slice
from audsync_web.people.access import page

from .connectors.registry import VENDOR_CHOICES
from .forms import AccountFilterForm
from .history import LAST_PAGE, vendor_history
from .models import VendorAccount
from .selectors import DEFAULT_ORDER, ORDERS, account_rows, accounts_of, standing
from .views import account_or_404

ROWS_A_PAGE = 50
EXPORT_HEADER = ("id", "name", "vendor", "health", "last check", "open deliveries", "error", "next step")
DESTINATIONS_OFFERED = 100


def _wanted(request: PageRequest) -> dict[str, Any]:
    form = AccountFilterForm(request.GET)
    form.is_valid()
    return form.cleaned_data


def _rows_context(request: PageRequest) -> dict[str, Any]:
    wanted = _wanted(request)
    try:
        found = keyset_slice(
            accounts_of(request.company, wanted),
            order=ORDERS[wanted.get("sort") or DEFAULT_ORDER],
            limit=ROWS_A_PAGE,
            cursor=request.GET.get("cursor"),
        )
    except CursorInvalid:
        raise Http404 from None
    rows = account_rows(found.rows)
    return {
        "rows": rows,
        "is_live": any(row.jobs or row.standing.moves for row in rows),
        "filtered": any(wanted.get(name) for name in ("q", "vendor", "status")),
        "query": request.GET.urlencode(),
        "older_url": page_url(request, found.older),
        "newer_url": page_url(request, found.newer),
    }


@page()
def accounts(request: PageRequest) -> HttpResponseBase:
    """The company's accounts with their health, jobs and pauses."""
    context = _rows_context(request)
    if is_fragment(request):
        return render(request, "vendors/_account_rows.html", context)
    export = reverse("vendor_accounts_export")
    context |= {
        "vendors": VENDOR_CHOICES,
        "chosen": request.GET,
        "export_url": f"{export}?{context['query']}" if context["query"] else export,
    }
    return render(request, "vendors/accounts.html", context)


@page(poll=True)
def accounts_live(request: PageRequest) -> HttpResponseBase:
    """The same lines again, for the page that shows them; the filter and the cursor come along."""
    context = _rows_context(request)
    # Links of the part belong to the page, not to this address.
    here, there = reverse("vendor_accounts_live"), reverse("vendor_accounts")
    context |= {name: context[name].replace(here, there, 1) for name in ("older_url", "newer_url")}
    return render(request, "vendors/_account_rows.html", context)


@page()
def accounts_export(request: PageRequest) -> HttpResponseBase:
    """The filtered accounts as CSV."""
    wanted = _wanted(request)
    rows = accounts_of(request.company, wanted).order_by(*ORDERS[wanted.get("sort") or DEFAULT_ORDER])
    return csv_response("vendor-accounts.csv", EXPORT_HEADER, _export_rows(rows))


def _export_rows(rows: QuerySet[VendorAccount]) -> Iterator[tuple[Any, ...]]:
    for account in rows.iterator(chunk_size=500):
        found: Any = account
        stands = standing(account)
        yield (
            account.pk,
            account.name,
            account.get_vendor_display(),
            stands.label or stands.word.capitalize(),
            account.checked_at.isoformat(timespec="seconds") if account.checked_at else "",
            found.open_deliveries,
            account.error_text,
            account.next_step,
        )


@page()
def account_history(request: PageRequest, pk: int) -> HttpResponseBase:
    """What the vendor says it received, newest first, matched with our own deliveries."""
    account = account_or_404(request, pk, needs_history=True)
    offered = account.destinations.exclude(remote_id="").select_related("segment__company")
    chosen = _number(request, "destination")
    destination = offered.filter(pk=chosen).first() if chosen else None
    found = vendor_history(account, destination, min(max(1, _number(request, "page") or 1), LAST_PAGE))
    context = {
        "account": account,
        "history": found,
        "offered": offered.order_by("-pk")[:DESTINATIONS_OFFERED],
        "newer_url": _history_url(request, found.page - 1) if found.page > 1 else "",
        "older_url": _history_url(request, found.page + 1) if found.has_older else "",
    }
    template = "vendors/_history.html" if is_fragment(request) else "vendors/history.html"
    return render(request, template, context)


def _number(request: PageRequest, name: str) -> int | None:
    raw = request.GET.get(name, "")
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 18 else None


def _history_url(request: PageRequest, number: int) -> str:
    query = request.GET.copy()
    query["page"] = str(number)
    return f"{request.path}?{query.urlencode()}"
