"""What waits for a person, and what is under way besides uploads: of all kinds of jobs, in one query a list."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import CharField, F, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, NullIf
from django.urls import reverse

from audsync_web.people.models import Company
from audsync_web.vendors.connectors.registry import connector_class
from audsync_web.vendors.models import AccountStatus, VendorAccount
from segments.models import Destination, DestinationStatus
from uploads.models import Delivery, DeliveryStatus, Erasure, ErasureStatus, PullStatus, SourcePull

MOST_SHOWN = 20
# The page of each kind of thing, and whether its key is a UUID, which databases write in ways of their own.
PAGES = {
    "vendor account": ("vendor_account", False),
    "segment": ("segment", False),
    "delivery": ("upload_one", True),
    "reading a segmentation": ("source_pull", True),
    "erasure": ("erasure", True),
}
_COLUMNS = ("what", "key", "name", "where", "reason", "next_step", "since")


@dataclass(frozen=True)
class Concern:
    """Something that waits for a person or is under way: what it is, why, what to do, where, since when."""

    what: str
    name: str
    where: str
    reason: str
    next_step: str
    url: str
    since: datetime


def concerns(company: Company, *, with_managed: bool) -> list[Concern]:
    """What waits for a person, the newest first. `with_managed`: also what client success managers alone may open."""
    kinds = [_accounts(company), _destinations(company), _deliveries(company)]
    if with_managed:
        kinds += [_pulls(company, PullStatus.NEEDS_ATTENTION), _erasures(company, ErasureStatus.NEEDS_ATTENTION)]
    return _newest(kinds)


def under_way(company: Company) -> list[Concern]:
    """Segmentations that are read and erasures that run, the newest first: jobs of client success managers."""
    running = (PullStatus.QUEUED, PullStatus.RUNNING)
    return _newest([_pulls(company, *running), _erasures(company, ErasureStatus.RUNNING)])


def _newest(kinds: list[QuerySet[Any]]) -> list[Concern]:
    rows = kinds[0].union(*kinds[1:], all=True).order_by("-c_since")[:MOST_SHOWN]
    return [_concern(dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _accounts(company: Company) -> QuerySet[Any]:
    rows = VendorAccount.objects.filter(company=company, status=AccountStatus.NEEDS_ATTENTION).order_by()
    return _as_concern(rows, "vendor account", key="pk", name=F("name"), where=F("vendor"))


def _destinations(company: Company) -> QuerySet[Any]:
    stopped = (DestinationStatus.NEEDS_ATTENTION, DestinationStatus.FAILED)
    rows = Destination.objects.current().filter(segment__company=company, status__in=stopped).order_by()
    name, where = F("segment__name"), F("vendor_account__name")
    return _as_concern(rows, "segment", key="segment_id", name=name, where=where)


def _deliveries(company: Company) -> QuerySet[Any]:
    rows = Delivery.objects.visible_to(company).filter(status=DeliveryStatus.NEEDS_ATTENTION).order_by()
    name, where = F("destination__segment__name"), F("destination__vendor_account__name")
    return _as_concern(rows, "delivery", key="upload_id", name=name, where=where)


def _pulls(company: Company, *statuses: PullStatus) -> QuerySet[Any]:
    rows = SourcePull.objects.visible_to(company).filter(status__in=statuses).order_by()
    name, where = F("segment__name"), F("vendor_account__name")
    return _as_concern(rows, "reading a segmentation", key="pk", name=name, where=where)


def _erasures(company: Company, status: ErasureStatus) -> QuerySet[Any]:
    rows = Erasure.objects.visible_to(company).filter(status=status).order_by()
    name, where = _words("Erasure of a person"), _words("at every vendor")
    told = NullIf(F("error_text"), Value("", output_field=TextField()))
    reason = Coalesce(told, Value("Some of its steps have failed.", output_field=TextField()))
    return _as_concern(rows, "erasure", key="pk", name=name, where=where, reason=reason)


def _words(text: str) -> Value:
    return Value(text, output_field=CharField())


def _as_concern(
    rows: QuerySet[Any], what: str, *, key: str, name: Any, where: Any, reason: Any = None
) -> QuerySet[Any]:
    columns = {
        "c_what": _words(what),
        "c_key": Cast(key, CharField()),
        "c_name": name,
        "c_where": where,
        "c_reason": reason or F("error_text"),
        "c_step": F("next_step"),
        "c_since": F("updated_at"),
    }
    told: QuerySet[Any] = rows.annotate(**columns).values_list(*columns)
    return told


def _concern(row: dict[str, Any]) -> Concern:
    route, is_uuid = PAGES[row["what"]]
    key = uuid.UUID(row["key"]) if is_uuid else row["key"]
    where = connector_class(row["where"]).label if route == "vendor_account" else row["where"]
    return Concern(
        row["what"],
        row["name"],
        where,
        row["reason"] or "It stopped.",
        row["next_step"],
        reverse(route, args=[key]),
        row["since"],
    )
