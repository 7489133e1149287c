"""Puts the acting person, the company they stand in and their companies on every request of a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from audsync_web import errors
from audsync_web.http import client_address

from .actors import Actor, NotAllowed
from .models import Membership, Role, User

SESSION_COMPANY = "company"


class ActorMiddleware:
    """`request.actor`, `request.company` and `request.memberships` for people who are logged in.

    They are None and empty for others, for people in no company, and on API paths, where a bearer token decides.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        carrier: Any = request
        carrier.actor, carrier.company, carrier.memberships = None, None, []
        # A cookie is looked at only where one was sent: a health check or an API call costs no query here.
        if not errors.is_api(request) and request.user.is_authenticated:
            place(request, request.user)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer 403 for what a person may see and not do, on any view."""
        return errors.not_allowed(request, exception) if isinstance(exception, NotAllowed) else None


def place(request: HttpRequest, user: User) -> None:
    """Let `user` stand in the company the session names, else in the first of theirs."""
    carrier: Any = request
    memberships = memberships_of(user)
    carrier.memberships = memberships
    wanted = request.session.get(SESSION_COMPANY)
    standing = next((m for m in memberships if m.company.slug == wanted), memberships[0] if memberships else None)
    if standing is not None:
        carrier.company = standing.company
        carrier.actor = Actor(
            company=standing.company,
            role=Role(standing.role),
            user=user,
            via="page",
            address=client_address(request),
        )


def memberships_of(user: User) -> list[Membership]:
    """The person's memberships, oldest first; those that were loaded with the session when they are there."""
    known: list[Membership] | None = getattr(user, "known_memberships", None)
    if known is not None:
        return known
    return list(user.memberships.select_related("company").order_by("pk"))
