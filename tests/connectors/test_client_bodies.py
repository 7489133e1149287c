"""The shared HTTP client: what it sends and reads, block by block."""

from __future__ import annotations

import io
import threading

import pytest
import responses

from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.errors import (
    NotYet,
    Permanent,
)
from audsync_web.vendors.connectors.streams import SizedStream

from .canned_server import Canned, CannedServer
from .client_kit import BASE, make


def test_a_file_goes_out_with_its_length_in_blocks():
    content, beats = bytes(2_500_000), []
    with CannedServer(Canned()) as server:
        body = SizedStream(io.BytesIO(content), len(content), lambda: beats.append(1))
        make(server.url).effect("POST", "/thing", data=body)
        _, _, headers, received = server.requests[0]
    assert headers["Content-Length"] == str(len(content))
    assert "Transfer-Encoding" not in headers
    assert received == content
    assert len(beats) == 3


def test_a_file_that_has_shrunk_is_noticed_before_the_vendor_waits_for_the_rest():
    with CannedServer(Canned()) as server, pytest.raises(Permanent) as refused:
        make(server.url).effect("POST", "/thing", data=SizedStream(io.BytesIO(bytes(1000)), 2000))
    assert refused.value.code == "part_damaged"


def test_a_file_that_has_grown_is_sent_only_as_far_as_was_promised():
    with CannedServer(Canned()) as server:
        make(server.url).effect("POST", "/thing", data=SizedStream(io.BytesIO(bytes(3000)), 2000))
        assert len(server.requests[0][3]) == 2000


def test_a_file_may_be_sent_again_from_where_it_began():
    source = io.BytesIO(b"header" + bytes(1_500_000))
    source.seek(6)
    body = SizedStream(source, 1_500_000)
    with CannedServer(Canned()) as server:
        for _ in range(2):
            make(server.url).effect("POST", "/thing", data=body)
        assert [received for *_, received in server.requests] == [bytes(1_500_000)] * 2


def test_the_time_that_the_vendor_takes_to_answer_can_be_used():
    answered, used = threading.Event(), []

    def use() -> None:
        used.append(answered.is_set())
        answered.set()

    with CannedServer(Canned(stall=answered)) as server:
        make(server.url).effect("POST", "/thing", data=SizedStream(io.BytesIO(b"abc"), 3, on_sent=use))
        assert server.requests[0][3] == b"abc"
    assert used == [False], "once, when the body was out and before the answer came"


def test_calls_that_differ_in_their_body_only_have_each_its_own_body_and_length():
    headers = {"Authorization": "Bearer first"}
    with CannedServer(Canned()) as server:
        client = make(server.url)
        for body in (b"12345", b"12", SizedStream(io.BytesIO(b"123456789"), 9)):
            client.effect("POST", "/thing", data=body, headers=headers)
        client.effect("POST", "/thing", data=b"1", headers={"Authorization": "Bearer second"})
        client.effect("POST", "/other", data=b"1", headers=headers)
        client.read("GET", "/thing", headers=headers)
        seen = [
            (path, body, sent.get("Content-Length"), sent["Authorization"]) for _, path, sent, body in server.requests
        ]
    assert seen == [
        ("/thing", b"12345", "5", "Bearer first"),
        ("/thing", b"12", "2", "Bearer first"),
        ("/thing", b"123456789", "9", "Bearer first"),
        ("/thing", b"1", "1", "Bearer second"),
        ("/other", b"1", "1", "Bearer first"),
        ("/thing", b"", None, "Bearer first"),
    ]


class Lease(Exception):
    """A stop that the engine raises."""


@pytest.mark.parametrize("stop", [Lease(), NotYet("stopped", retry_after=1)], ids=["foreign", "ours"])
def test_a_stop_in_the_middle_of_a_body_comes_out_as_itself(stop: Exception):
    def raise_it() -> None:
        raise stop

    with CannedServer(Canned()) as server, pytest.raises(type(stop)) as raised:
        make(server.url).effect("POST", "/thing", data=SizedStream(io.BytesIO(bytes(3_000_000)), 3_000_000, raise_it))
    assert raised.value is stop


def test_an_endless_answer_is_cut_off(vendor: responses.RequestsMock):
    vendor.add("GET", f"{BASE}/thing", body=bytes(200_000))
    with pytest.raises(Permanent) as refused:
        make().read("GET", "/thing", max_bytes=100_000)
    assert refused.value.code == "answer_too_large"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[1]", {}),
        (b"<html>", {}),
        (b"", {}),
        (b"\xff\xfe", {}),
        (b'{"a": 1}', {"a": 1}),
        (b'{"a": ' + b"[" * 3000 + b"]" * 3000 + b"}", {}),
        (b'{"a": "\\ud83d\\ude00 \\ud800"}', {"a": "\N{GRINNING FACE} ?"}),
        (b'{"a": NaN}', {"a": None}),
    ],
)
def test_an_answer_that_is_no_object_reads_as_an_empty_one(body: bytes, value: dict[str, object]):
    assert Reply(200, {}, body).object() == value
