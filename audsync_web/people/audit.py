"""The audit trail's one way in."""

from __future__ import annotations

from typing import Any

from django.db import models

from .actors import Actor
from .models import AuditEntry


def record(actor: Actor, action: str, target: models.Model, *, name: str = "", **detail: Any) -> AuditEntry:
    """Write who did what to `target`, in the caller's transaction.

    `action` is a dotted word (`segment.publish`); `detail` holds changed fields and counts, never a secret and never
    an identifier of a person in an audience.
    """
    return AuditEntry.objects.create(
        company=actor.company,
        user=actor.user,
        who=actor.who,
        via=actor.via,
        address=actor.address,
        action=action,
        object_type=target._meta.model_name or "",
        object_id=str(target.pk),
        object_name=(name or str(target))[:200],
        detail=detail,
    )
