"""A local server in a vendor's place that takes Synerise batches and counts their members, and nothing more.

`python -m uploads.benchmarks.sink SECONDS` prints its address and serves until it is stopped; a batch is answered after
so many seconds. It is found under the paths of the sandbox, whose controls `demo` and `taken` it has.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

PREFIX = "/synerise"
LOGIN = "/uauth/v2/auth/login/profile"
BATCH = "/v4/clients/batch"
DEMO = {"synerise": {"credentials": {"apiKey": "opens-nothing"}}}


class Sink(BaseHTTPRequestHandler):
    """Login, permission check, tags and batches; one connection is kept for as long as the caller likes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    members = 0
    tags: ClassVar[list[dict[str, Any]]] = []
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
        """The tags of the workspace, or how to sign in there."""
        self._answer(200, json.dumps(DEMO if self.path == "/_control/demo" else Sink.tags).encode())

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


def _tag(body: bytes) -> tuple[int, bytes]:
    made = {"id": len(Sink.tags) + 1, "name": json.loads(body)["name"]}
    Sink.tags.append(made)
    return 200, json.dumps(made).encode()


def _batch(body: bytes) -> tuple[int, bytes]:
    Sink.members += len(json.loads(body))
    if Sink.wait:
        time.sleep(Sink.wait)
    return 202, b""


def _taken(_body: bytes) -> tuple[int, bytes]:
    return 200, json.dumps(Sink.members).encode()


ANSWERS: dict[str, Callable[[bytes], tuple[int, bytes]]] = {
    PREFIX + LOGIN: _login,
    f"{PREFIX}/uauth/api-key/permission-check": _permissions,
    f"{PREFIX}/v4/tags": _tag,
    PREFIX + BATCH: _batch,
    "/_control/synerise/taken": _taken,
}


def main(wait: str) -> None:
    """Serve on a free port of the loopback."""
    Sink.wait = float(wait)
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        sys.stdout.write(f"ready http://127.0.0.1:{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
