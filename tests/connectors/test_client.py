"""The shared HTTP client: what it never does, and how it sorts what goes wrong."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
import responses

from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.errors import (
    MAX_VENDOR_TEXT,
    AuthenticationFailed,
    NotYet,
    Permanent,
    RemoteMissing,
    TooLarge,
    Transient,
    UnknownOutcome,
    not_naming,
)

from .canned_server import Canned, CannedServer
from .client_kit import BASE, make

# --- sorting answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "on_read", "on_effect"),
    [
        (400, Permanent, Permanent),
        (401, AuthenticationFailed, AuthenticationFailed),
        (403, AuthenticationFailed, AuthenticationFailed),
        (404, RemoteMissing, RemoteMissing),
        (408, Transient, UnknownOutcome),
        (409, Permanent, Permanent),
        (413, TooLarge, TooLarge),
        (429, Transient, Transient),
        (500, Transient, UnknownOutcome),
        (502, Transient, UnknownOutcome),
        (503, Transient, UnknownOutcome),
    ],
)
def test_each_status_has_one_family(
    vendor: responses.RequestsMock, status: int, on_read: type[Exception], on_effect: type[Exception]
):
    vendor.add("POST", f"{BASE}/thing", json={"error": "no"}, status=status)
    for call, family in ((make().read, on_read), (make().effect, on_effect)):
        with pytest.raises(family) as raised:
            call("POST", "/thing")
        assert type(raised.value) is family
    assert len(vendor.calls) == 2, "an answer is never asked for again by the client itself"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("99999999", 86_400.0),
        ("soon", None),
        ("", None),
        ("²", None),
        ("1e999", None),
    ],
)
def test_retry_after_in_seconds(header: str, seconds: float | None):
    assert Reply(429, {"Retry-After": header}, b"").retry_after() == seconds


def test_retry_after_as_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    wait = Reply(429, {"Retry-After": later}, b"").retry_after()
    assert wait is not None
    assert 80 < wait <= 90
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)
    assert Reply(429, {"Retry-After": past}, b"").retry_after() == 0


@pytest.mark.parametrize(
    ("header", "pause", "wait"),
    [({}, 1.0, None), ({"Retry-After": "0"}, 1.0, 1.0), ({"Retry-After": "9"}, 9.0, 9.0)],
    ids=["without a wish", "at once", "in seconds"],
)
def test_being_throttled_is_told_to_the_connector(
    vendor: responses.RequestsMock, header: dict[str, str], pause: float, wait: float | None
):
    told: list[float] = []
    vendor.add("GET", f"{BASE}/thing", status=429, headers=header)
    with pytest.raises(Transient) as slowed:
        make(throttled=told.append).read("GET", "/thing")
    assert told == [pause]
    assert slowed.value.retry_after == wait


def test_statuses_that_the_caller_reads_itself_are_given_back(vendor: responses.RequestsMock):
    vendor.add("GET", f"{BASE}/thing", status=404)
    assert make().read("GET", "/thing", accept=(404,)).status == 404


def test_a_token_that_a_vendor_repeats_is_struck_out_also_across_the_cut(vendor: responses.RequestsMock):
    said = "x" * (MAX_VENDOR_TEXT - 4) + "token-of-today"
    vendor.add("GET", f"{BASE}/thing", json={"error": f"no: token-of-today {said}"}, status=400)
    with pytest.raises(Permanent) as refused:
        make().read("GET", "/thing", headers={"Authorization": "Bearer token-of-today"})
    assert refused.value.vendor_text.startswith("no: ••• xxx")
    assert "tok" not in refused.value.vendor_text


def test_a_person_is_struck_out_also_across_the_cut():
    person = "ann@mail.example"
    with pytest.raises(Permanent) as refused, not_naming(person):
        raise Permanent("Refused.", vendor_text="x" * (MAX_VENDOR_TEXT - 5) + person)
    assert refused.value.vendor_text.endswith("x•••")


def test_a_vendors_words_are_cut_and_secrets_struck_out(vendor: responses.RequestsMock):
    vendor.add("GET", f"{BASE}/thing", json={"error": "bad key demo-secret " + "x" * 2000}, status=400)
    with pytest.raises(Permanent) as refused:
        make(secrets=("demo-secret", "")).read("GET", "/thing")
    assert refused.value.vendor_text.startswith("bad key ••• xxx")
    assert len(refused.value.vendor_text) == 500
    assert "demo-secret" not in str(refused.value)


# --- sending once, reading again -------------------------------------------------------------------------------------


def test_a_read_is_tried_three_times_when_the_vendor_hangs_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("audsync_web.vendors.connectors.client.time.sleep", lambda seconds: None)
    with CannedServer(Canned(drop=True)) as server:
        with pytest.raises(Transient):
            make(server.url).read("GET", "/thing")
        assert len(server.requests) == 3


def test_a_read_may_be_told_not_to_repeat():
    with CannedServer(Canned(drop=True)) as server:
        with pytest.raises(Transient):
            make(server.url).read("POST", "/login", retries=0)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("call", "family"), [("effect", UnknownOutcome), ("read", Transient)])
def test_a_call_that_is_made_while_another_error_is_dealt_with_is_judged_for_itself(call: str, family: type[Exception]):
    with CannedServer(Canned(drop=True)) as server:
        again = getattr(make(server.url), call)
        try:
            raise RemoteMissing("The call before found nothing.")
        except RemoteMissing:
            with pytest.raises(family):
                again("POST", "/again")


def test_an_effect_is_sent_once_and_its_lost_answer_is_unknown():
    with CannedServer(Canned(drop=True)) as server:
        with pytest.raises(UnknownOutcome):
            make(server.url).effect("POST", "/thing", json_body={})
        assert len(server.requests) == 1


def test_an_effect_that_never_reached_the_vendor_is_transient():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: refused at once
        with pytest.raises(Transient):
            make(f"http://127.0.0.1:{held.getsockname()[1]}").effect("POST", "/thing")


def test_a_slow_answer_times_out_as_unknown_for_an_effect():
    stall = threading.Event()
    with CannedServer(Canned(stall=stall)) as server:
        with pytest.raises(UnknownOutcome):
            make(server.url).effect("POST", "/thing", timeout=0.2)
        stall.set()


def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("audsync_web.vendors.connectors.client.SLOWEST_ANSWER", 1.0)
    told_all = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            line, _ = listening.accept()
            with line, contextlib.suppress(OSError):
                line.recv(65536)
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")
                for _ in range(2000):
                    time.sleep(0.05)
                    line.sendall(b"x")
                told_all.set()

        threading.Thread(target=drip, daemon=True).start()
        with pytest.raises(Transient):
            make(f"http://127.0.0.1:{listening.getsockname()[1]}").read("GET", "/thing", timeout=0.3, retries=0)
    assert not told_all.is_set(), "the whole answer was waited for"


@pytest.mark.parametrize("packed", [False, True])
def test_a_packed_or_plain_answer_is_read_whole(packed: bool):
    text = json.dumps({"long": "y" * 300_000}).encode()
    headers = {"Content-Encoding": "gzip"} if packed else {}
    with CannedServer(Canned(200, gzip.compress(text) if packed else text, headers)) as server:
        assert make(server.url).read("GET", "/thing").body == text


def test_pacing_comes_before_each_request_and_may_refuse_it(vendor: responses.RequestsMock):
    def refuse(method: str) -> None:
        raise NotYet("later", retry_after=30)

    vendor.add("GET", f"{BASE}/thing")
    with pytest.raises(NotYet):
        make(pace=refuse).read("GET", "/thing")
    assert len(vendor.calls) == 0


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["line\nbreak-demo-secret", "ключ-demo-secret"])
def test_a_credential_that_no_header_takes_is_refused_without_showing_it(value: str):
    with CannedServer(Canned()) as server:
        with pytest.raises(Permanent) as refused:
            make(server.url).effect("POST", "/thing", headers={"X-Key": value})
        assert server.requests == []
    assert "demo-secret" not in f"{refused.value} {refused.value!r}"
    assert refused.value.code == "unsendable_value"


def test_logs_hold_the_template_and_nothing_of_the_values(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    with CannedServer(Canned()) as server:
        make(server.url).read(
            "GET",
            "/people/{id}",
            values={"id": "mo@northwind.example"},
            params={"q": "secret-query"},
            headers={"Authorization": "Bearer demo-token"},
        )
        make(server.url).read("GET", f"{server.url}/upload?token=demo-token", absolute=True)
    assert "/people/{id}" in caplog.text
    for hidden in ("northwind", "secret-query", "demo-token"):
        assert hidden not in caplog.text


def test_the_environments_proxies_and_netrc_are_not_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with CannedServer(Canned()) as server:
        assert make(server.url).read("GET", "/thing").ok


@pytest.mark.parametrize(
    ("fault", "on_read", "on_effect"),
    [
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), Transient, UnknownOutcome),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), Permanent, Permanent),
    ],
)
def test_an_encrypted_connection_that_breaks_says_nothing_about_what_was_done(
    vendor: responses.RequestsMock, fault: ssl.SSLError, on_read: type[Exception], on_effect: type[Exception]
) -> None:
    for method in ("GET", "POST"):
        vendor.add(method, f"{BASE}/x", body=requests.exceptions.SSLError(fault))
    with pytest.raises(on_read) as read:
        make().read("GET", "/x")
    with pytest.raises(on_effect) as effect:
        make().effect("POST", "/x")
    assert (read.type, effect.type) == (on_read, on_effect)
