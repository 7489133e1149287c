"""Keeps child processes alive and takes them all down again: what `manage.py up` runs on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

from django.core.management import call_command

STOP_GENTLY_SECONDS = 6.0
LOOK_SECONDS = 0.2
READY_SECONDS = 120.0
# A child that dies again at once is started at this pace, so that a broken set-up does not spin.
RESTART_SECONDS = 1.0
TIED = str(Path(__file__).with_name("tied.py"))

Say = Callable[[str], None]


@dataclass
class Child:
    """One supervised process: its name, its command, and the process that runs it now."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    environment: dict[str, str] = field(default_factory=dict)
    quiet: bool = False

    def start(self) -> None:
        """Start it in a process group of its own, in our session: whatever it forks can be taken down with it. It stops
        by itself should this process be killed."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603  # our own command lines
            [sys.executable, TIED, str(os.getpid()), *self.command],
            process_group=0,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if self.quiet else None,
        )

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the process and everything it forked."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return


class Supervisor:
    """Prepares, starts, watches and stops the children."""

    def __init__(self, children: list[Child], *, say: Say, demo: bool, host: str, port: int) -> None:
        self._children = children
        self._say = say
        self._demo = demo
        self._host = host
        self._port = port
        # A plain flag: setting an event within a signal handler could wait for the very thread that it interrupts.
        self._stopping = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; every process is gone within 10 seconds after."""
        # Whatever the children write (the database first of all) is the service's alone.
        os.umask(0o077)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._refuse_taken_port()
        try:
            self._prepare()
            for child in self._children:
                if not self._stopping and child.process is None:
                    child.start()
            threading.Thread(target=self._tell_when_ready, daemon=True).start()
            while not self._stopping:
                self._restart_dead()
                time.sleep(LOOK_SECONDS)
        finally:
            self._take_down()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _refuse_taken_port(self) -> None:
        with socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host, self._port))
            except OSError as error:
                sys.exit(
                    f"Port {self._port} at {self._host} cannot be used: {error.strerror}. Give another with --port."
                )

    def _prepare(self) -> None:
        """Folders here; the database in a process of its own: the supervisor holds no connection over a fork."""
        call_command("prepare_data", demo=self._demo)
        self._command("migrate", "--verbosity", "0")
        if self._demo and not self._stopping:
            self._start_sandbox()

    def _start_sandbox(self) -> None:
        """The demo's vendors, and a company that is connected to them."""
        port = str(_free_port())
        sandbox = Child("sandbox", [sys.executable, sys.argv[0], "sandbox", "--port", port], quiet=True)
        sandbox.start()
        self._children.insert(0, sandbox)
        self._command("add_demo", "--sandbox", f"http://127.0.0.1:{port}")

    def _command(self, *words: str) -> None:
        if self._stopping:
            return
        done = subprocess.run([sys.executable, sys.argv[0], *words], check=False)  # noqa: S603  # our own commands
        if done.returncode:
            sys.exit(f"manage.py {words[0]} failed; see above.")

    def _restart_dead(self) -> None:
        for child in self._children:
            if child.is_running() or self._stopping:
                continue
            # What it forked may have survived it; nothing of the old one is left beside the new one.
            child.signal(signal.SIGKILL)
            if time.monotonic() - child.started_at < RESTART_SECONDS:
                continue
            self._say(f"{child.name} stopped; starting it again")
            child.start()

    def _tell_when_ready(self) -> None:
        shown = "127.0.0.1" if self._host in {"0.0.0.0", "::"} else self._host  # noqa: S104  # an address to ask
        bracketed = f"[{shown}]" if ":" in shown else shown
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self._stopping:
            try:
                with urlopen(f"http://{bracketed}:{self._port}/healthz", timeout=2) as answer:  # our own
                    if answer.status == 200:
                        self._say(f"ready http://{self._host}:{self._port}")
                        return
            except (URLError, OSError):
                time.sleep(0.1)

    def _take_down(self) -> None:
        for child in self._children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_GENTLY_SECONDS
        while time.monotonic() < deadline and any(child.is_running() for child in self._children):
            time.sleep(0.05)
        for child in self._children:
            child.signal(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
