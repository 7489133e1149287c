"""`manage.py prepare_data`: the data folder as the service needs it; working files of an earlier run are dropped."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

DEMO_MARK = "this-is-a-demo"


class Command(BaseCommand):
    """Make the private folders and empty the spill."""

    help = "Make the private data folders and empty the working files of an earlier run."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="start afresh; refused where real data is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        data = Path(settings.DATA_DIR)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if options["demo"]:
            _start_afresh(data)
        elif (data / DEMO_MARK).exists():
            raise CommandError(f"{data} holds a demo; give another folder with --data-dir, or add --demo.")
        shutil.rmtree(settings.SPILL_DIR, ignore_errors=True)
        for folder in (settings.SPILL_DIR, settings.BROKER_DIR / "queue", settings.STATIC_ROOT):
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)


def _start_afresh(data: Path) -> None:
    """The sandbox forgets everything when it stops, so what a demo knew of it would be wrong the next time."""
    mark = data / DEMO_MARK
    if (data / "audsync.sqlite3").exists() and not mark.exists():
        raise CommandError(f"{data} holds real data, which a demo would erase; give another folder with --data-dir.")
    mark.touch()
    for old in data.glob("audsync.sqlite3*"):
        old.unlink()
    for folder in ("files", "broker"):
        shutil.rmtree(data / folder, ignore_errors=True)
