"""The overview: what runs, what needs somebody, what came lately, and how the memberships have grown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Sum
from django.http import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from audsync_web.context import url_or_none
from audsync_web.http import PageRequest
from audsync_web.people.access import page
from audsync_web.people.models import Company
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from uploads.lifecycle.topup import ending_of_company
from uploads.models import Delivery, Upload

from .concerns import concerns, under_way
from .selectors import UtcDay, live_uploads, memberships_since, recent_uploads

DAYS = 30
LIVE_SHOWN = 12
RECENT_SHOWN = 8
ENDING_SHOWN = 8


@page()
def overview(request: PageRequest) -> HttpResponseBase:
    """The first page after the login."""
    company = request.company
    accounts = list(VendorAccount.objects.visible_to(company).order_by("name"))
    context = {
        **_live_context(request),
        "accounts": accounts,
        "steps": first_steps(request, accounts),
        "recent": list(recent_uploads(company, RECENT_SHOWN)),
        "ending": ending_of_company(company)[:ENDING_SHOWN],
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
    """The live part: a query for uploads, one for other jobs, one for what needs somebody; none of them writes."""
    return render(request, "overview/_live.html", _live_context(request))


def _live_context(request: PageRequest) -> dict[str, Any]:
    live = list(live_uploads(request.company, LIVE_SHOWN + 1))
    return {
        "live": live[:LIVE_SHOWN],
        "more_live": len(live) > LIVE_SHOWN,
        "others": under_way(request.company) if request.actor.manages else [],
        "concerns": concerns(request.company, with_managed=request.actor.manages),
    }


def first_steps(request: PageRequest, accounts: list[VendorAccount]) -> list[dict[str, Any]]:
    """The way of a new company to its first upload; empty once that has been made."""
    if Upload.objects.visible_to(request.company).exists():
        return []
    made = Segment.objects.visible_to(request.company).exists()
    steps = [
        _step("Connect a vendor account", "Where your audiences are used.", "vendor_account_new", bool(accounts)),
        _step("Create a segment", "The audience, made at every vendor you choose.", "segment_new", made),
    ]
    if not request.actor.manages:
        theirs = {"url": None, "text": "A client success manager or an admin does that."}
        steps = [step | theirs for step in steps]
    return [*steps, _step("Upload its members", "A CSV file with one identifier in a row.", "upload", False)]


def _step(title: str, text: str, route: str, done: bool) -> dict[str, Any]:
    return {"title": title, "text": text, "url": reverse(route), "done": done}


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
