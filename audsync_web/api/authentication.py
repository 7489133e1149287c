"""Bearer tokens, of logins and of API keys alike: they name a person and the one company they act in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from audsync_web.http import client_address
from audsync_web.people.actors import Actor
from audsync_web.people.models import User
from audsync_web.people.tokens import bearer_actor, bearer_find

REALM = 'Bearer realm="AudSync"'
REFUSED = "The token is wrong or has ended. Log in again."


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer …`. `request.auth` becomes the `Actor`, on Django's request as `actor` too."""

    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        """The person and actor; None without the header; 401 for a wrong token."""
        actor = actor_from_header(request._request)
        if actor is None or actor.user is None:
            return None
        carrier: Any = request._request
        carrier.actor, carrier.company = actor, actor.company
        return actor.user, actor

    def authenticate_header(self, request: Request) -> str:
        """What a 401 says in WWW-Authenticate."""
        return REALM


def actor_from_header(request: HttpRequest) -> Actor | None:
    """Who the request's bearer token stands for; None without one. Raises `AuthenticationFailed`."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    bearer = bearer_find(secret.strip())
    if bearer is None:
        raise AuthenticationFailed(REFUSED)
    return bearer_actor(bearer, client_address(request))
