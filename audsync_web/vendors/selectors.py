"""What the pages of vendor accounts read: lists with their pressure, quotas in use, the vendor's own history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Concat, Lower
from django.utils import timezone

from audsync_web.jobs.models import Quota
from audsync_web.people.models import Company

from .models import AccountStatus, VendorAccount

ORDERS: dict[str, tuple[str, ...]] = {
    "name": ("sort_name", "pk"),
    "-name": ("-sort_name", "-pk"),
    "vendor": ("vendor", "sort_name", "pk"),
    "-vendor": ("-vendor", "-sort_name", "-pk"),
    "created": ("created_at", "pk"),
    "-created": ("-created_at", "-pk"),
}
DEFAULT_ORDER = "name"
# The words of deliveries that have not ended (design section 4.6). Deliveries stand above this app and are reached
# through the account; an index begins with account and status.
OPEN_DELIVERIES = ("queued", "preparing", "staged", "sending", "submitted", "processing", "needs attention")
# A wait that is over before anybody could read about it is none.
WORTH_TELLING = timedelta(seconds=2)
# So are the places of single calls, where a vendor bounds how many are under way: a call is over in a moment.
PLACES = r":(call|aside):[0-9]+$"
# The parts of a quota key behind its scope, as people call what waits there.
GATE_NAMES = {
    "": "Requests",
    "requests": "Requests",
    "login": "Sign-ins",
    "read": "Reads",
    "write": "Writes",
    "upload": "Uploads",
    "distance": "Uploads",
    "crowded": "Uploads",
    "execution": "Executions",
    "batch": "Batches",
}


def with_pressure(accounts: QuerySet[VendorAccount]) -> QuerySet[VendorAccount]:
    """Accounts with `open_deliveries`, `busy_destinations` and, where the vendor asked for one, their pause.

    All of it in the one query that reads the accounts, so that a poll stays cheap.
    """
    now = timezone.now()
    delivering = VendorAccount.objects.filter(pk=OuterRef("pk"), deliveries__status__in=OPEN_DELIVERIES)
    working = VendorAccount.objects.filter(pk=OuterRef("pk"), destinations__next_action_at__isnull=False)
    # The scope itself, or a part of it: never the scope that merely begins with the same digits.
    within = Q(key=OuterRef("quota_scope")) | Q(key__startswith=Concat(OuterRef("quota_scope"), Value(":")))
    pauses = Quota.objects.filter(within, paused_until__gt=now).order_by("-paused_until")
    return accounts.annotate(
        sort_name=Lower("name"),
        open_deliveries=_count(delivering, "deliveries"),
        busy_destinations=_count(working, "destinations"),
        paused_until=Subquery(pauses.values("paused_until")[:1]),
        pause_reason=Subquery(pauses.values("pause_reason")[:1]),
    )


def _count(rows: QuerySet[VendorAccount], what: str) -> Coalesce:
    counted = rows.order_by().values("pk").annotate(n=Count(what)).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def accounts_of(company: Company, wanted: dict[str, Any]) -> QuerySet[VendorAccount]:
    """The company's accounts that fit a filter (`q`, `vendor`, `status`)."""
    rows: QuerySet[VendorAccount] = VendorAccount.objects.visible_to(company)
    if wanted.get("q"):
        rows = rows.filter(name__icontains=wanted["q"])
    if wanted.get("vendor"):
        rows = rows.filter(vendor=wanted["vendor"])
    if wanted.get("status"):
        rows = rows.filter(status=wanted["status"])
    return with_pressure(rows)


@dataclass(frozen=True)
class Standing:
    """An account's health in a status word of the badges, and the label people read."""

    word: str
    label: str = ""

    @property
    def moves(self) -> bool:
        """Whether it changes by itself within moments."""
        return self.word == "checking"


def standing(account: VendorAccount) -> Standing:
    """How the account stands. A check that failed for a passing reason is a warning and stops nothing."""
    if account.status == AccountStatus.NEEDS_ATTENTION:
        return Standing("needs attention")
    if account.status == AccountStatus.PAUSED:
        return Standing("paused")
    if account.is_leased or (account.checked_at is None and account.next_action_at is not None):
        return Standing("checking")
    if account.error_text:
        return Standing("warning", "Last check failed")
    return Standing("unchecked", "Not checked yet") if account.checked_at is None else Standing("healthy", "Working")


@dataclass(frozen=True)
class AccountRow:
    """One line of the list of accounts."""

    account: Any
    standing: Standing

    @property
    def jobs(self) -> int:
        """Deliveries and destinations that are under way."""
        return int(self.account.open_deliveries + self.account.busy_destinations)


def account_rows(accounts: Iterable[VendorAccount]) -> list[AccountRow]:
    """The lines of accounts that were read with their pressure."""
    return [AccountRow(account, standing(account)) for account in accounts]


@dataclass(frozen=True)
class QuotaUse:
    """A limit of the vendor that holds something back now."""

    what: str
    text: str
    until: datetime | None
    tone: str


def quotas_in_use(account: VendorAccount) -> list[QuotaUse]:
    """Pauses, gates held and slow paces in the account's quota scope, those that last longest first."""
    now = timezone.now()
    scope = account.quota_scope
    rows = quotas_within(scope).filter(
        Q(paused_until__gt=now) | Q(held_until__gt=now) | Q(next_free_at__gt=now + WORTH_TELLING)
    )
    uses = [_use(row, scope, now) for row in rows.exclude(key__regex=PLACES).order_by("key")[:100]]
    return sorted(uses, key=lambda use: use.until or now, reverse=True)


def quotas_within(scope: str) -> QuerySet[Quota]:
    """The scope itself and its parts: never a scope that merely begins with the same digits."""
    return Quota.objects.filter(Q(key=scope) | Q(key__startswith=f"{scope}:"))


def _use(row: Quota, scope: str, now: datetime) -> QuotaUse:
    what = _gate_name(row.key[len(scope) :].lstrip(":"))
    if row.paused_until is not None and row.paused_until > now:
        return QuotaUse(what, row.pause_reason or "The vendor asked for a pause.", row.paused_until, "paused")
    if row.holder and row.held_until is not None and row.held_until > now:
        return QuotaUse(what, "One is under way at the vendor, and it takes one at a time.", row.held_until, "sending")
    return QuotaUse(what, "Spaced out to the vendor's pace.", row.next_free_at, "queued")


def _gate_name(rest: str) -> str:
    if rest.startswith("segment:"):
        return f"Uploads to segment {rest.removeprefix('segment:')}"
    return GATE_NAMES.get(rest, rest.replace(":", " ").capitalize())


def destinations_of(account: VendorAccount, limit: int) -> Sequence[Any]:
    """The newest destinations that use the account, each with its segment; one more than `limit` when there are more.

    Segments stand above this app and are reached through the account.
    """
    rows = account.destinations.exclude(status="released").select_related("segment")
    return list(rows.order_by("-pk")[: limit + 1])


def accounts_beside(account: VendorAccount) -> QuerySet[VendorAccount]:
    """The company's accounts that write to the same profiles, itself among them: those of one quota scope."""
    return VendorAccount.objects.filter(
        company_id=account.company_id, vendor=account.vendor, quota_scope=account.quota_scope
    )


def has_destinations(account: VendorAccount) -> bool:
    """Whether segments use the account, so that it is paused rather than disconnected."""
    return bool(account.destinations.exclude(status="released").exists())


def deliveries_by_job(account: VendorAccount, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Our own deliveries by the vendor's job id: `upload`, `delivery`, and the `segment` with its `name`."""
    path = "destinations__deliveries"
    rows = VendorAccount.objects.filter(pk=account.pk, **{f"{path}__parts__job_id__in": list(job_ids)}).values(
        job=F(f"{path}__parts__job_id"),
        delivery=F(f"{path}__pk"),
        upload=F(f"{path}__upload_id"),
        segment=F("destinations__segment_id"),
        segment_name=F("destinations__segment__name"),
    )
    return {row["job"]: dict(row) for row in rows}
