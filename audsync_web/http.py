"""Typed requests and small helpers of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from audsync_web.people.actors import Actor
    from audsync_web.people.models import Company, Membership


class PageRequest(HttpRequest):
    """A request of a logged-in person who stands in one company."""

    htmx: HtmxDetails
    actor: Actor
    company: Company
    memberships: list[Membership]


def is_fragment(request: HttpRequest) -> bool:
    """Whether only a part of the page is wanted: an htmx request that is neither boosted nor a history restore."""
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    return htmx is not None and bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def toast(response: HttpResponse, text: str, tone: str = "success") -> HttpResponse:
    """Let the page show a short note after the swap."""
    detail: dict[str, Any] = {"message": text, "tone": tone}
    return trigger_client_event(response, "toast", detail)


def client_address(request: HttpRequest) -> str | None:
    """The address the request came from."""
    return request.META.get("REMOTE_ADDR") or None


def go_to(request: HttpRequest, url: str, text: str = "", *, level: int = messages.SUCCESS) -> HttpResponseBase:
    """After a change: say so, and go where its result is seen, whether htmx or the browser asked."""
    if text:
        messages.add_message(request, level, text)
    return HttpResponseClientRedirect(url) if is_fragment(request) else redirect(url)


def page_url(request: HttpRequest, cursor: str | None) -> str:
    """This list at `cursor`, its filter and order kept; empty where there is no such page."""
    if cursor is None:
        return ""
    query = request.GET.copy()
    query["cursor"] = cursor
    return f"{request.path}?{query.urlencode()}"
