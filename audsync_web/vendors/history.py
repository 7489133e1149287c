"""The vendor's own list of what it received, beside our deliveries. Asked live, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .asking import asking
from .connectors.base import HistoryEntry, SegmentRef
from .connectors.errors import ConnectorError, NotSupported
from .models import VendorAccount
from .selectors import deliveries_by_job

ENTRIES_A_PAGE = 25
# Vendors page from the front, so a deep page costs all before it.
LAST_PAGE = 20


@dataclass(frozen=True)
class HistoryLine:
    """One job as the vendor lists it, and our delivery that it belongs to; None where it is not ours."""

    entry: HistoryEntry
    ours: dict[str, Any] | None


@dataclass(frozen=True)
class HistoryPage:
    """A page of the vendor's list, newest first; `error` says why there is none."""

    lines: Sequence[HistoryLine] = ()
    page: int = 1
    has_older: bool = False
    destination: Any = None
    error: ConnectorError | None = None


def vendor_history(account: VendorAccount, destination: Any, page: int) -> HistoryPage:
    """Ask the vendor for page `page` (1 is the newest) of a destination's jobs, or of the account's without one.

    A vendor that lists one segment at a time is asked for the newest destination's.
    """
    try:
        return _ask(account, destination, page)
    except NotSupported as error:
        newest = None if destination else account.destinations.exclude(remote_id="").order_by("-pk").first()
        if newest is None:
            return HistoryPage(page=page, destination=destination, error=None if not destination else error)
        return vendor_history(account, newest, page)
    except ConnectorError as error:
        return HistoryPage(page=page, destination=destination, error=error)


def _ask(account: VendorAccount, destination: Any, page: int) -> HistoryPage:
    segment: SegmentRef | None = destination.ref() if destination else None
    start = (page - 1) * ENTRIES_A_PAGE
    with asking(account) as connector:
        found = list(islice(connector.history(segment), start, start + ENTRIES_A_PAGE + 1))
    entries = found[:ENTRIES_A_PAGE]
    ours = deliveries_by_job(account, [entry.job_id for entry in entries])
    lines = [HistoryLine(entry, ours.get(entry.job_id)) for entry in entries]
    return HistoryPage(lines, page, len(found) > ENTRIES_A_PAGE and page < LAST_PAGE, destination)
