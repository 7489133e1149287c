"""`manage.py reseal`: after a new encryption key was put first, seal everything with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models
from django.db.models.functions import Cast

from audsync_web.crypto import SealBroken, SealedJSONField, reseal

RAW = "sealed_text"


class Command(BaseCommand):
    """Re-seal every sealed value with the first of AUDSYNC_ENCRYPTION_KEYS."""

    help = "Seal every stored credential and token with the first of AUDSYNC_ENCRYPTION_KEYS (key rotation)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through every table with sealed columns; rows that no key opens are named and left as they are."""
        broken: list[str] = []
        total = 0
        for model, field in sealed_fields():
            count, failed = reseal_column(model, field)
            total += count
            broken += failed
            self.stdout.write(f"{model._meta.label} {field}: {count} resealed")
        if broken:
            raise CommandError("No key opens these rows; they are left as they are: " + ", ".join(broken))
        self.stdout.write(f"{total} values are sealed with the first key. The other keys may go.")


def sealed_fields() -> Iterator[tuple[type[models.Model], str]]:
    """Every sealed column of every app."""
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if isinstance(field, SealedJSONField):
                yield model, field.name


def reseal_column(model: type[models.Model], field: str) -> tuple[int, list[str]]:
    """Re-seal one column row by row, without unsealing it into memory. The count, and the rows that no key opens."""
    rows = model._default_manager.annotate(**{RAW: Cast(field, models.TextField())})
    count, broken = 0, []
    for pk, raw in rows.filter(**{f"{RAW}__isnull": False}).values_list("pk", RAW).iterator(chunk_size=500):
        try:
            fresh = reseal(raw)
        except SealBroken:
            broken.append(f"{model._meta.label} {pk}")
            continue
        # Only if nobody has changed it meanwhile: what they wrote is sealed with the first key anyway.
        value = models.Value(fresh, output_field=models.TextField())
        count += rows.filter(pk=pk, **{RAW: raw}).update(**{field: value})
    return count, broken
