"""Writes to the rows of parts: one statement each, made once; changes only while the delivery's lease is ours.

A delivery of many small parts is written to three times for each of them, and the vendor may answer faster than the ORM
puts a statement together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection, transaction

from audsync_web.jobs.leases import Lease, LeaseLost
from uploads.engine.parts import PartRange
from uploads.models import Delivery, Part

_FIELDS = {field.name: field for field in Part._meta.concrete_fields}


def insert_parts(delivery: Delivery, parts: Sequence[PartRange]) -> None:
    """Write the rows of planned parts; what planning does not know has its default."""
    blank = Part(delivery=delivery)
    columns = {f.name: _stored(f.name, getattr(blank, f.attname)) for f in _FIELDS.values() if not f.primary_key}
    ops = {part.ops: _stored("ops", [int(op) for op in part.ops]) for part in parts}
    rows = [[*{**columns, **_planned(part), "ops": ops[part.ops]}.values()] for part in parts]
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(_FIELDS[name].column)) for name in columns)
    places = ", ".join(["%s"] * len(columns))
    with transaction.atomic(), connection.cursor() as cursor:
        table = quote(Part._meta.db_table)
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)  # noqa: S608  # our own names


def _planned(part: PartRange) -> dict[str, int]:
    return {
        "number": part.number,
        "first_row": part.first_row,
        "last_row": part.last_row,
        "adds": part.adds,
        "removes": part.removes,
        "lines": part.lines,
        "bytes": part.bytes,
    }


def _stored(name: str, value: Any) -> Any:
    return _FIELDS[name].get_db_prep_save(value, connection)


def change_part(lease: Lease, part: Part, **values: Any) -> None:
    """Set these fields of a part and write those that differ from what it held. Raises as `write_part`."""
    before = {name: getattr(part, name) for name in values}
    changed = [name for name, value in values.items() if before[name] != value]
    if not changed:
        return
    try:
        _set(part, values)
        write_part(lease, part, changed)
    except Exception:
        _set(part, before)  # what was not written is to be written yet
        raise


def _set(part: Part, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(part, name, value)


def write_part(lease: Lease, part: Part, names: Sequence[str]) -> None:
    """Write these fields of a part as they stand. Raises `LeaseLost` when its delivery is not ours any more."""
    lease.check()
    values = [_stored(name, getattr(part, _FIELDS[name].attname)) for name in names]
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
