"""What all identity pages share: the account one is at, what there is to do there, the switch to other accounts."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from audsync_web.http import PageRequest
from audsync_web.people.access import get_visible_or_404

from .connectors.source import ProfileConnector
from .identity import identity_accounts
from .models import VendorAccount
from .profiles import profile_accounts

MOST_IN_SWITCH = 50


def governed_accounts(request: PageRequest) -> QuerySet[VendorAccount]:
    """The company's accounts that have an identity page, those that govern identifiers first."""
    return (identity_accounts(request.company) | profile_accounts(request.company)).order_by("vendor", "name", "pk")


def governing(request: PageRequest, pk: int) -> VendorAccount:
    """An account whose vendor governs identifiers, else 404."""
    return get_visible_or_404(identity_accounts(request.company), request.company, pk=pk)


def profiling(request: PageRequest, pk: int) -> VendorAccount:
    """An account whose vendor keeps profiles, else 404."""
    return get_visible_or_404(profile_accounts(request.company), request.company, pk=pk)


def governed(request: PageRequest, pk: int) -> VendorAccount:
    """An account with an identity page of either sort, else 404."""
    return get_visible_or_404(governed_accounts(request), request.company, pk=pk)


def is_governing(account: VendorAccount) -> bool:
    """Whether the account's vendor governs identifiers; else it keeps profiles."""
    return account.connector.capabilities.identity


def has_page(account: VendorAccount) -> bool:
    """Whether the account has an identity page of either sort."""
    return is_governing(account) or issubclass(account.connector, ProfileConnector)


def home_of(account: VendorAccount) -> str:
    """The first page of an account."""
    return reverse("identity_look_up" if is_governing(account) else "profile", args=[account.pk])


def frame(request: PageRequest, account: VendorAccount, here: str) -> dict[str, Any]:
    """The context of every page of an account; `here` is the route of the tab one is on."""
    return {
        "account": account,
        "tabs": _tabs(account, here),
        "switch": [
            {"account": other, "url": home_of(other), "active": other.pk == account.pk}
            for other in governed_accounts(request)[:MOST_IN_SWITCH]
        ],
    }


def _tabs(account: VendorAccount, here: str) -> list[dict[str, Any]]:
    if is_governing(account):
        pages = [("Look up", "identity_look_up"), ("Filters", "identity_filters"), ("Removals", "identity_removals")]
    else:
        pages = [("Look up", "profile"), ("Erasures", "identity_removals")]
    return [
        {"label": label, "url": reverse(route, args=[account.pk]), "active": route == here} for label, route in pages
    ]
