"""The sandbox server: bodies as streams, dropped connections, controls, and the command that serves it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
from django.core.management import CommandError, call_command

from audsync_web.sandbox import server as server_module
from audsync_web.sandbox.framework import Clock, DropConnection, Faults, Ledger, Request, Response, VendorSandbox
from audsync_web.sandbox.framework import Entry as LedgerEntry
from audsync_web.sandbox.server import Sandbox

get, post = partial(requests.get, timeout=10), partial(requests.post, timeout=10)

ROOT = Path(__file__).resolve().parents[2]


class Echo(VendorSandbox):
    """Answers with what it was sent."""

    name: ClassVar[str] = "echo"
    base_path: ClassVar[str] = "/v9"

    def handle(self, request: Request) -> Response:
        if self.fault("drop_before"):
            raise DropConnection
        if request.path == "/refuse":
            return Response.of({"error": "no"}, 400)
        size = sum(len(block) for block in request.blocks())
        request.violate(f"was asked at {request.path}")
        shown = {"size": size, "path": request.segments(), "query": request.query, "media": request.media_type}
        return Response(200, Response.of(shown).body, drop=self.fault("drop_after"), pause=self.faults.number("p", 0))

    def state(self) -> dict[str, Any]:
        return {"fine": True}

    def control(self, action: str, arguments: dict[str, Any]) -> Any:
        if action == "repeat":
            return arguments["text"] * 2
        raise KeyError(action)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(server_module, "VENDORS", {"echo": f"{__name__}.Echo"})
    with Sandbox() as box:
        yield box


def test_paths_queries_and_types_arrive_decoded_once(box: Sandbox):
    answer = post(
        f"{box.url}/echo/a%2Fb/c%2520?x=1&x=2&y=", data=b"12345", headers={"Content-Type": "Text/CSV; charset=utf-8"}
    ).json()
    assert answer == {"size": 5, "path": ["a/b", "c%20"], "query": {"x": ["1", "2"], "y": [""]}, "media": "text/csv"}


def test_a_body_without_a_length_is_read_to_its_last_chunk(box: Sandbox):
    answer = post(f"{box.url}/echo/", data=iter([b"abc", b"x" * 2_000_000, b"de"])).json()
    assert answer["size"] == 2_000_005


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /echo/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b"POST /echo/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"POST /echo/ HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc",
    ],
    ids=["no last chunk", "no chunk size", "shorter than its length"],
)
def test_a_body_that_breaks_off_is_never_taken_for_whole(box: Sandbox, sent: bytes):
    host, port = box.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1024) == b""


def test_an_unread_body_does_not_spoil_the_next_request_on_the_connection(box: Sandbox):
    with requests.Session() as session:
        assert session.post(f"{box.url}/echo/refuse", data=bytes(300_000)).status_code == 400
        assert session.post(f"{box.url}/echo/", data=b"next").json()["size"] == 4


@pytest.mark.parametrize("switch", ["drop_before", "drop_after"])
def test_a_dropped_connection_has_no_answer_and_happens_as_often_as_asked(box: Sandbox, switch: str):
    box.context.faults.set(f"echo.{switch}", "1x")
    with pytest.raises(requests.ConnectionError):
        get(f"{box.url}/echo/")
    assert get(f"{box.url}/echo/").status_code == 200


def test_a_paused_body_arrives_whole(box: Sandbox):
    box.context.faults.set("p", "0.05")
    assert get(f"{box.url}/echo/").json()["size"] == 0


def test_the_ledger_keeps_requests_violations_and_sizes(box: Sandbox):
    post(f"{box.url}/echo/first", data=b"123")
    entries = get(f"{box.url}/_control/ledger?vendor=echo").json()
    assert [(e["method"], e["path"], e["status"], e["bytes"]) for e in entries] == [("POST", "/first", 200, 3)]
    assert box.context.ledger.violations("echo") == ["POST /first: was asked at /first"]
    assert get(f"{box.url}/_control/ledger?vendor=other").json() == []


def test_controls_move_the_clock_set_faults_and_show_state(box: Sandbox):
    before = box.context.clock.now()
    post(f"{box.url}/_control/clock", json={"advance": 3600})
    assert 3599 < (box.context.clock.now() - before).total_seconds() < 3700
    assert post(f"{box.url}/_control/faults", json={"echo.x": 2}).json() == {"echo.x": "2"}
    assert post(f"{box.url}/_control/faults", json={"echo.x": None}).json() == {}
    assert get(f"{box.url}/_control/echo").json() == {"fine": True}
    assert post(f"{box.url}/_control/echo/repeat", json={"text": "ab"}).json() == "abab"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("echo/nothing", b"{}", 404),
        ("nobody", b"{}", 404),
        ("clock", b"not json", 400),
        ("clock", b"[]", 400),
        ("faults", b"[1]", 400),
    ],
)
def test_a_control_that_makes_no_sense_is_answered_and_not_obeyed(box: Sandbox, path: str, body: bytes, status: int):
    assert post(f"{box.url}/_control/{path}", data=body).status_code == status
    assert get(f"{box.url}/echo/").ok


def test_an_unknown_vendor_is_404(box: Sandbox):
    assert get(f"{box.url}/nobody/").status_code == 404


def test_many_clients_are_served_at_once(box: Sandbox):
    lines = [http.client.HTTPConnection(box.url.removeprefix("http://")) for _ in range(20)]
    for line in lines:
        line.request("GET", "/echo/")
    assert [line.getresponse().status for line in lines] == [200] * 20
    for line in lines:
        line.close()


def test_base_urls_hold_the_vendors_own_path(box: Sandbox):
    assert box.base_url("echo") == f"{box.url}/echo/v9"


@pytest.mark.parametrize(
    ("value", "times"), [("2x", 2), ("0x", 0), ("", 0), ("off", 0), ("no", 0), ("1", 3), ("some text", 3)]
)
def test_a_fault_happens_as_often_as_its_value_says(value: str, times: int):
    faults = Faults({"v.f": value})
    assert [faults.take("v.f") for _ in range(3)] == [True] * times + [False] * (3 - times)


def test_the_ledger_is_bounded():
    ledger = Ledger()
    for number in range(Ledger.LONGEST + 5):
        ledger.add(LedgerEntry("v", "GET", f"/{number}", 200, "", 0))
    assert len(ledger.entries()) == Ledger.LONGEST
    assert ledger.entries()[-1].path == f"/{Ledger.LONGEST + 4}"


def test_the_clock_moves_both_ways():
    clock = Clock()
    before = clock.now()
    clock.advance(-100)
    assert clock.now() < before


# --- the command -----------------------------------------------------------------------------------------------------


@contextmanager
def calling_all_the_while(url: str) -> Iterator[None]:
    """Ask again and again over new connections, so that whatever happens meanwhile finds the server at work."""
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            with suppress(requests.RequestException):
                requests.post(url, json={}, timeout=5)

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        over.set()
        for caller in callers:
            caller.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_serves_and_stops_at_once(number: signal.Signals):
    command = [sys.executable, "manage.py", "sandbox", "--port", "0", "--fault", "anonymised.throttle=1x"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready "):
                break
        base = next(line.split()[1] for line in lines if line.startswith("anonymised"))
        assert base.endswith("/anonymised/api/public/v3")
        assert any("demo@northwind.example" in line for line in lines)
        assert post(f"{base}/login", json={}).status_code == 429
        assert post(f"{base}/login", json={}).status_code == 400
        with calling_all_the_while(f"{base}/login"):
            process.send_signal(number)
            assert process.wait(30) == 0
    finally:
        process.kill()


@pytest.mark.parametrize("fault", ["anonymised.throttle", "throttle=1x", "=1"])
def test_the_command_refuses_a_fault_it_cannot_read(fault: str):
    with pytest.raises(CommandError, match="NAME=VALUE"):
        call_command("sandbox", "--fault", fault)
