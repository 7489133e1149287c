"""`manage.py prepare_data`: the data folder as the service needs it; working files of an earlier run are dropped."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Make the private folders and empty the spill."""

    help = "Make the private data folders and empty the working files of an earlier run."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        data = Path(settings.DATA_DIR)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(settings.SPILL_DIR, ignore_errors=True)
        for folder in (settings.SPILL_DIR, settings.BROKER_DIR / "queue", settings.BROKER_DIR / "control"):
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
