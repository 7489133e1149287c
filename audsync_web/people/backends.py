"""How a logged-in person is loaded."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend

from .models import Membership, User


class PeopleBackend(ModelBackend):
    """Django's own password check; a session's person comes with the memberships in one query, for quick polls."""

    def get_user(self, user_id: int) -> User | None:
        """The active person with that id, `memberships` and their companies already loaded."""
        found = list(Membership.objects.filter(user_id=user_id).select_related("user", "company").order_by("pk"))
        user = found[0].user if found else User.objects.filter(pk=user_id).first()
        if user is None or not user.is_active:
            return None
        carrier: Any = user
        carrier.known_memberships = found
        return user
