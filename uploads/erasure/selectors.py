"""The erasures of a company, by status and by what a person types to find one."""

from __future__ import annotations

import re
import uuid

from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

from audsync_web.people.models import Company
from audsync_web.vendors.connectors.identifiers import KINDS
from uploads.models import Erasure

SHORT_ID = re.compile(r"[0-9a-f]{4,8}")


def erasures_of(company: Company, *, status: str = "", text: str = "") -> QuerySet[Erasure]:
    """The company's erasures of one status, and those that a text finds: by who asked, number or kind of identifier."""
    rows: QuerySet[Erasure] = Erasure.objects.visible_to(company).select_related("asked_by")
    rows = rows.filter(status=status) if status else rows
    if not text:
        return rows
    numbered = rows.annotate(number=Cast("id", CharField()))
    return numbered.filter(asked_by(text) | _is_number(text) | _is_of_kind(text))


def asked_by(text: str) -> Q:
    """Rows that somebody asked for whose name or address holds the text."""
    return Q(asked_by__email__icontains=text) | Q(asked_by__name__icontains=text)


def _is_of_kind(text: str) -> Q:
    """Erasures of a kind of identifier, by its name on the pages."""
    found = Q(pk__in=[])
    for key, kind in KINDS.items():
        if text.lower() in kind.label.lower():
            found |= Q(kinds__icontains=f'"{key}"')
    return found


def _is_number(text: str) -> Q:
    """An erasure's number, whole or as lists show it."""
    given = text.lower().removeprefix("erasure").strip()
    try:
        return Q(pk=uuid.UUID(given))
    except ValueError:
        return Q(number__istartswith=given) if SHORT_ID.fullmatch(given) else Q(pk__in=[])
