"""The shared HTTP client: where its calls go, and where they never do."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import responses

from audsync_web.vendors.connectors.errors import (
    Permanent,
)

from .canned_server import Canned, CannedServer
from .client_kit import BASE, make


def test_a_redirect_on_the_same_host_is_followed_for_reads(vendor: responses.RequestsMock):
    vendor.add("GET", f"{BASE}/old", status=302, headers={"Location": "/v1/new"})
    vendor.add("GET", f"{BASE}/new", json={"here": True})
    assert make().read("GET", "/old").object() == {"here": True}


@pytest.mark.parametrize(
    ("method", "location"),
    [
        ("GET", "https://elsewhere.example/v1/thing"),
        ("GET", "http://vendor.example/v1/thing"),
        ("GET", "https://vendor.example:8443/v1/thing"),
        ("GET", "//elsewhere.example/thing"),
        ("POST", "/v1/new"),
    ],
)
def test_other_redirects_are_refused(vendor: responses.RequestsMock, method: str, location: str):
    vendor.add(method, f"{BASE}/old", status=302, headers={"Location": location})
    with pytest.raises(Permanent) as refused:
        make().effect(method, "/old", headers={"Authorization": "Bearer demo"})
    assert refused.value.code == "redirect_refused"
    assert len(vendor.calls) == 1


def test_a_redirect_in_a_circle_ends(vendor: responses.RequestsMock):
    vendor.add("GET", f"{BASE}/round", status=302, headers={"Location": "/v1/round"})
    with pytest.raises(Permanent, match="circle"):
        make().read("GET", "/round")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_private_address_is_refused_by_the_peer_of_the_connection(host: str):
    with CannedServer(Canned()) as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(Permanent) as refused:
            make(f"http://{host}:{port}", allow_private_hosts=False).read("GET", "/thing")
        assert refused.value.code == "private_address"
        assert server.requests == []


def test_a_name_that_turns_private_after_the_first_look_up_is_refused(monkeypatch: pytest.MonkeyPatch):
    original = socket.getaddrinfo

    def rebound(host: str, *rest: Any, **named: Any) -> Any:
        return original("127.0.0.1" if host == "vendor.example" else host, *rest, **named)

    with CannedServer(Canned()) as server:
        monkeypatch.setattr(socket, "getaddrinfo", rebound)
        port = server.url.rpartition(":")[2]
        with pytest.raises(Permanent) as refused:
            make(f"http://vendor.example:{port}", allow_private_hosts=False).read("GET", "/thing")
        assert refused.value.code == "private_address"
        assert server.requests == []


@pytest.mark.parametrize("value", ["..", ".", ""])
def test_an_id_cannot_rewrite_the_path(vendor: responses.RequestsMock, value: str):
    with pytest.raises(Permanent) as refused:
        make().effect("DELETE", "/segment/{id}/members", values={"id": value})
    assert refused.value.code == "bad_path"
    assert len(vendor.calls) == 0


def test_values_are_escaped_into_one_piece_of_the_path():
    with CannedServer(Canned()) as server:
        make(server.url).read("GET", "/thing/{id}", values={"id": "a/b?c#d é"})
        assert server.requests[0][1] == "/thing/a%2Fb%3Fc%23d%20%C3%A9"
