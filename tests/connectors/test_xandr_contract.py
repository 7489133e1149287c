"""Xandr keeps the promises of every connector."""

from __future__ import annotations

from .contract import ConnectorContract


class TestXandrContract(ConnectorContract):
    vendor = "xandr"
    wrong_credentials = {"password": "wrong-password"}
    members = [str(3_141_592_653_589_000_000 + number) for number in range(40)]
    effects = {"create": ["create"], "publish": ["publish"], "send": ["job", "upload"]}
