"""Writes to the rows of parts: one statement each, made once, and only while the delivery's lease is ours.

A delivery of many small parts is written to twice for each of them, and the vendor may answer faster than the ORM puts
an UPDATE together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db import connection

from audsync_web.jobs.leases import Lease, LeaseLost
from uploads.models import Delivery, Part

_FIELDS = {field.name: field for field in Part._meta.concrete_fields}


def change_part(lease: Lease, part: Part, **values: Any) -> None:
    """Set these fields of a part and write those that differ from what it held. Raises as `write_part`."""
    changed = [name for name, value in values.items() if getattr(part, name) != value]
    for name in changed:
        setattr(part, name, values[name])
    if changed:
        write_part(lease, part, changed)


def write_part(lease: Lease, part: Part, names: Sequence[str]) -> None:
    """Write these fields of a part as they stand. Raises `LeaseLost` when its delivery is not ours any more."""
    lease.check()
    fields = [_FIELDS[name] for name in names]
    values = [field.get_db_prep_save(getattr(part, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(_statement(connection.vendor, tuple(names)), [*values, part.pk, part.delivery_id, lease.owner])
        if not cursor.rowcount:
            lease.lost = True
            raise LeaseLost(f"part {part.pk}")


@lru_cache(maxsize=64)
def _statement(_vendor: str, names: tuple[str, ...]) -> str:
    quote = connection.ops.quote_name
    columns = ", ".join(f"{quote(str(_FIELDS[name].column))} = %s" for name in names)
    parts, deliveries = quote(Part._meta.db_table), quote(Delivery._meta.db_table)
    held = f"EXISTS (SELECT 1 FROM {deliveries} WHERE id = %s AND lease_owner = %s)"  # noqa: S608  # our own names
    return f"UPDATE {parts} SET {columns} WHERE id = %s AND {held}"  # noqa: S608  # our own names
