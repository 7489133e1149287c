"""The HTTP server in front of the vendors' sandboxes: threads, streamed bodies, dropped connections, test controls."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from io import BufferedIOBase
from typing import Any, BinaryIO, cast

from .framework import Context, DropConnection, Entry, Faults, Request, Response, VendorSandbox, parse_query

VENDORS: dict[str, str] = {
    "anonymised": "audsync_web.sandbox.anonymised.AnonymisedSandbox",
    "mediarithmics": "audsync_web.sandbox.mediarithmics.MediarithmicsSandbox",
    "xandr": "audsync_web.sandbox.xandr.XandrSandbox",
    "acoustic": "audsync_web.sandbox.acoustic.AcousticSandbox",
    "synerise": "audsync_web.sandbox.synerise.SyneriseSandbox",
}


class _Body:
    """A request body as a stream that ends where the body ends, chunked or with a length."""

    def __init__(self, source: BufferedIOBase, length: int | None, chunked: bool) -> None:
        self._source = source
        self._left = length or 0
        self._chunked = chunked
        self._ended = not chunked and not self._left

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all that is left with -1."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(1024 * 1024), b""))
        if self._chunked and not self._left and not self._ended:
            self._next_chunk()
        if self._ended or not self._left:
            return b""
        block = self._source.read(min(size, self._left))
        if not block:
            raise ConnectionResetError("body ended early")
        self._left -= len(block)
        if not self._left:
            self._ended = not self._chunked
            if self._chunked:
                self._source.readline()
        return block

    def _next_chunk(self) -> None:
        size = self._source.readline().split(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError:
            raise ConnectionResetError("no chunk size where one was due") from None
        if not self._left:
            self._ended = True
            while self._source.readline().strip():
                continue

    def drain(self, limit: int = 64 * 1024 * 1024) -> bool:
        """Read what is left so that the connection can be used again; False when it is too much."""
        while limit > 0:
            block = self.read(256 * 1024)
            if not block:
                return True
            limit -= len(block)
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 120

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: paths and bodies may hold identifiers; the ledger keeps what may be kept."""

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers["content-length"]) if headers.get("content-length", "").isdigit() else None
        body = _Body(self.rfile, length, "chunked" in headers.get("transfer-encoding", ""))
        prefix, _, rest = path.lstrip("/").partition("/")
        host = headers.get("host", "")
        request = Request(
            self.command,
            "/" + rest,
            parse_query(query),
            headers,
            cast("BinaryIO", body),
            length,
            f"http://{host}/{prefix}",
        )
        try:
            response = self.server.sandbox.answer(prefix, request)
            if not response.drop:
                self._send(response, keep=body.drain())
                return
        except (DropConnection, ConnectionError):
            pass  # the vendor "hung up", which is what the fault asks for; or the client did
        self.close_connection = True
        self.connection.close()

    def _send(self, response: Response, *, keep: bool) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        if not keep:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            half = len(response.body) // 2 if response.pause else len(response.body)
            self.wfile.write(response.body[:half])
            if response.pause:
                time.sleep(response.pause)
            self.wfile.write(response.body[half:])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    sandbox: Sandbox

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the trade; anything else is a fault of the sandbox and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError | BrokenPipeError | TimeoutError):
            super().handle_error(request, client_address)


class Sandbox:
    """All vendors behind one address. `with Sandbox() as box:` serves in a thread of its own until it is left."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, faults: Mapping[str, str] | None = None) -> None:
        self.context = Context(faults=Faults(faults))
        self.vendors: dict[str, VendorSandbox] = {name: _load(path)(self.context) for name, path in VENDORS.items()}
        self._server = _Server((host, port), _Handler)
        self._server.sandbox = self

    @property
    def url(self) -> str:
        """Where it answers, without a trailing slash; a vendor is at `url + "/" + name`."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def base_url(self, vendor: str) -> str:
        """The base URL of a vendor here, as a vendor account is given it."""
        return f"{self.url}/{vendor}{self.vendors[vendor].base_path}"

    def __enter__(self) -> Sandbox:
        serve = partial(self._server.serve_forever, poll_interval=0.05)
        threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, prefix: str, request: Request) -> Response:
        """Route one request to its vendor or to the controls, and keep the ledger."""
        if prefix == "_control":
            return self._control(request)
        vendor = self.vendors.get(prefix)
        if vendor is None:
            return Response.of({"error": "no such vendor here"}, 404)
        self._delay(vendor)
        status = 0
        try:
            response = vendor.handle(request)
            status = response.status
        finally:
            shown = request.shown_path or request.path
            at = self.context.clock.now().isoformat()
            self.context.ledger.add(
                Entry(prefix, request.method, shown, status, at, request.received, request.violations)
            )
        return response

    def _delay(self, vendor: VendorSandbox) -> None:
        seconds = self.context.faults.number(f"{vendor.name}.delay", 0.0)
        if seconds:
            time.sleep(seconds)

    def _control(self, request: Request) -> Response:
        try:
            arguments = json.loads(request.read() or b"{}") if request.method == "POST" else {}
            return self._controlled(request, request.segments(), arguments)
        except KeyError as error:
            return Response.of({"error": f"no such control: {error}"}, 404)
        except (ValueError, TypeError, AttributeError):
            return Response.of({"error": "the arguments must be a JSON object that fits the control"}, 400)

    def _controlled(self, request: Request, pieces: list[str], arguments: dict[str, Any]) -> Response:
        if pieces == ["clock"]:
            self.context.clock.advance(float(arguments["advance"]))
            return Response.of({"now": self.context.clock.now().isoformat()})
        if pieces == ["faults"]:
            for name, value in arguments.items():
                self.context.faults.set(name, None if value is None else str(value))
            return Response.of(self.context.faults.all())
        if pieces == ["ledger"]:
            entries = self.context.ledger.entries(request.one("vendor"))
            return Response.of([entry.__dict__ for entry in entries])
        if pieces == ["demo"]:
            return Response.of({name: self._demo_account(name) for name in self.vendors})
        vendor = self.vendors[pieces[0]]
        return Response.of(vendor.state() if len(pieces) == 1 else vendor.control(pieces[1], arguments))

    def _demo_account(self, name: str) -> dict[str, Any]:
        """How to sign in at a vendor here, as a provision file says it."""
        module = import_module(VENDORS[name].rpartition(".")[0])
        return {
            "baseUrl": self.base_url(name),
            "credentials": dict(module.DEMO_CREDENTIALS),
            "settings": dict(module.DEMO_SETTINGS),
        }


def _load(path: str) -> type[VendorSandbox]:
    module, _, name = path.rpartition(".")
    found: type[VendorSandbox] = getattr(import_module(module), name)
    return found


def dumps(value: Any) -> bytes:
    """Compact JSON bytes, as vendors send them."""
    return json.dumps(value, separators=(",", ":")).encode()
