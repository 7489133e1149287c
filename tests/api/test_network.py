"""Tests stay on this machine."""

from __future__ import annotations

import socket

import pytest

from tests.network import NetworkBlocked


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_a_test_cannot_reach_another_machine(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(NetworkBlocked):
        sock.connect(address)


def test_names_of_other_machines_are_not_looked_up() -> None:
    with pytest.raises(NetworkBlocked):
        socket.getaddrinfo("vendor.example", 443)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
