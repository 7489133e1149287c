"""Who is acting: every service takes an `Actor`, which carries the company, the role and what the audit trail needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .models import Company, Role, User

Via = Literal["page", "api", "command", "system"]


class NotAllowed(Exception):
    """The person may see it but not do that: 403 on page and API alike."""


@dataclass(frozen=True)
class Actor:
    """A person in one company, or the product itself (`user` None) acting for a company."""

    company: Company
    role: Role
    user: User | None = None
    via: Via = "system"
    address: str | None = None

    @property
    def who(self) -> str:
        """How the audit trail names the actor."""
        return self.user.email if self.user else f"AudSync ({self.via})"

    @property
    def manages(self) -> bool:
        """Whether segments, vendor accounts and identity may be changed."""
        return self.role in {Role.MANAGER, Role.ADMIN}

    @property
    def administers(self) -> bool:
        """Whether people, keys, audit and retention are open."""
        return self.role == Role.ADMIN

    def require_manager(self) -> None:
        """Raise `NotAllowed` for marketers."""
        if not self.manages:
            raise NotAllowed("Only client success managers and admins may do that.")

    def require_admin(self) -> None:
        """Raise `NotAllowed` for all but admins."""
        if not self.administers:
            raise NotAllowed("Only admins may do that.")

    def may_handle(self, owner_id: int | None) -> bool:
        """Whether something that belongs to `owner_id` may be cancelled or retried: one's own, or any for managers."""
        return self.manages or (self.user is not None and self.user.pk == owner_id)


def system_actor(company: Company, via: Via = "system") -> Actor:
    """The product acting for a company, as beat tasks and commands do."""
    return Actor(company=company, role=Role.ADMIN, via=via)
