"""`manage.py sandbox`: the vendors as one local server, with faults to choose."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audsync_web.sandbox.server import Sandbox

STOPPING = {signal.SIGTERM, signal.SIGINT}


class Command(BaseCommand):
    """Serve every vendor's sandbox until SIGTERM or SIGINT."""

    help = "Serve the vendors locally, one path prefix each, for a trial without real accounts."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen and which faults to begin with."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument(
            "--port", type=int, default=9000, help="port to listen on (default 9000, 0 for any free one)"
        )
        parser.add_argument(
            "--fault",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a switch such as anonymised.throttle=3x; may be given several times",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Listen, say where and how to sign in, and serve in the foreground."""
        faults = dict(_fault(text) for text in options["fault"])
        # Held back and waited for: a handler would interrupt whatever the process is at, a request for one.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            with self._listening(options["host"], options["port"], faults) as box:
                self._introduce(box)
                signal.sigwait(STOPPING)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _listening(self, host: str, port: int, faults: dict[str, str]) -> Sandbox:
        try:
            return Sandbox(host, port, faults)
        except OSError as error:
            raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}") from None

    def _introduce(self, box: Sandbox) -> None:
        for vendor in box.vendors:
            module = import_module(f"audsync_web.sandbox.{vendor}")
            signing_in = ", ".join(f"{name} {value}" for name, value in module.DEMO_CREDENTIALS.items())
            settings = ", ".join(f"{name} {value}" for name, value in module.DEMO_SETTINGS.items())
            self.stdout.write(f"{vendor:14} {box.base_url(vendor)}")
            self.stdout.write(f"{'':14} sign in with {signing_in}")
            if settings:
                self.stdout.write(f"{'':14} settings: {settings}")
        self.stdout.write(f"controls       {box.url}/_control/ (clock, faults, ledger, <vendor>)")
        self.stdout.write(f"ready {box.url}")
        self.stdout.flush()


def _fault(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or "." not in name:
        raise CommandError(f"--fault takes NAME=VALUE with a name such as anonymised.throttle, not “{text}”")
    return name, value
