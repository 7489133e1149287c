"""Pages of removals and erasures: the list of an account's, and the receipt of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import islice
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, is_fragment, page_url
from audsync_web.keyset import CursorInvalid, keyset_slice
from audsync_web.people.access import page
from audsync_web.people.models import AuditEntry

from .identity_frame import frame, governed, is_governing
from .models import VendorAccount
from .removals import (
    ERASE_PROFILE,
    GONE,
    LOST,
    NOTHING,
    OUTCOMES,
    REFUSED,
    REMOVE_IDENTITY,
    REMOVED,
    STILL,
    Receipt,
    receipts,
    removals_of,
    with_outcome,
)

ROWS_A_PAGE = 50
LONGEST_SEARCH = 100
EXPORT_HEADER = ("receipt", "begun", "who", "identifier", "value (masked)", "found", "outcome", "changed", "left")
ROWS_A_QUERY = 200


@dataclass(frozen=True)
class Wording:
    """An outcome as people read it: the badge's status word and label, and a sentence."""

    word: str
    label: str
    text: str


def wording(receipt: Receipt, *, erasing: bool) -> Wording:
    """How a removal stands, in words."""
    found = wording_of(receipt.outcome, erasing=erasing)
    if receipt.outcome == REMOVED and receipt.left is None:
        return Wording("completed", found.label, "The vendor said that it is done.")
    return found


def wording_of(outcome: str, *, erasing: bool) -> Wording:
    """An outcome in words."""
    what = "profile" if erasing else "identifier"
    gone = "The profile no longer exists." if erasing else "Nobody has the identifier any more."
    words = {
        REMOVED: Wording("completed", "Erased" if erasing else "Removed", gone),
        STILL: Wording(
            "needs attention",
            "Still there",
            "The vendor answered that it is done, and the look-up right afterwards still found it.",
        ),
        NOTHING: Wording("superseded", "Nothing there", f"Nobody had the {what}, so nothing was sent."),
        GONE: Wording("completed", "Gone", f"The vendor's answer was lost. A look-up right afterwards: {gone.lower()}"),
        LOST: Wording("needs attention", "Not known", "The vendor's answer was lost. It may have been done or not."),
        REFUSED: Wording("failed", "Refused", "The vendor refused, and nothing was done."),
        "running": Wording("processing", "Under way", "The vendor has been asked; its answer is on the way."),
    }
    return words.get(outcome, words[LOST])


def told(receipt: Receipt, account: VendorAccount) -> tuple[str, int]:
    """What the page says right after, and how loudly."""
    erasing = not is_governing(account)
    text = wording(receipt, erasing=erasing).text
    levels = {REMOVED: messages.SUCCESS, GONE: messages.SUCCESS, NOTHING: messages.INFO}
    return text, levels.get(receipt.outcome, messages.WARNING)


def _action(account: VendorAccount) -> str:
    return REMOVE_IDENTITY if is_governing(account) else ERASE_PROFILE


def _entries(request: PageRequest, account: VendorAccount) -> QuerySet[AuditEntry]:
    """The account's removals that fit the search and the outcome."""
    action = _action(account)
    found = removals_of(account, action)
    text = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    if text:
        found = found.filter(Q(who__icontains=text) | Q(detail__identifier__icontains=text))
    outcome = request.GET.get("outcome", "")
    return with_outcome(found, account, action, outcome) if outcome in OUTCOMES else found


def _order(request: PageRequest) -> tuple[str]:
    return ("pk",) if request.GET.get("sort") == "time" else ("-pk",)


def _lines(found: list[Receipt], account: VendorAccount) -> list[tuple[Receipt, Wording]]:
    erasing = not is_governing(account)
    return [(receipt, wording(receipt, erasing=erasing)) for receipt in found]


@page(needs="manager")
def identity_removals(request: PageRequest, pk: int) -> HttpResponseBase:
    """What was removed at an account, newest first, with the vendor's counts."""
    account = governed(request, pk)
    try:
        found = keyset_slice(
            _entries(request, account), order=_order(request), limit=ROWS_A_PAGE, cursor=request.GET.get("cursor")
        )
    except CursorInvalid:
        raise Http404 from None
    context: dict[str, Any] = {
        "account": account,
        "erasing": not is_governing(account),
        "lines": _lines(receipts(found.rows), account),
        "filtered": bool(request.GET.get("q") or request.GET.get("outcome")),
        "outcomes": [(key, wording_of(key, erasing=not is_governing(account)).label) for key in OUTCOMES],
        "older_url": page_url(request, found.older),
        "newer_url": page_url(request, found.newer),
    }
    if is_fragment(request):
        return render(request, "identity/_removal_rows.html", context)
    export, query = reverse("identity_removals_export", args=[account.pk]), request.GET.urlencode()
    context |= {"export_url": f"{export}?{query}" if query else export}
    return render(request, "identity/removals.html", context | frame(request, account, "identity_removals"))


@page(needs="manager")
def identity_removals_export(request: PageRequest, pk: int) -> HttpResponseBase:
    """The removals that fit, as CSV, values masked."""
    account = governed(request, pk)
    return csv_response(
        "removals.csv", EXPORT_HEADER, _export_rows(_entries(request, account).order_by(*_order(request)))
    )


def _export_rows(entries: QuerySet[AuditEntry]) -> Iterator[tuple[Any, ...]]:
    rows = entries.iterator(chunk_size=ROWS_A_QUERY)
    while block := list(islice(rows, ROWS_A_QUERY)):
        for one in receipts(block):
            at = one.entry.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            told_by = (one.outcome, one.changed, one.left)
            yield (one.number, at, one.entry.who, one.name, one.value, one.found, *told_by)


@page(needs="manager")
def identity_receipt(request: PageRequest, pk: int, number: int) -> HttpResponseBase:
    """The receipt of one removal: who, when, what (masked), what the vendor said, and the look-up afterwards."""
    account = governed(request, pk)
    entry = removals_of(account, _action(account)).filter(pk=number).first()
    if entry is None:
        raise Http404
    receipt = receipts([entry])[0]
    erasing = not is_governing(account)
    context = {"receipt": receipt, "wording": wording(receipt, erasing=erasing), "erasing": erasing, "lost": LOST}
    return render(request, "identity/receipt.html", context | frame(request, account, "identity_removals"))
