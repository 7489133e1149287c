"""The project itself as an app: commands, template tags, start-up checks, how the database server is to work."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class AudsyncWebConfig(AppConfig):
    """Registers the start-up checks."""

    name = "audsync_web"
    label = "audsync_web"

    def ready(self) -> None:
        # Registered by being imported; here and not in the package, for the engine is used without Celery.
        from audsync_web import celery, checks  # noqa: F401
        from audsync_web.plain_words import use_plain_words

        use_plain_words()
        connection_created.connect(compile_no_queries, dispatch_uid="audsync.compile_no_queries")


def compile_no_queries(connection: Any, **_: Any) -> None:
    """PostgreSQL would spend half a second on compiling a query of which one page of rows is read in a millisecond."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")
