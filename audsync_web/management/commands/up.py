"""`manage.py up`: web, worker and scheduler as one supervised process tree."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audsync_web.supervisor import Child, Supervisor

WORKER_THREADS = 8


class Command(BaseCommand):
    """Migrate, then run everything until SIGTERM or SIGINT."""

    help = "Migrate, then run web, worker and scheduler as one process tree (embedded: SQLite and a broker of files)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--data-dir", help="where everything is kept (default: data beside manage.py)")
        parser.add_argument(
            "--demo", action="store_true", help="a company, three people and five vendors to try it out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        given = options["data_dir"]
        data_dir = str(Path(given).resolve()) if given else os.environ.get("AUDSYNC_DATA_DIR", "")
        if given and str(settings.DATA_DIR) != data_dir:
            if os.environ.get("AUDSYNC_DATA_DIR") == data_dir:
                raise CommandError(f"The settings keep their data in {settings.DATA_DIR}, not in {data_dir}.")
            # Settings were read for another folder already: start again with the right one.
            os.environ["AUDSYNC_DATA_DIR"] = data_dir
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  # our own command line
        if options["demo"]:
            os.environ.setdefault("AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS", "1")
        _allow_host(host)
        Supervisor(_children(host, port), say=self._say, demo=options["demo"], host=host, port=port).run()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _allow_host(host: str) -> None:
    known = os.environ.get("AUDSYNC_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # told to listen everywhere, names are then the operator's
        return
    shown = f"[{host}]" if ":" in host else host
    if shown not in known.split(","):
        known = f"{known},{shown}"
    os.environ["AUDSYNC_ALLOWED_HOSTS"] = known


def _children(host: str, port: int) -> list[Child]:
    python = sys.executable
    granian = shutil.which("granian", path=str(Path(python).parent)) or "granian"
    return [
        Child(
            "web",
            [
                granian,
                "--interface",
                "wsgi",
                "--host",
                host,
                "--port",
                str(port),
                "--workers",
                "2",
                "--blocking-threads",
                "8",
                "--backpressure",
                "64",
                "--respawn-failed-workers",
                "--no-ws",
                "--http",
                "1",
                "--log-level",
                "error",
                "audsync_web.wsgi:application",
            ],
        ),
        Child(
            "worker",
            [
                *(python, "-m", "celery", "--quiet", "-A", "audsync_web", "worker", "--pool", "threads"),
                *("--concurrency", str(WORKER_THREADS), "--loglevel", "WARNING"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
        ),
        Child(
            "scheduler",
            [python, "-m", "celery", "--quiet", "-A", "audsync_web", "beat", "--loglevel", "WARNING", "--pidfile="],
        ),
    ]
