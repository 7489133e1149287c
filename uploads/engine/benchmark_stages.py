"""The stages that the benchmarks run, each as a process: `python -m uploads.engine.benchmark_stages NAME PATH…`.

Prints one line of JSON: the seconds of the work, start-up left out, and the peak memory of the process in bytes.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from audsync_web.vendors.connectors.formats import LineFormat, PartRules, Wrap
from uploads.engine.checking import Checker, CheckOptions
from uploads.engine.difference import difference
from uploads.engine.members import build_members
from uploads.engine.parts import plan_parts, write_part
from uploads.engine.snapshot import find as find_row

_BLOCK = 1 << 20
NDJSON_ENDS = (
    b'{"operation":"UPDATE","segment_id":12345,"user_identifier":{"type":"USER_ACCOUNT","user_account_id":"',
    b'"}}',
)
XANDR = LineFormat(lambda _op, _held: Wrap(b"", b":4410021:1440:0"), gzip=True)
NDJSON = LineFormat(lambda _op, _held: Wrap(*NDJSON_ENDS), escape="json")


def check(source: Path) -> None:
    """Check, count and hash a file."""
    with tempfile.TemporaryDirectory() as folder, Checker(CheckOptions(), Path(folder) / "report") as checker:
        with source.open("rb", buffering=0) as stream:
            while block := stream.read(_BLOCK):
                checker.feed(block)
        checker.finish()


def snapshot(source: Path, out: Path, spill: Path) -> None:
    """Make the set of a file."""
    build_members(lambda: source.open("rb"), CheckOptions(), "provider_id", out, spill)


def compare(new: Path, old: Path, out: Path) -> None:
    """Write the changes between two sets."""
    difference(new, old, mode="replace", today=1, out=out)


def raw_difference(new: Path, old: Path, folder: Path) -> None:
    """Make the sets of two files and write the changes between them."""
    snapshot(old, folder / "raw-old", folder)
    snapshot(new, folder / "raw-new", folder)
    compare(folder / "raw-new", folder / "raw-old", folder / "raw-changes")


def everything_added(members: Path, out: Path) -> None:
    """Write the changes that add a whole set."""
    difference(members, None, mode="add", today=1, out=out)


def xandr(changes: Path, out: Path) -> None:
    """Plan and write Xandr parts of at most four million lines."""
    _write_parts(changes, out, XANDR, PartRules(max_lines=4_000_000))


def ndjson(changes: Path, out: Path) -> None:
    """Plan and write mediarithmics parts of at most 50 MB and 500,000 lines."""
    _write_parts(changes, out, NDJSON, PartRules(max_bytes=50_000_000, max_lines=500_000))


def find(members: Path, identifier: Path) -> None:
    """Look one identifier up."""
    if find_row(members, str(identifier)) is None:
        raise LookupError("the identifier is not in the snapshot")


def receive(source: Path, out: Path) -> None:
    """Take a raw body over HTTP: check it, hash it, store it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Checker(CheckOptions(), Path(folder) / "report") as checker,
        out.open("wb") as stored,
    ):

        def take(block: bytes) -> None:
            checker.feed(block)
            stored.write(block)

        _post(source, take)
        checker.finish()


def sink(source: Path) -> None:
    """Take a raw body over HTTP and count it."""
    sizes: list[int] = [0]

    def take(block: bytes) -> None:
        sizes[0] += len(block)

    _post(source, take)


def _write_parts(changes: Path, out: Path, form: LineFormat, rules: PartRules) -> None:
    for part in plan_parts(changes, form, rules):
        write_part(changes, part, form, out)


def _post(source: Path, take: Callable[[bytes], None]) -> None:
    """Send a file with curl to a server in this process that hands its bytes to `take`."""
    with _serving(take) as port:
        command = [shutil.which("curl") or "curl", "-sSf", "-X", "POST", "-H", "Expect:", "-T", str(source)]
        subprocess.run([*command, f"http://127.0.0.1:{port}/"], check=True)  # noqa: S603  # our own arguments


@contextmanager
def _serving(take: Callable[[bytes], None]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            left = int(self.headers["Content-Length"])
            while left:
                block = self.rfile.read(min(left, _BLOCK))
                left -= len(block)
                take(block)
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield server.server_port
        thread.join()


STAGES: dict[str, Callable[..., None]] = {
    "check": check,
    "snapshot": snapshot,
    "difference": compare,
    "raw_difference": raw_difference,
    "everything_added": everything_added,
    "xandr": xandr,
    "ndjson": ndjson,
    "find": find,
    "receive": receive,
    "sink": sink,
}


def main(name: str, *arguments: str) -> str:
    """Run a stage; its figures as JSON."""
    start = time.perf_counter()
    STAGES[name](*map(Path, arguments))
    seconds = time.perf_counter() - start
    return json.dumps({"seconds": seconds, "peak_memory": peak_memory()})


def peak_memory() -> int:
    """The most memory this process had, in bytes, from the kernel: `ru_maxrss` would count the parent's, too."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]))
