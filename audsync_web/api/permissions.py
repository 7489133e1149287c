"""Roles on the API. What is outside the company is 404, by the querysets; these answer 403 inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from audsync_web.people.actors import Actor

if TYPE_CHECKING:
    # These classes are loaded while rest_framework.views itself is.
    from rest_framework.views import APIView


def acting(request: Request) -> Actor | None:
    """Who acts; None without a valid token."""
    return request.auth if isinstance(request.auth, Actor) else None


class InCompany(BasePermission):
    """Somebody who acts in a company: every role."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether a valid token came along."""
        return acting(request) is not None


class ManagerWrites(InCompany):
    """Every role reads; managers and admins write. Raises `NotAllowed`, 403."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether a valid token came along, of a role that may do this."""
        actor = acting(request)
        if actor is not None and request.method not in SAFE_METHODS:
            actor.require_manager()
        return actor is not None


class Manager(InCompany):
    """Managers and admins only, reading too. Raises `NotAllowed`, 403."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether a valid token of a manager or admin came along."""
        actor = acting(request)
        if actor is not None:
            actor.require_manager()
        return actor is not None
