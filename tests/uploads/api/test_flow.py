"""The main job by the API: create, upload, publish, see it live."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from segments import api as segments_api
from tests.api_world import BASE, csv_of, make_segment, md5_of, upload
from tests.jobs_helper import run_until_quiet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def publish_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_api, "PUBLISH_WAIT_SECONDS", 0.0)


def read(api: Client, path: str) -> Any:
    answer = api.get(f"{BASE}{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_file_is_live_at_the_vendor_and_answers_as_its_page_says(
    api: Client, account: VendorAccount, box: Sandbox
) -> None:
    segment = make_segment(api)
    assert segment["status"] == "created"
    assert segment["publicName"] == ""
    assert segment["size"] == 0
    content = csv_of("user1", "user2", "user2", "user3")
    answer = upload(api, segment, content, headers={"X-Content-MD5": md5_of(content)})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert set(made) == {
        "id", "segmentId", "status", "uploadedBytes", "recordsCount", "fileMD5", "createdAt", "updatedAt",
        "mode", "uniqueCount", "duplicateCount", "rejectedCount", "deliveries",
    }  # fmt: skip
    assert made["status"] == "pending"
    assert (made["recordsCount"], made["uniqueCount"], made["duplicateCount"]) == (4, None, None)
    assert made["uploadedBytes"] == len(content)
    assert made["fileMD5"] == md5_of(content)
    run_until_quiet(wait=8)
    one = read(api, f"/segment/{segment['id']}/membership/upload/{made['id']}")
    assert one["status"] == "completed", one
    assert (one["uniqueCount"], one["duplicateCount"], one["details"]) == (3, 1, None)
    delivery = one["deliveries"][0]
    assert delivery["vendorAccountId"] == account.pk
    assert (delivery["status"], delivery["adds"], delivery["sent"], delivery["accepted"]) == ("completed", 3, 3, 3)
    assert len(delivery["remoteJobIds"]) == 1
    assert api.get(f"{BASE}/segment/{segment['id']}/membership").status_code == 404
    answer = api.post(f"{BASE}/segment/{segment['id']}/publish")
    assert (answer.status_code, answer.json()["status"]) == (202, "publishing")
    run_until_quiet(wait=8)
    answer = api.post(f"{BASE}/segment/{segment['id']}/publish")
    assert (answer.status_code, answer.json()["status"]) == (200, "published")
    live = read(api, f"/segment/{segment['id']}")
    assert live["size"] == 3
    assert live["publicName"]
    assert live["activatedAt"].endswith("Z")
    active = read(api, f"/segment/{segment['id']}/membership")
    assert active["activeMembershipUploadId"] == made["id"]
    remote = live["destinations"][0]["remoteId"]
    assert set(box.vendors["anonymised"].control("members", {"segment": remote})) == {"user1", "user2", "user3"}
