"""Trouble at a vendor is shown with its reason, waits, and mends itself once somebody has acted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from .stack import Stack, started, wait_for
from .test_main_job import ids

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with started(tmp_path) as stack:
        yield stack


def test_a_wrong_vendor_password_is_said_and_work_goes_on_once_it_is_right(stack: Stack) -> None:
    right = stack.account("anonymised", minSecondsBetweenUploads=0)
    wrong = {**right, "credentials": {**right["credentials"], "password": "not-the-right-one"}}
    stack.provision([wrong])
    made = stack.call("POST", "/segment", json={"name": "Waiting", "durationDays": 30, "type": "core"}).json()
    path = f"/segment/{made['id']}"

    def destination() -> dict[str, str]:
        found: dict[str, str] = stack.call("GET", path).json()["destinations"][0]
        return found

    wait_for(lambda: destination()["status"] == "needs attention", "the destination to say so", stack.log)
    assert "rejected" in str(destination()["error"])
    upload = stack.upload(made["id"], ids(100))
    shown = f"{path}/membership/upload/{upload['id']}"
    wait_for(lambda: bool(stack.call("GET", shown).json()["details"]), "the upload to say so", stack.log)
    assert stack.call("GET", shown).json()["status"] == "processing"
    logins = [entry for entry in stack.box.context.ledger.entries("anonymised") if entry.path.endswith("/login")]
    assert len(logins) <= 3, "a rejected login must not be tried again and again"
    stack.provision([right])
    stack.call("POST", f"{path}/publish")
    ended = stack.ended(upload)
    assert ended["status"] == "completed", ended
    assert stack.members("anonymised", destination()["remoteId"]) == set(ids(100))


def test_health_is_told_to_machines(stack: Stack) -> None:
    assert requests.get(f"{stack.url}/healthz", timeout=10).status_code == 200
    wait_for(lambda: requests.get(f"{stack.url}/readyz", timeout=10).status_code == 200, "readiness", stack.log)
