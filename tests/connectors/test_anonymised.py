"""Anonymised against its sandbox, over HTTP."""

from __future__ import annotations

from typing import ClassVar

from .contract import ConnectorContract


class TestAnonymisedContract(ConnectorContract):
    vendor = "anonymised"
    base_path = "/api/public/v3"
    wrong_credentials: ClassVar[dict[str, str]] = {"password": "not-the-demo-password"}
    members: ClassVar[list[str]] = [f"member-{number:04}" for number in range(40)]
