"""What the tests of the sandbox's Xandr share: a client that may do everything wrong."""

from __future__ import annotations

from typing import Any

import requests

from audsync_web.sandbox.server import Sandbox
from audsync_web.sandbox.xandr import DEMO_CREDENTIALS, DEMO_MEMBER

OCTETS = {"Content-Type": "application/octet-stream"}
UUID = "6f1c2a90-3b7d-4e58-9a41-0d5c7be2f813"


class Caller:
    """A client of the sandbox that may do everything wrong."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.url = f"{box.url}/xandr"
        self.token = self.login()["response"]["token"]
        self.http = requests.Session()
        self.http.trust_env = False

    def login(self, **changes: str) -> dict[str, Any]:
        body = {"auth": {**DEMO_CREDENTIALS, **changes}}
        answer: dict[str, Any] = requests.post(f"{self.url}/auth", json=body, timeout=30).json()
        return answer

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": self.token, **options.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, timeout=30, **options)

    def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.call(method, path, **options).json()["response"]
        return answer

    def segment(self, **fields: Any) -> dict[str, Any]:
        body = {
            "member_id": DEMO_MEMBER,
            "code": "one",
            "short_name": "One",
            "state": "active",
            "expire_minutes": 1440,
            **fields,
        }
        return self.ask("POST", f"/segment?member_id={DEMO_MEMBER}", json={"segment": body})

    def open_job(self) -> dict[str, Any]:
        job: dict[str, Any] = self.ask("POST", f"/batch-segment?member_id={DEMO_MEMBER}")["batch_segment_upload_job"]
        return job

    def upload(self, job: dict[str, Any], body: bytes, headers: dict[str, str] | None = None) -> requests.Response:
        return requests.post(job["upload_url"], data=body, headers=OCTETS if headers is None else headers, timeout=30)

    def job(self, job_id: str) -> Any:
        path = f"/batch-segment?member_id={DEMO_MEMBER}&job_id={job_id}"
        return self.ask("GET", path)["batch_segment_upload_job"]

    def run(self, *lines: str, newline: str = "\n", end: str = "\n") -> dict[str, Any]:
        """Upload lines and answer the finished job."""
        job = self.open_job()
        self.upload(job, (newline.join(lines) + end).encode("latin-1"))
        self.box.context.clock.advance(60)
        done: dict[str, Any] = self.job(job["job_id"])
        return done

    def control(self, action: str, **arguments: Any) -> Any:
        return self.box.vendors["xandr"].control(action, arguments)

    def switch(self, name: str, value: str | None) -> None:
        self.box.context.faults.set(f"xandr.{name}", value)

    @property
    def violations(self) -> str:
        return "\n".join(self.box.context.ledger.violations("xandr"))
