"""Searching for a part of a name in very many rows, where the database has an index for it (PostgreSQL's pg_trgm).

SQLite reads such names from an index of its own accord, which is quick enough for what is kept on one machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, transaction

logger = logging.getLogger(__name__)


def index_names(name: str, table: str, column: str) -> Callable[[Any, Any], None]:
    """A migration's step that makes the index `name`, by which `icontains` finds a part of a column.

    Without the right to add the extension there is none, and a search reads every name.
    """

    def step(_: Any, schema_editor: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor != "postgresql":
            return
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
                cursor.execute(f"CREATE INDEX {name} ON {table} USING gin (UPPER({column}) gin_trgm_ops)")
        except DatabaseError:
            logger.warning(
                "pg_trgm could not be added to the database, so searching by name will be slow. Have its owner run: "
                "CREATE EXTENSION pg_trgm; CREATE INDEX %s ON %s USING gin (UPPER(%s) gin_trgm_ops);",
                name, table, column,
            )  # fmt: skip

    return step


def drop_index(name: str) -> Callable[[Any, Any], None]:
    """The way back."""

    def step(_: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")

    return step
