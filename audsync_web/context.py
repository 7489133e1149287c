"""What every whole page is given: the navigation, the person's companies, whether a worker lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from audsync_web.jobs.leases import workers_alive
from audsync_web.people.actors import Actor


@dataclass(frozen=True)
class Item:
    """One entry of the navigation. A route that does not exist is left out."""

    label: str
    route: str
    icon: str
    admin: bool = False
    group: str = ""
    manager: bool = False
    # Where the pages of single things lie that its list leads to.
    beside: str = ""


NAVIGATION = (
    Item("Overview", "overview", "layout-dashboard"),
    Item("Segments", "segments", "users-group"),
    Item("Upload", "upload", "cloud-upload"),
    Item("History", "history", "history", beside="/uploads"),
    Item("Vendor accounts", "vendor_accounts", "plug-connected", beside="/source-pulls"),
    Item("Identity", "identity", "fingerprint", manager=True),
    Item("Find and erase", "erase", "list-search", manager=True, beside="/erasures"),
    Item("API keys", "keys", "key", group="Administration"),
    Item("People", "people", "users", admin=True, group="Administration"),
    Item("Audit trail", "audit", "clipboard-list", admin=True, group="Administration"),
    Item("Company settings", "company_settings", "settings", admin=True, group="Administration"),
)


def page(request: HttpRequest) -> dict[str, Any]:
    """The context of base.html. `workers_missing` asks the database only where a template asks for it."""
    actor: Actor | None = getattr(request, "actor", None)
    return {
        "navigation": navigation(request.path, actor) if actor else [],
        "memberships": getattr(request, "memberships", []),
        "company": getattr(request, "company", None),
        "actor": actor,
        "workers_missing": lambda: actor is not None and not workers_alive(),
        "product_version": settings.VERSION,
        "home_url": url_or_none("overview"),
        "login_url": url_or_none("login"),
        "logout_url": url_or_none("logout"),
        "account_url": url_or_none("account"),
        "company_switch_url": url_or_none("company_switch"),
    }


def url_or_none(route: str) -> str | None:
    """The route's URL, None while nobody serves it."""
    try:
        return reverse(route)
    except NoReverseMatch:
        return None


def navigation(path: str, actor: Actor) -> list[dict[str, Any]]:
    """The entries this person may open; the one with the longest beginning of `path` is active."""
    open_to_them = [item for item in NAVIGATION if _may_open(item, actor)]
    shown = [(item, url_or_none(item.route)) for item in open_to_them]
    entries = [(item, url) for item, url in shown if url]
    fitting = [(len(start), url) for item, url in entries for start in (url, item.beside) if _covers(start, path)]
    here = max(fitting)[1] if fitting else None
    return [
        {"label": item.label, "url": url, "icon": item.icon, "group": item.group, "active": url == here}
        for item, url in entries
    ]


def _may_open(item: Item, actor: Actor) -> bool:
    return (actor.administers or not item.admin) and (actor.manages or not item.manager)


def _covers(url: str, path: str) -> bool:
    return path == url or (url not in {"", "/"} and path.startswith(url.rstrip("/") + "/"))
