"""The audit trail's one way in."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.apps import apps
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


def object_word(entry: AuditEntry) -> str:
    """What kind of thing an entry is about, in the words of the pages (`vendor account`, `person`)."""
    return _OBJECT_WORDS.get(entry.object_type) or _verbose_names().get(entry.object_type, entry.object_type)


_OBJECT_WORDS = {"user": "person"}


@cache
def _verbose_names() -> dict[str, str]:
    return {model._meta.model_name or "": str(model._meta.verbose_name) for model in apps.get_models()}


def detail_lines(entry: AuditEntry) -> list[tuple[str, str]]:
    """What an entry's detail says, a name and a text a line: a change as `30 → 7`, a list with commas."""
    lines: list[tuple[str, str]] = []
    for name, value in entry.detail.items():
        if isinstance(value, dict):
            lines += [(key, _change(inner)) for key, inner in value.items()]
        else:
            lines.append((name, _change(value) if name in _PAIRS else _text(value)))
    return lines


_PAIRS = {"role"}


def _change(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2:
        return f"{_text(value[0])} → {_text(value[1])}"
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return str(value)
