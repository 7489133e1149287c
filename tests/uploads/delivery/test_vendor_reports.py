"""A vendor's own error file is fetched, offered as it came, written down when taken, and gone when retention asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry, Company
from audsync_web.sandbox.server import Sandbox
from tests.api_world import BASE, make_segment, upload
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect, hurry
from uploads import files, housekeeping
from uploads.delivery.reports import report_names, vendor_report_name
from uploads.models import Delivery, Part, PartStatus, Upload

pytestmark = pytest.mark.django_db(transaction=True)

MEMBERS = [hashlib.sha256(f"person{number}@mail.example".encode()).hexdigest() for number in range(6)]


@pytest.fixture
def begun(box: Sandbox, actor: Actor, api: Client) -> Upload:
    """An upload to mediarithmics in two parts, of which each will have one line that fails twice."""
    hurry(box, "mediarithmics")
    box.context.faults.set("mediarithmics.partial", "1")
    connect(box, actor, "mediarithmics", identifier="email_sha256", maxPartLines=3)
    segment = make_segment(api)
    run_until_quiet(wait=8)
    made = upload(api, segment, "\n".join(["email_sha256", *MEMBERS, ""])).json()
    return Upload.objects.get(pk=made["id"])


@pytest.fixture
def refused(begun: Upload) -> Delivery:
    """Its delivery, which has ended."""
    run_until_quiet(wait=20)
    found: Delivery = Delivery.objects.select_related("upload", "vendor_account").get(upload=begun)
    assert (found.status, found.accepted, found.refused) == ("completed", 4, 2)
    return found


def url_of(delivery: Delivery) -> str:
    upload_url = f"{BASE}/segment/{delivery.segment_id}/membership/upload/{delivery.upload_id}"
    return f"{upload_url}/vendor-reports/{delivery.vendor_account_id}"


def test_the_lines_that_failed_can_be_downloaded_as_the_vendor_gave_them(
    refused: Delivery, api: Client, logged_in: Callable[[Any], Client], manager: Any
) -> None:
    client = logged_in(manager)
    path = f"/deliveries/{refused.pk}/vendor-report"
    assert path in client.get(f"/uploads/{refused.upload_id}").content.decode()
    for answer in (client.get(path), api.get(url_of(refused))):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        lines = answer.getvalue().decode().splitlines()
        assert len(lines) == 2, "one of each part"
        assert all("chosen fault" in line for line in lines)
    entries = AuditEntry.objects.filter(action="upload.vendor_report_download", object_id=str(refused.upload_id))
    assert entries.count() == 2
    assert not any(member in str(entry.detail) for entry in entries for member in MEMBERS)


def test_the_vendors_file_is_nobody_elses(
    refused: Delivery, stranger_api: Client, logged_in: Callable[[Any], Client], stranger: Any
) -> None:
    assert stranger_api.get(url_of(refused)).status_code == 404
    assert logged_in(stranger).get(f"/deliveries/{refused.pk}/vendor-report").status_code == 404


def test_where_the_vendor_left_no_file_there_is_none_to_download(
    refused: Delivery, api: Client, logged_in: Callable[[Any], Client], manager: Any
) -> None:
    Delivery.objects.update(vendor_report="")
    client = logged_in(manager)
    assert "vendor-report" not in client.get(f"/uploads/{refused.upload_id}").content.decode()
    assert client.get(f"/deliveries/{refused.pk}/vendor-report").status_code == 404
    assert api.get(url_of(refused)).status_code == 404


@pytest.mark.parametrize("status", [PartStatus.FAILED, PartStatus.CANCELLED, PartStatus.UNCERTAIN])
def test_retention_deletes_the_files_of_every_part_however_it_ended(
    refused: Delivery, company: Company, api: Client, status: PartStatus
) -> None:
    Part.objects.update(status=status, refused=None, resends=0)
    names = [vendor_report_name(refused, number) for number in (1, 2)]
    assert all(files.exists(name) for name in names)
    Upload.objects.update(created_at=timezone.now() - timedelta(days=company.keep_reports_days + 1))
    housekeeping.enforce_retention()
    assert not any(files.exists(name) for name in names)
    assert api.get(url_of(refused)).status_code == 410


def test_retention_deletes_what_a_delivery_leaves_after_its_uploads_reports_were_deleted(
    begun: Upload, company: Company, request: pytest.FixtureRequest
) -> None:
    long_ago = timezone.now() - timedelta(days=company.keep_reports_days + 1)
    Upload.objects.update(created_at=long_ago, report_gone_at=timezone.now())
    late: Delivery = request.getfixturevalue("refused")
    names = report_names(late)
    assert len([name for name in names if files.exists(name)]) >= 2
    housekeeping.enforce_retention()
    assert not any(files.exists(name) for name in names)
    begun.refresh_from_db()
    assert begun.report_gone_at is not None
