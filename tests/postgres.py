"""A PostgreSQL database of a test's own, and threads of this process that work on it instead of on SQLite.

Only there can two transactions write at the same time: what must not happen twice is tried there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dj_database_url
import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections

from tests.reachable import DATABASE_URL

PATIENCE = 60.0


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a PostgreSQL database of this test's own."""
    name = f"audsync_test_{os.getpid()}"
    with psycopg.connect(DATABASE_URL, autocommit=True) as link:
        link.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        link.execute(f'CREATE DATABASE "{name}"')
    yield urlunsplit(urlsplit(DATABASE_URL)._replace(path=f"/{name}"))
    with psycopg.connect(DATABASE_URL, autocommit=True) as link:
        link.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class OnPostgres:
    """Runs functions at the same time, each in a thread whose default database is the PostgreSQL one."""

    def __init__(self, url: str) -> None:
        self._url = url

    def together(self, *acts: Callable[[], Any]) -> list[Any]:
        """What each of them returned or raised, in order."""
        found: list[Any] = [None] * len(acts)

        def run(number: int, act: Callable[[], Any]) -> None:
            made = self._connection()
            connections["default"] = made
            try:
                found[number] = act()
            except Exception as error:
                found[number] = error
            finally:
                made.close()

        threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(acts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads), "a thread never came back"
        return found

    def run(self, act: Callable[[], Any]) -> Any:
        """What it returns; raises what it raises."""
        (found,) = self.together(act)
        if isinstance(found, Exception):
            raise found
        return found

    def _connection(self) -> Any:
        settings = connections.configure_settings({"default": dict(dj_database_url.parse(self._url))})
        from django.db.backends.postgresql.base import DatabaseWrapper

        return DatabaseWrapper(settings["default"], "default")


def wait_until_somebody_waits() -> None:
    """Until another transaction waits for this one."""
    until = time.monotonic() + PATIENCE / 4
    while not _somebody_waits():
        assert time.monotonic() < until, "nobody asked"
        time.sleep(0.02)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


@pytest.fixture
def on_postgres(database: str, django_db_blocker: Any) -> OnPostgres:
    """Threads on a PostgreSQL database whose tables are made."""
    found = OnPostgres(database)
    with django_db_blocker.unblock():
        found.run(lambda: call_command("migrate", verbosity=0))
    return found
