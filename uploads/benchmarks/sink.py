"""A local server in a vendor's place that takes Synerise batches and counts their members, and nothing more.

`python -m uploads.benchmarks.sink SECONDS` prints its port and serves until it is stopped; a batch is answered after so
many seconds. `GET /count` tells how many members it was sent since the last time it was asked.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BATCH = "/v4/clients/batch"
TAGS = "/v4/clients/tags"
EVERY_TAG = json.dumps([{"id": number, "name": f"aud-bench-{number}"} for number in range(1, 1001)]).encode()
"""Those of the segments that a benchmark makes."""


class Sink(BaseHTTPRequestHandler):
    """Login, permission check and batches; one connection is kept for as long as the caller likes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    members = 0
    wait = 0.0

    def do_POST(self) -> None:  # the name that http.server calls
        """Take what a delivery sends."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = ANSWERS.get(self.path)
        if answer is None:
            self._answer(404, b"{}")
        else:
            self._answer(*answer(body))

    def do_GET(self) -> None:  # the name that http.server calls
        """The tags of the workspace; else tell the count, and begin it anew."""
        if self.path == TAGS:
            self._answer(200, EVERY_TAG)
            return
        count, Sink.members = Sink.members, 0
        self._answer(200, json.dumps(count).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _login(_body: bytes) -> tuple[int, bytes]:
    return 200, b'{"token":"opens-nothing"}'


def _permissions(body: bytes) -> tuple[int, bytes]:
    granted: dict[str, Any] = dict.fromkeys(json.loads(body), True)
    return 200, json.dumps({"permissions": granted}).encode()


def _batch(body: bytes) -> tuple[int, bytes]:
    Sink.members += len(json.loads(body))
    if Sink.wait:
        time.sleep(Sink.wait)
    return 202, b""


ANSWERS: dict[str, Callable[[bytes], tuple[int, bytes]]] = {
    "/uauth/v2/auth/login/profile": _login,
    "/uauth/api-key/permission-check": _permissions,
    BATCH: _batch,
}


def main(wait: str) -> None:
    """Serve on a free port of the loopback."""
    Sink.wait = float(wait)
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
