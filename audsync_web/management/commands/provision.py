"""`manage.py provision`: companies, people and vendor accounts from a file."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from audsync_web.provisioning import ProvisionRefused, carry_out, read_plan


class Command(BaseCommand):
    """Make the database what the file says; a line on standard output for each thing made or changed."""

    help = "Make companies, people and vendor accounts what a JSON file says. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file."""
        parser.add_argument("file", metavar="FILE", help="the JSON file; - reads standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the whole file, then do all of it or nothing."""
        text = _read(options["file"])
        prepare_database()
        try:
            lines = carry_out(read_plan(text, os.environ))
        except ProvisionRefused as refused:
            faults = "\n".join(f"  {fault}" for fault in refused.faults)
            raise CommandError(f"Nothing was changed. What to mend in the file:\n{faults}") from None
        for line in lines:
            self.stdout.write(line)
        if not lines:
            self.stderr.write("Everything is so already.")


def _read(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name} is not UTF-8 text.") from None


def prepare_database() -> None:
    """Bring the embedded database up to date; a server's database is its operator's matter."""
    if queue := settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("data_folder_out"):
        # Before the first start of the service nobody has made it, and the wake-ups find it there.
        Path(queue).mkdir(mode=0o700, parents=True, exist_ok=True)
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    if not settings.EMBEDDED:
        raise CommandError("The database is not up to date. Run manage.py migrate first.")
    call_command("migrate", verbosity=0, interactive=False)
