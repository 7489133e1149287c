"""A benchmark's own process: Django on a database and data folder of its own, so that no real data is met.

`python -m uploads.benchmarks.process MODULE FOLDER ARGUMENT…` calls `run(FOLDER, ARGUMENT…)` of
`uploads.benchmarks.MODULE` and prints what it returns as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import django

from audsync_web.celery import keep_what_is_loaded

PROJECT = Path(__file__).resolve().parents[2]
SERVERS = ("DATABASE_URL", "CELERY_BROKER_URL", "AUDSYNC_STORAGE_URL")
KEYS = ("AUDSYNC_SECRET_KEY", "AUDSYNC_ENCRYPTION_KEYS")


def in_own_process(module: str, folder: Path, *arguments: str | int, server: bool = False) -> Any:
    """What `uploads.benchmarks.<module>.run(folder, …)` returns in a process of its own.

    It has a fresh SQLite below `folder`; with `server` the database server of DATABASE_URL, where it must make a
    database of its own.
    """
    words = [sys.executable, "-m", __name__, module, str(folder), *map(str, arguments)]
    done = subprocess.run(  # noqa: S603  # our own words
        words, check=True, stdout=subprocess.PIPE, text=True, cwd=PROJECT, env=_environment(folder, server=server)
    )
    return json.loads(done.stdout.splitlines()[-1])


def _environment(folder: Path, *, server: bool) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUDSYNC_")}
    if server and "DATABASE_URL" in kept:
        kept |= {name: os.environ[name] for name in KEYS if name in os.environ}
    else:
        for name in SERVERS:
            kept.pop(name, None)
    return kept | {
        "AUDSYNC_DATA_DIR": str(folder / "data"),
        "AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS": "1",
        "AUDSYNC_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "audsync_web.settings",
    }


def main(module: str, folder: str, *arguments: str) -> str:
    """Run a benchmark's inner half; its figures as JSON."""
    django.setup()
    inner = importlib.import_module(f"uploads.benchmarks.{module}")
    keep_what_is_loaded()  # as a worker does
    return json.dumps(inner.run(Path(folder), *arguments))


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]) + "\n")
