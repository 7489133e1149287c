"""Whole-path benchmarks: a file from HTTP request to vendor accepted, and a vendor's files from a real connector.

Everything runs as people run it: web, worker and scheduler as processes, the sandbox in the vendor's place.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from uploads.engine.benchmarks import BenchRow, make_uuids

ROOT = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "bench@northwind.example", "a long pass phrase for nobody"
WAIT_SECONDS = 900.0
SANDBOX_FAULTS = (
    "anonymised.max_bytes=20000000000",
    "anonymised.keep_members=off",
    "anonymised.pending_seconds=0",
    "anonymised.processing_seconds=0",
)


@dataclass(frozen=True)
class Step:
    """Seconds of one repetition: until the 201, and until the vendor has accepted the list."""

    received: float
    accepted: float


def bench_upload(folder: Path, rows: int, repetitions: int = 3) -> list[BenchRow]:
    """A file over HTTP until the vendor has accepted it, beside `md5sum`, `sort -u` and `curl --data-binary` of the
    same file to the same sandbox, one after the other; and the receiving alone, beside `md5sum` and that `curl`."""
    source = make_uuids(folder / f"uuids-{rows}.csv", rows, 1)
    with _stack(folder) as stack:
        memory = _Memory(stack.pids())
        runs = []
        for number in range(repetitions):
            with memory:
                step = stack.upload(source, f"bench {number}")
            runs.append((step, _references(stack, source, folder)))
    received, accepted = (
        statistics.median(pick) for pick in zip(*((s.received, s.accepted) for s, _ in runs), strict=True)
    )
    md5, sort, curl = (statistics.median(pick) for pick in zip(*(reference for _, reference in runs), strict=True))
    sent, whole = md5 + curl, md5 + sort + curl
    return [
        BenchRow("received", "md5sum, then curl to the sandbox", rows, received, sent, received / sent, memory.peak),
        BenchRow("upload", "md5sum, then curl to the sandbox", rows, accepted, sent, accepted / sent, memory.peak),
        BenchRow("upload", "md5sum, sort -u, then curl", rows, accepted, whole, accepted / whole, memory.peak),
    ]


def _references(stack: _Stack, source: Path, folder: Path) -> tuple[float, float, float]:
    token, segment = stack.sandbox_segment()
    url = f"{stack.vendor_url}/segment/{segment}/membership/upload"
    send = ["curl", "-sS", "-o", "/dev/null", "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: text/csv"]
    sort = ["sort", "-u", "-S1G", "--parallel=2", "-T", str(folder), "-o", str(folder / "sorted"), str(source)]
    return _timed(["md5sum", str(source)]), _timed(sort), _timed([*send, "--data-binary", f"@{source}", url])


def _timed(command: Sequence[str]) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "LC_ALL": "C"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603  # our own words
    return time.perf_counter() - start


class _Memory:
    """Peak resident memory of processes and all they fork, sampled while the block runs."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.peak = 0
        self._pids = pids
        self._stop = threading.Event()

    def __enter__(self) -> None:
        self._stop.clear()
        threading.Thread(target=self._watch, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.peak = max(self.peak, sum(_resident(pid) for pid in _with_children(self._pids)))


def _with_children(pids: Sequence[int]) -> set[int]:
    parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
    found = set(pids)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def _resident(pid: int) -> int:
    """Proportional share of memory, so that what processes share is counted once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


class _Stack:
    """A running AudSync and sandbox, with a company connected to it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log = folder / "stack.log"
        box, web = _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{web}/api/public/v3"
        self.vendor_url = f"http://127.0.0.1:{box}/anonymised/api/public/v3"
        faults = [word for fault in SANDBOX_FAULTS for word in ("--fault", fault)]
        self._start("sandbox", "--port", str(box), *faults)
        self._known = _when_ready(lambda: requests.get(f"http://127.0.0.1:{box}/_control/demo", timeout=5).json())
        self._start("up", "--port", str(web), "--data-dir", self._environment["AUDSYNC_DATA_DIR"])
        _when_ready(lambda: requests.get(f"http://127.0.0.1:{web}/healthz", timeout=5).raise_for_status())
        self._provision()

    def _start(self, *words: str) -> None:
        self._processes.append(
            subprocess.Popen(  # noqa: S603  # our own command
                [sys.executable, "manage.py", *words],
                cwd=ROOT,
                env=self._environment,
                stdout=self._log.open("ab"),
                stderr=subprocess.STDOUT,
            )
        )

    def pids(self) -> list[int]:
        """AudSync's own top process; the sandbox is the vendor's business."""
        return [self._processes[1].pid]

    def stop(self) -> None:
        """Take everything down."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait(timeout=20)

    def _provision(self) -> None:
        known = self._known["anonymised"]
        quick = {"pollFirstSeconds": 0, "pollMaxSeconds": 0.2, "requestsPerSecond": 1000, "minSecondsBetweenUploads": 0}
        account = {
            "vendor": "anonymised",
            "name": "sink",
            "baseUrl": known["baseUrl"],
            "credentials": known["credentials"],
            "settings": {**quick, "maxUploadBytes": 20_000_000_000},
        }
        person = {"email": EMAIL, "password": PASSWORD, "role": "admin"}
        company = {"slug": "bench", "name": "Bench", "people": [person], "vendorAccounts": [account]}
        subprocess.run(  # our own command
            [sys.executable, "manage.py", "provision", "-"],
            cwd=ROOT,
            env=self._environment,
            input=json.dumps({"companies": [company]}).encode(),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        answer = requests.post(f"{self.url}/login", json={"email": EMAIL, "password": PASSWORD}, timeout=30)
        self._bearer = {"Authorization": f"Bearer {answer.json()['token']}"}

    def upload(self, source: Path, name: str) -> Step:
        """One file to a new segment, from request to acceptance by the vendor."""
        wish = {"name": name, "durationDays": 30, "type": "core"}
        segment = requests.post(f"{self.url}/segment", json=wish, headers=self._bearer, timeout=30).json()["id"]
        path = f"{self.url}/segment/{segment}"
        _when_ready(lambda: _require(self._published(path)))
        start = time.perf_counter()
        answer = subprocess.run(  # noqa: S603  # our own words
            [
                *("curl", "-sS", "-H", f"Authorization: {self._bearer['Authorization']}"),
                *("-H", "Content-Type: text/csv", "--data-binary", f"@{source}", f"{path}/membership/upload"),
            ],
            check=True,
            capture_output=True,
        )
        received = time.perf_counter() - start
        upload = f"{path}/membership/upload/{json.loads(answer.stdout)['id']}"
        _when_ready(lambda: _require(self._is_accepted(upload)), pause=0.02)
        return Step(received, time.perf_counter() - start)

    def _published(self, path: str) -> bool:
        shown = requests.post(f"{path}/publish", headers=self._bearer, timeout=30).json()
        return bool(shown["status"] == "published")

    def _is_accepted(self, upload: str) -> bool:
        shown = requests.get(upload, headers=self._bearer, timeout=30).json()
        if shown["status"] == "failed":
            raise RuntimeError(f"the upload failed: {shown['details']}")
        return bool(shown["status"] == "completed")

    def sandbox_segment(self) -> tuple[str, int]:
        """A token and a segment of our own at the sandbox, for the reference."""
        credentials = self._known["anonymised"]["credentials"]
        origin = {"Origin": "https://account.anonymised.io"}
        token = requests.post(f"{self.vendor_url}/login", json=credentials, headers=origin, timeout=30).json()["token"]
        wish = {"name": "reference", "durationDays": 30, "type": "core"}
        bearer = {"Authorization": f"Bearer {token}"}
        made = requests.post(f"{self.vendor_url}/segment", json=wish, headers=bearer, timeout=30).json()
        return token, int(made["id"])


@contextmanager
def _stack(folder: Path) -> Iterator[_Stack]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUDSYNC_")}
    data = folder / "data"
    environment = {**kept, "AUDSYNC_DATA_DIR": str(data), "AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS": "1"}
    environment |= {"AUDSYNC_MAX_UPLOAD_BYTES": "20000000000", "AUDSYNC_LOG_LEVEL": "WARNING"}
    # Whatever settings this process runs with, the stack is the product itself.
    environment["DJANGO_SETTINGS_MODULE"] = "audsync_web.settings"
    stack = _Stack(folder, environment)
    try:
        yield stack
    finally:
        stack.stop()


def _require(done: bool) -> None:
    if not done:
        raise requests.RequestException("not yet")


def _when_ready(ask: Callable[[], Any], *, pause: float = 0.1) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return ask()
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(pause)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
