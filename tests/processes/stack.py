"""AudSync as people run it: `manage.py up` with real web, worker and scheduler processes, against a real sandbox."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

from audsync_web.sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent.parent
# Long enough for a machine that does other things, too; how fast it goes is no test's question.
PATIENCE_SECONDS = 180.0
EMAIL, PASSWORD = "mo@northwind.example", "correct horse battery"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """One running AudSync and the sandbox it talks to."""

    def __init__(self, folder: Path, box: Sandbox, *, broker: str = "", database: str = "") -> None:
        self.folder = folder
        self.box = box
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("AUDSYNC_", "PYTEST_", "DJANGO_"))
            },
            "AUDSYNC_DATA_DIR": str(folder / "data"),
            "AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS": "1",
            "AUDSYNC_SECRET_KEY": "tests-only-" + "0" * 50,
            "AUDSYNC_ENCRYPTION_KEYS": "tests-only-" + "1" * 32,
            "AUDSYNC_LOG_LEVEL": "WARNING",
        }
        if broker:
            self.environment["CELERY_BROKER_URL"] = broker
        if database:
            self.environment["DATABASE_URL"] = database
        self.log = folder / "up.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._token = ""

    def start(self) -> None:
        self.manage("prepare_data")
        self.manage("migrate", "--verbosity", "0")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(self.port), "--data-dir", str(self.folder / "data")],
            cwd=ROOT,
            env=self.environment,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        wait_for(lambda: f"ready {self.url}" in self.log.read_text(), "AudSync to be ready", self.log)

    def stop(self) -> None:
        """SIGTERM, and wait until every process is gone."""
        assert self.process is not None
        tree = self.tree()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=PATIENCE_SECONDS)
        wait_for(lambda: not any(is_alive(one) for one in tree), "every process to be gone")

    def tree(self) -> list[psutil.Process]:
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def workers(self) -> list[psutil.Process]:
        """Every process whose command line says celery and worker."""
        return [
            one for one in self.tree() if is_alive(one) and {"celery", "worker"} <= set(" ".join(one.cmdline()).split())
        ]

    def scheduler(self) -> psutil.Process:
        """The process that ticks."""
        (found,) = [one for one in self.tree() if is_alive(one) and {"celery", "beat"} <= set(one.cmdline())]
        return found

    def manage(self, *words: str, given: str | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def provision(self, accounts: list[dict[str, Any]], slug: str = "northwind") -> str:
        company = {
            "slug": slug,
            "name": slug.title(),
            "people": [{"email": EMAIL, "password": PASSWORD, "role": "manager"}],
            "vendorAccounts": accounts,
        }
        return self.manage("provision", "-", given=json.dumps({"companies": [company]}))

    def account(self, vendor: str, **settings: Any) -> dict[str, Any]:
        """A vendor account at the sandbox that does not wait."""
        known = requests.get(f"{self.box.url}/_control/demo", timeout=30).json()[vendor]
        quick = {"pollFirstSeconds": 0, "pollMaxSeconds": 0.5, "requestsPerSecond": 200}
        return {
            "vendor": vendor,
            "name": vendor,
            "baseUrl": known["baseUrl"],
            "credentials": known["credentials"],
            "settings": {**known["settings"], **quick, **settings},
        }

    def call(self, method: str, path: str, **given: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token()}", **given.pop("headers", {})}
        return requests.request(method, f"{self.url}/api/public/v3{path}", headers=headers, timeout=60, **given)

    def token(self) -> str:
        if not self._token:
            answer = requests.post(
                f"{self.url}/api/public/v3/login", json={"email": EMAIL, "password": PASSWORD}, timeout=30
            )
            assert answer.status_code == 200, answer.text
            self._token = answer.json()["token"]
        return self._token

    def segment(self, name: str = "Lapsed buyers", **body: Any) -> dict[str, Any]:
        """A published segment, ready at every destination."""
        made = self.call("POST", "/segment", json={"name": name, "durationDays": 30, "type": "core", **body})
        assert made.status_code == 201, made.text
        path = f"/segment/{made.json()['id']}"
        wait_for(lambda: self.call("POST", f"{path}/publish").status_code == 200, "publication", self.log)
        found: dict[str, Any] = self.call("GET", path).json()
        return found

    def upload(
        self, segment: int, ids: list[str], mode: str = "replace", header: str = "provider_id"
    ) -> dict[str, Any]:
        body = "\n".join([header, *ids, ""]).encode()
        answer = self.call(
            "POST",
            f"/segment/{segment}/membership/upload?mode={mode}",
            data=body,
            headers={"Content-Type": "text/csv"},
        )
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ended(self, upload: dict[str, Any]) -> dict[str, Any]:
        """The upload once it is completed or failed."""
        path = f"/segment/{upload['segmentId']}/membership/upload/{upload['id']}"
        found: dict[str, Any] = {}

        def has_ended() -> bool:
            found.update(self.call("GET", path).json())
            return found["status"] in {"completed", "failed"}

        try:
            wait_for(has_ended, "the upload", self.log)
        except AssertionError as error:
            error.add_note(f"it is at {json.dumps(found)}")
            error.add_note("\n".join(told_of(one) for one in self.tree()))
            raise
        return found

    def members(self, vendor: str, segment: str) -> set[str]:
        """Who the vendor holds in a remote segment."""
        answer = requests.post(f"{self.box.url}/_control/{vendor}/members", json={"segment": segment}, timeout=30)
        assert answer.status_code == 200, answer.text
        return set(answer.json())


def told_of(process: psutil.Process) -> str:
    """One line of a process: how it stands, what it has used, what it runs."""
    try:
        used, runs = sum(process.cpu_times()[:2]), " ".join(process.cmdline())
        return f"{process.pid} {process.status()} {used:.1f} s {runs[:120]}"
    except psutil.NoSuchProcess:
        return f"{process.pid} is gone"


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for(met: Callable[[], bool], what: str, log: Path | None = None) -> None:
    """Look again and again until something is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if met():
            return
        time.sleep(0.05)
    said = log.read_text()[-3000:] if log and log.exists() else ""
    raise AssertionError(f"waited {PATIENCE_SECONDS:g} s for {what} in vain\n{said}")


@contextmanager
def started(folder: Path, **servers: str) -> Iterator[Stack]:
    """The product and the vendors, running until they are no longer needed."""
    with Sandbox() as box:
        stack = Stack(folder, box, **servers)
        stack.start()
        try:
            yield stack
        finally:
            stack.stop()
