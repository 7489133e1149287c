"""The overview: what runs, what needs somebody, what came lately, and how the memberships have grown."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import CharField, F, QuerySet, Sum, Value
from django.db.models.functions import Cast
from django.http import HttpResponseBase
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from audsync_web.context import url_or_none
from audsync_web.http import PageRequest
from audsync_web.people.access import page
from audsync_web.people.models import Company
from audsync_web.vendors.models import AccountStatus, VendorAccount
from segments.models import Destination, DestinationStatus, Segment

from .models import Delivery, DeliveryStatus, Upload
from .selectors import UtcDay, live_uploads, memberships_ending, memberships_since, recent_uploads

DAYS = 30
LIVE_SHOWN = 12
RECENT_SHOWN = 8
ATTENTION_SHOWN = 20
ENDING_SHOWN = 8
EXPIRY_WATCH = timedelta(days=14)


@dataclass(frozen=True)
class Concern:
    """Something that waits for a person: what it is, why, what to do, where."""

    what: str
    name: str
    where: str
    reason: str
    next_step: str
    url: str | None


@page()
def overview(request: PageRequest) -> HttpResponseBase:
    """The first page after the login."""
    company = request.company
    accounts = list(VendorAccount.objects.visible_to(company).order_by("name"))
    context = {
        **_live_context(request),
        "accounts": accounts,
        "steps": first_steps(company, accounts),
        "recent": list(recent_uploads(company, RECENT_SHOWN)),
        "ending": list(memberships_ending(company, EXPIRY_WATCH)[:ENDING_SHOWN]),
        "history_url": reverse("history"),
        "accounts_url": url_or_none("vendor_accounts") or "",
        "members_columns": ["Day", "Members"],
        "members_rows": members_by_day(company),
        "acceptance_columns": ["Day", "Accepted", "Refused"],
        "acceptance_rows": acceptance_by_day(company),
    }
    return render(request, "overview/overview.html", context)


@page(poll=True)
def overview_live(request: PageRequest) -> HttpResponseBase:
    """The live part: two queries, none of which writes."""
    return render(request, "overview/_live.html", _live_context(request))


def _live_context(request: PageRequest) -> dict[str, Any]:
    live = list(live_uploads(request.company, LIVE_SHOWN + 1))
    return {
        "live": live[:LIVE_SHOWN],
        "more_live": len(live) > LIVE_SHOWN,
        "concerns": concerns(request.company),
    }


def first_steps(company: Company, accounts: list[VendorAccount]) -> list[dict[str, Any]]:
    """The way of a new company to its first upload; empty once that has been made."""
    if Upload.objects.visible_to(company).exists():
        return []
    made = Segment.objects.visible_to(company).exists()
    return [
        _step("Connect a vendor account", "Where your audiences are used.", "vendor_accounts", bool(accounts)),
        _step("Create a segment", "The audience, made at every vendor you choose.", "segments", made),
        _step("Upload its members", "A CSV file with one identifier in a row.", "upload", False),
    ]


def _step(title: str, text: str, route: str, done: bool) -> dict[str, Any]:
    return {"title": title, "text": text, "url": url_or_none(route), "done": done}


# --- what needs attention ---------------------------------------------------------------------------------------------

_COLUMNS = ("what", "key", "name", "where", "error_text", "next_step", "since")


def concerns(company: Company) -> list[Concern]:
    """Accounts, destinations and deliveries that wait for a person, the newest first, in one query."""
    found = _accounts(company).union(_destinations(company), _deliveries(company), all=True)
    rows = found.order_by("-c_since")[:ATTENTION_SHOWN]
    return [_concern(dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _accounts(company: Company) -> QuerySet[Any]:
    rows = VendorAccount.objects.filter(company=company, status=AccountStatus.NEEDS_ATTENTION).order_by()
    return _as_concern(rows, "vendor account", key="pk", name="name", where="vendor", since="updated_at")


def _destinations(company: Company) -> QuerySet[Any]:
    stopped = (DestinationStatus.NEEDS_ATTENTION, DestinationStatus.FAILED)
    rows = Destination.objects.current().filter(segment__company=company, status__in=stopped).order_by()
    where = "vendor_account__name"
    return _as_concern(rows, "segment", key="segment_id", name="segment__name", where=where, since="updated_at")


def _deliveries(company: Company) -> QuerySet[Any]:
    rows = Delivery.objects.visible_to(company).filter(status=DeliveryStatus.NEEDS_ATTENTION).order_by()
    where, name = "destination__vendor_account__name", "destination__segment__name"
    return _as_concern(rows, "delivery", key="upload_id", name=name, where=where, since="updated_at")


def _as_concern(rows: QuerySet[Any], what: str, *, key: str, name: str, where: str, since: str) -> QuerySet[Any]:
    columns = {
        "c_what": Value(what, output_field=CharField()),
        "c_key": Cast(key, CharField()),
        "c_name": F(name),
        "c_where": F(where),
        "c_text": F("error_text"),
        "c_step": F("next_step"),
        "c_since": F(since),
    }
    told: QuerySet[Any] = rows.annotate(**columns).values_list(*columns)
    return told


def _concern(row: dict[str, Any]) -> Concern:
    routes = {"vendor account": "vendor_account", "segment": "segment", "delivery": "upload_one"}
    return Concern(
        row["what"],
        row["name"],
        row["where"],
        row["error_text"] or "It stopped.",
        row["next_step"],
        _url(routes[row["what"]], uuid.UUID(row["key"]) if row["what"] == "delivery" else row["key"]),
    )


def _url(route: str, *args: Any) -> str | None:
    """A page's URL; None while nobody serves it."""
    try:
        return reverse(route, args=args)
    except NoReverseMatch:
        return None


# --- plots ------------------------------------------------------------------------------------------------------------


def members_by_day(company: Company, days: int = DAYS) -> list[tuple[date, int]]:
    """Members that vendors had acknowledged at the end of each of the last days, over all destinations."""
    today = timezone.now().date()
    first = today - timedelta(days=days - 1)
    began = datetime.combine(first, time.min, tzinfo=UTC)
    changes = _changes(memberships_since(company, began), first, days)
    rows, held = [], 0
    for number in range(days):
        held += changes[number]
        rows.append((first + timedelta(days=number), held))
    return rows if any(held for _, held in rows) else []


def _changes(memberships: Iterable[tuple[str, str | None, int]], first: date, days: int) -> list[int]:
    """By how many members each day changes: one counts on the days at whose end it was the current membership."""
    changes = [0] * (days + 1)
    for came, went, members in memberships:
        changes[(date.fromisoformat(came) - first).days] += members
        if went is not None:
            changes[min(days, (date.fromisoformat(went) - first).days)] -= members
    return changes


def acceptance_by_day(company: Company, days: int = DAYS) -> list[tuple[date, int, int]]:
    """What vendors accepted and refused of the deliveries of each of the last days."""
    since = timezone.now() - timedelta(days=days)
    rows = (
        Delivery.objects.visible_to(company)
        .filter(created_at__gte=since, accepted__isnull=False)
        .order_by()
        .annotate(day=UtcDay("created_at"))
        .values("day")
        .annotate(took=Sum("accepted"), refused_sum=Sum("refused"))
        .order_by("day")
    )
    known = {date.fromisoformat(row["day"]): (row["took"] or 0, row["refused_sum"] or 0) for row in rows}
    first = timezone.now().date() - timedelta(days=days - 1)
    every = [first + timedelta(days=number) for number in range(days)]
    return [(day, *known.get(day, (0, 0))) for day in every] if known else []
