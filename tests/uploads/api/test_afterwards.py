"""What may be done with an upload afterwards: cancel, retry, read its rejections, see it as the active membership."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audsync_web.people.models import AuditEntry
from tests.api_world import BASE, csv_of, upload
from tests.jobs_helper import run_until_quiet
from uploads.models import Delivery, DeliveryStatus, Upload

from .kit import url_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_cancelling_answers_202_and_then_409(api: Client, segment: dict[str, Any]) -> None:
    made = upload(api, segment, csv_of("a1")).json()
    answer = api.post(url_of(segment, f"/{made['id']}/cancel"))
    assert answer.status_code == 202
    assert answer.json()["id"] == made["id"]
    run_until_quiet(wait=8)
    one = api.get(url_of(segment, f"/{made['id']}")).json()
    assert (one["status"], one["deliveries"][0]["status"]) == ("failed", "cancelled")
    assert one["details"]
    assert api.post(url_of(segment, f"/{made['id']}/cancel")).status_code == 409


def test_a_retry_sends_what_failed_and_is_409_when_nothing_did(api: Client, segment: dict[str, Any], box: Any) -> None:
    made = upload(api, segment, csv_of("a1", "a2")).json()
    path = url_of(segment, f"/{made['id']}")
    assert api.post(f"{path}/retry").status_code == 409
    api.post(f"{path}/cancel")
    run_until_quiet(wait=8)
    answer = api.post(f"{path}/retry")
    assert answer.status_code == 202
    run_until_quiet(wait=8)
    one = api.get(path).json()
    assert (one["status"], len(one["deliveries"])) == ("completed", 1)
    assert api.post(f"{path}/retry").status_code == 409


def test_a_retry_is_409_when_a_newer_upload_was_accepted(api: Client, segment: dict[str, Any]) -> None:
    old = upload(api, segment, csv_of("a1")).json()
    api.post(url_of(segment, f"/{old['id']}/cancel"))
    run_until_quiet(wait=8)
    upload(api, segment, csv_of("a2"))
    assert api.post(url_of(segment, f"/{old['id']}/retry")).status_code == 409


def test_marketers_handle_their_own_uploads_only(api: Client, marketer_api: Client, segment: dict[str, Any]) -> None:
    own, others = (upload(client, segment, csv_of("a1")).json()["id"] for client in (marketer_api, api))
    assert marketer_api.get(url_of(segment, f"/{others}")).status_code == 200
    for call in ("cancel", "retry"):
        assert marketer_api.post(url_of(segment, f"/{others}/{call}")).status_code == 403
    assert marketer_api.post(url_of(segment, f"/{own}/cancel")).status_code == 202


def test_rejected_rows_are_a_csv_with_line_and_reason_and_the_look_is_audited(
    api: Client, segment: dict[str, Any]
) -> None:
    made = upload(api, segment, "provider_id\na1\nbad,row\nb1\nx\x07y\n").json()
    answer = api.get(url_of(segment, f"/{made['id']}/rejections"), headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    lines = answer.getvalue().decode().splitlines()
    assert lines[0] == "line,vendor,code,reason,what_to_do,value"
    assert [line.split(",")[0] for line in lines[1:]] == ["3", "5"]
    entry = AuditEntry.objects.filter(object_id=made["id"]).order_by("-pk")[0]
    assert entry.action.startswith("upload.rejections")
    assert "bad" not in str(entry.detail)


def test_a_report_that_is_no_longer_kept_is_410(api: Client, segment: dict[str, Any]) -> None:
    made = upload(api, segment, csv_of("a1")).json()
    row = Upload.objects.get(pk=made["id"])
    Upload.objects.filter(pk=row.pk).update(report_gone_at=row.created_at)
    assert api.get(url_of(segment, f"/{made['id']}/rejections")).status_code == 410


def test_the_active_membership_is_the_newest_that_every_destination_acknowledged(
    api: Client, segment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segments.api.PUBLISH_WAIT_SECONDS", 0.0)
    path = f"{BASE}/segment/{segment['id']}/membership"
    first = upload(api, segment, csv_of("a1", "a2")).json()
    run_until_quiet(wait=8)
    assert api.get(path).status_code == 404
    api.post(f"{BASE}/segment/{segment['id']}/publish")
    run_until_quiet(wait=8)
    active = api.get(path).json()
    assert set(active) == {"segmentId", "activeMembershipUploadId", "createdAt"}
    assert active["activeMembershipUploadId"] == first["id"]
    second = upload(api, segment, csv_of("b1", "b2", "b3"), "?mode=add").json()
    assert api.get(path).json()["activeMembershipUploadId"] == first["id"]
    run_until_quiet(wait=8)
    assert api.get(path).json()["activeMembershipUploadId"] == second["id"]
    assert api.get(f"{BASE}/segment/{segment['id']}").json()["size"] == 5
    Delivery.objects.filter(upload=second["id"]).update(status=DeliveryStatus.FAILED)
    assert api.get(path).json()["activeMembershipUploadId"] == first["id"]
