"""What the tests of the sandbox's mediarithmics share: a plain client, definitions and lines."""

from __future__ import annotations

import itertools
import json
from typing import Any

import requests

from audsync_web.sandbox.mediarithmics import DEMO_CREDENTIALS
from audsync_web.sandbox.server import Sandbox

HASHES = [f"{n:064x}" for n in range(1, 6)]
TOKEN = {"Authorization": DEMO_CREDENTIALS["apiToken"]}
IMPORT = {"document_type": "USER_SEGMENT", "mime_type": "APPLICATION_X_NDJSON", "encoding": "utf-8", "name": "run 1"}
SEGMENT = {"type": "USER_LIST", "feed_type": "FILE_IMPORT", "name": "Lapsed", "datamart_id": "1471"}
IMPORTS = "/datamarts/1471/document_imports"


class Client:
    """A plain client of one sandbox."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.root = f"{box.url}/mediarithmics/v1"
        self._runs = itertools.count(1)

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {**TOKEN, **options.pop("headers", {})}
        return requests.request(method, self.root + path, json=body, headers=headers, timeout=30, **options)

    def segment(self, name: str = "lapsed") -> str:
        made = self("POST", "/audience_segments?organisation_id=612", {**SEGMENT, "technical_name": name})
        return str(made.json()["data"]["id"])

    def document_import(self, **changes: Any) -> str:
        named = {**IMPORT, "name": f"acme run {next(self._runs)}", **changes}
        return str(self("POST", IMPORTS, named).json()["data"]["id"])

    def post(self, body: str | bytes, number: str = "", media_type: str = "application/x-ndjson") -> requests.Response:
        path = f"{IMPORTS}/{number or self.document_import()}/executions"
        return self("POST", path, data=body, headers={"Content-Type": media_type})

    def executions(self) -> list[dict[str, Any]]:
        return list(self.box.vendors["mediarithmics"].state()["executions"])

    def members(self, segment: str) -> list[str]:
        return list(self.box.vendors["mediarithmics"].control("members", {"segment": segment}))

    def later(self, seconds: float = 10) -> None:
        self.box.context.clock.advance(seconds)

    def switch(self, name: str, value: str = "1") -> None:
        self.box.context.faults.set(f"mediarithmics.{name}", value)

    def violations(self) -> str:
        return "\n".join(self.box.context.ledger.violations("mediarithmics"))


def update(segment: str, value: str = HASHES[0], minutes: Any = 60, **changes: Any) -> str:
    """A line that makes somebody a member; with `changes`, what it says otherwise (None leaves a field out)."""
    command = {"operation": "UPDATE", "email_hash": value, "segment_id": segment, "expiration_duration": minutes}
    return json.dumps({key: found for key, found in {**command, **changes}.items() if found is not None}) + "\n"
