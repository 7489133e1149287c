"""Rejected rows and the receipt, and the uploads that a segment's page shows."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from audsync_web.people.models import AuditEntry
from tests.uploads.kit import make_delivery, make_upload
from uploads.models import Part

from .kit import ready


def test_rejected_rows_are_grouped_and_their_download_is_written_down(
    logged_in: Any, manager: Any, segment: Any
) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, content=b'provider_id\na1\n"b,c"\n"d,e"\n')
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "Rejected rows" in page
    answer = client.get(f"/uploads/{upload.pk}/rejections")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0] == "line,vendor,code,reason,what_to_do,value"
    assert [line.split(",")[0] for line in lines[1:]] == ["3", "4"]
    assert AuditEntry.objects.filter(action="upload.rejections_download", object_id=str(upload.pk)).exists()


def test_a_report_that_is_no_longer_kept_is_not_given_as_an_empty_one(
    logged_in: Any, manager: Any, segment: Any
) -> None:
    upload = make_upload(segment, report_gone_at=timezone.now())
    assert logged_in(manager).get(f"/uploads/{upload.pk}/rejections").status_code == 404
    assert not AuditEntry.objects.filter(action="upload.rejections_download").exists()


def test_the_download_can_be_of_one_reason(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, content=b'provider_id\na1\n"b,c"\n')
    answer = client.get(f"/uploads/{upload.pk}/rejections?code=empty_value")
    assert len(b"".join(answer.streaming_content).splitlines()) == 1


def test_the_receipt_comes_as_page_json_and_csv(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, sha256="ab" * 32, uploaded_by=manager)
    numbers: dict[str, Any] = {
        "adds": 8,
        "sent": 8,
        "members": 8,
        "accepted": 7,
        "refused": 1,
        "planned_at": timezone.now(),
    }
    delivery = make_delivery(upload, segment.destinations.get(), **numbers)
    Part.objects.create(delivery=delivery, number=1, job_id="job-77", quota_scope="scope")
    client = logged_in(manager)
    url = f"/uploads/{upload.pk}/receipt"
    assert "job-77" in client.get(url).content.decode()
    told = client.get(f"{url}?format=json").json()
    assert told["file"]["sha256"] == "ab" * 32
    assert told["deliveries"][0]["vendorJobIds"] == ["job-77"]
    assert told["deliveries"][0]["counts"]["accepted"] == 7
    rows = b"".join(client.get(f"{url}?format=csv").streaming_content).decode().splitlines()
    assert len(rows) == 2
    assert "job-77" in rows[1]


def test_the_segments_part_shows_its_uploads(logged_in: Any, marketer: Any, segment: Any) -> None:
    make_upload(segment, file_name="spring.csv")
    assert "spring.csv" in logged_in(marketer).get(f"/segments/{segment.pk}/uploads").content.decode()
