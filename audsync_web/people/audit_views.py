"""The audit trail: who did what, when, from where."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from audsync_web.days import within_days
from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, is_fragment
from audsync_web.keyset import CursorInvalid, keyset_slice

from .access import page
from .audit import detail_lines, object_word
from .forms import AuditFilterForm
from .models import AuditEntry, Membership

ROWS_A_PAGE = 50
ORDER = ("-at", "-pk")
# Fewer entries than this are fetched by their keys rather than met on a walk through time.
FEW = 500
EXPORT_HEADER = ("at", "who", "via", "address", "action", "object type", "object id", "object", "detail")


@page(needs="admin")
def audit(request: PageRequest) -> HttpResponseBase:
    """The trail, newest first, filtered by person, action, object and date."""
    try:
        found = keyset_slice(_filtered(request), order=ORDER, limit=ROWS_A_PAGE, cursor=request.GET.get("cursor"))
    except CursorInvalid:
        raise Http404 from None
    context = {
        "rows": [(entry, object_word(entry), detail_lines(entry)) for entry in found.rows],
        "older_url": _page_url(request, found.older),
        "newer_url": _page_url(request, found.newer),
    }
    if is_fragment(request):
        return render(request, "people/_audit_rows.html", context)
    return render(request, "people/audit.html", {**context, **_choices(request)})


def _choices(request: PageRequest) -> dict[str, Any]:
    """What the filter offers: the company's people, and the actions that have happened in it."""
    members = Membership.objects.filter(company=request.company).select_related("user").order_by("user__email")
    query = request.GET.urlencode()
    export = reverse("audit_export")
    return {
        "members": members,
        "actions": _actions(request.company.pk),
        "chosen": request.GET,
        "export_url": f"{export}?{query}" if query else export,
    }


def _actions(company_pk: int) -> list[str]:
    """The actions that have happened in a company, found by leaps over its index, not by reading every entry."""
    table = connection.ops.quote_name(AuditEntry._meta.db_table)
    least = f"SELECT MIN(action) FROM {table} WHERE company_id = %s"  # noqa: S608  # our own name
    further = f"SELECT ({least} AND action > found.action) FROM found WHERE found.action IS NOT NULL"  # noqa: S608
    statement = f"WITH RECURSIVE found(action) AS ({least} UNION ALL {further}) SELECT action FROM found"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, [company_pk, company_pk])
        return [action for (action,) in cursor.fetchall() if action is not None]


@page(needs="admin")
def audit_export(request: PageRequest) -> HttpResponseBase:
    """The filtered trail as CSV, newest first, streamed."""
    return csv_response("audit-trail.csv", EXPORT_HEADER, _export_rows(_filtered(request)))


def _export_rows(entries: QuerySet[AuditEntry]) -> Iterator[tuple[Any, ...]]:
    for entry in entries.order_by(*ORDER).iterator(chunk_size=1000):
        detail = "; ".join(f"{name}: {text}" for name, text in detail_lines(entry))
        at = entry.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        yield (
            at,
            entry.who,
            entry.via,
            entry.address,
            entry.action,
            entry.object_type,
            entry.object_id,
            entry.object_name,
            detail,
        )


def _filtered(request: PageRequest) -> QuerySet[AuditEntry]:
    """The company's entries that fit the filter of the URL; a value that cannot be read is left out."""
    form = AuditFilterForm(request.GET)
    form.is_valid()
    wanted = form.cleaned_data
    fits = Q(company=request.company)
    if wanted.get("person"):
        fits &= Q(user=wanted["person"])
    if wanted.get("action"):
        fits &= Q(action=wanted["action"])
    if wanted.get("object"):
        fits &= _about(request, wanted["object"])
    return AuditEntry.objects.filter(fits & within_days(wanted, "at"))


def _about(request: PageRequest, text: str) -> Q:
    """Entries about one object by its whole id, else about those whose name holds the text."""
    by_id = Q(object_id=text)
    rows = AuditEntry.objects.filter(company=request.company).order_by()
    if rows.filter(by_id).exists():
        return by_id
    named = list(rows.filter(object_name__icontains=text).values_list("pk", flat=True)[: FEW + 1])
    return Q(pk__in=named) if len(named) <= FEW else Q(object_name__icontains=text)


def _page_url(request: PageRequest, cursor: str | None) -> str:
    if cursor is None:
        return ""
    query = request.GET.copy()
    query["cursor"] = cursor
    return f"{request.path}?{query.urlencode()}"
