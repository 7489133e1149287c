"""Anonymised keeps the promises of every connector."""

from __future__ import annotations

from typing import ClassVar

from .anonymised_kit import MEMBERS
from .contract import ConnectorContract


class TestAnonymisedContract(ConnectorContract):
    vendor = "anonymised"
    base_path = "/api/public/v3"
    wrong_credentials: ClassVar[dict[str, str]] = {"password": "not-the-demo-password"}
    members: ClassVar[list[str]] = MEMBERS
