"""What the tests of the sandbox's Anonymised share: a partner's script."""

from __future__ import annotations

from typing import Any

import requests

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS
from audsync_web.sandbox.server import Sandbox

ORIGIN = "https://account.anonymised.io"
GOOD = b"provider_id\nacme-0001\nacme-0002\nacme-0003\n"
UNKNOWN_UPLOAD = "0b9f2c1e-5a44-4a0e-9a55-2d8a7a1f6c10"


class Partner:
    """A partner's script: the seven calls and nothing clever."""

    def __init__(self, box: Sandbox, credentials: dict[str, str] = DEMO_CREDENTIALS) -> None:
        self.box = box
        self.base = box.base_url("anonymised")
        self.http = requests.Session()
        token = self.login(credentials).json()["token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def login(self, body: Any, **headers: str) -> requests.Response:
        sent = {"Origin": ORIGIN, **headers}
        return requests.post(f"{self.base}/login", json=body, headers=sent, timeout=30)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, f"{self.base}{path}", timeout=30, **options)

    def create(self, name: str = "Lapsed | 7f3a", **changes: Any) -> requests.Response:
        return self.call("POST", "/segment", json={"name": name, "durationDays": 90, "type": "core", **changes})

    def segment(self, name: str = "Lapsed | 7f3a", *, published: bool = False) -> int:
        made = int(self.create(name).json()["id"])
        if published:
            self.call("POST", f"/segment/{made}/publish")
        return made

    def upload(self, segment: int, body: Any = GOOD, **headers: str) -> requests.Response:
        sent = {"Content-Type": "text/csv", **headers}
        return self.call("POST", f"/segment/{segment}/membership/upload", data=body, headers=sent)

    def status(self, segment: int, upload: str) -> str:
        return str(self.call("GET", f"/segment/{segment}/membership/upload/{upload}").json()["status"])

    def active(self, segment: int) -> str | None:
        answer = self.call("GET", f"/segment/{segment}/membership")
        return answer.json()["activeMembershipUploadId"] if answer.status_code == 200 else None

    def wait(self, seconds: float = 60) -> None:
        self.box.context.clock.advance(seconds)

    def switch(self, name: str, value: str = "1") -> None:
        self.box.context.faults.set(f"anonymised.{name}", value)

    @property
    def violations(self) -> list[str]:
        return self.box.context.ledger.violations("anonymised")
