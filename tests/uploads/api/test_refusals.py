"""Files that cannot be taken: every code and text of the contract, and that nothing of them is kept."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from audsync_web.people.models import Company
from tests.api_world import BASE, csv_of, upload
from tests.jobs_helper import run_until_quiet
from uploads import files
from uploads.inspection import job as inspection
from uploads.models import Upload

from .kit import ONE_COLUMN, TOO_LARGE, nothing_was_kept, raw_post, url_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "header"),
        (b"user123\nuser456\n", "header"),
        (b"provider_id\n", "no member"),
        (b"provider_id\nuser\xe9\n", "UTF-8"),
        (b"\n\n", "header"),
    ],
)
def test_a_file_that_cannot_be_taken_is_400_with_the_reason(
    api: Client, segment: dict[str, Any], before: list[Path], content: bytes, text: str
) -> None:
    answer = raw_post(api, url_of(segment), io.BytesIO(content), CONTENT_LENGTH=str(len(content)))
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert text.lower() in answer.json()["error"].lower()
    assert nothing_was_kept(before)


def test_two_columns_are_refused_in_the_vendors_words(api: Client, segment: dict[str, Any], before: list[Path]) -> None:
    answer = upload(api, segment, "provider_id,name\nuser001,John\n")
    assert (answer.status_code, answer.json()) == (400, ONE_COLUMN)
    assert nothing_was_kept(before)


def test_a_kind_that_no_destination_takes_is_refused(api: Client, segment: dict[str, Any], before: list[Path]) -> None:
    answer = upload(api, segment, "xandr_id\n123\n")
    assert answer.status_code == 400
    assert "xandr_id" in answer.json()["error"]
    assert nothing_was_kept(before)


def test_a_file_beyond_the_limit_is_413_at_once_by_its_length(
    api: Client, segment: dict[str, Any], settings: Any, before: list[Path]
) -> None:
    settings.MAX_UPLOAD_BYTES = 100
    answer = upload(api, segment, csv_of("x" * 100))
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)
    assert nothing_was_kept(before)


def test_a_chunked_file_beyond_the_limit_is_413_during_the_stream(
    api: Client, segment: dict[str, Any], settings: Any, before: list[Path]
) -> None:
    settings.MAX_UPLOAD_BYTES = 100
    stream = io.BytesIO(csv_of(*("y" * 20 for _ in range(20))).encode())
    answer = raw_post(api, url_of(segment), stream, HTTP_TRANSFER_ENCODING="chunked")
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)
    assert stream.read() == b"", "the rest was not read, so the answer may not arrive"
    assert nothing_was_kept(before)


def test_a_refused_body_is_read_to_its_end_up_to_64_mib(api: Client, segment: dict[str, Any]) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            Endless.given += size
            return b"a,b\n" * (size // 4)

    answer = raw_post(api, url_of(segment), Endless(), HTTP_TRANSFER_ENCODING="chunked")
    assert (answer.status_code, answer.json()) == (400, ONE_COLUMN)
    assert 64 * 2**20 <= Endless.given <= 66 * 2**20


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_another_media_type_is_415(api: Client, segment: dict[str, Any], media_type: str) -> None:
    answer = upload(api, segment, csv_of("a"), content_type=media_type)
    assert answer.status_code == 415
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("media_type", ["text/csv; charset=utf-8", "TEXT/CSV", "text/csv;header=present"])
def test_parameters_of_the_media_type_do_not_count(api: Client, segment: dict[str, Any], media_type: str) -> None:
    assert upload(api, segment, csv_of("a"), content_type=media_type).status_code == 201


def test_a_body_without_length_is_411(api: Client, segment: dict[str, Any]) -> None:
    answer = raw_post(api, url_of(segment), io.BytesIO(b""))
    assert answer.status_code == 411


def test_a_body_that_ends_early_leaves_nothing_behind(api: Client, segment: dict[str, Any], before: list[Path]) -> None:
    answer = raw_post(api, url_of(segment), io.BytesIO(b"provider_id\na1\na2\n"), CONTENT_LENGTH="5000")
    assert answer.status_code == 400
    assert nothing_was_kept(before)


def test_a_full_disk_is_507_and_leaves_nothing_behind(
    api: Client, segment: dict[str, Any], company: Company, before: list[Path]
) -> None:
    Company.objects.filter(pk=company.pk).update(max_stored_bytes=10)
    answer = upload(api, segment, csv_of("a1", "a2"))
    assert answer.status_code == 507
    assert "quota" in answer.json()["error"]
    assert nothing_was_kept(before)


def test_a_stream_stops_before_the_room_that_is_reserved(
    api: Client, segment: dict[str, Any], before: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOOK_EVERY", 1)
    left = iter([10**12, 10**12, files.RESERVED_BYTES - 1])
    monkeypatch.setattr("uploads.files.shutil.disk_usage", lambda _: SimpleNamespace(free=next(left)))
    stream = io.BytesIO(csv_of(*(f"member-{number}" for number in range(200_000))).encode())
    answer = raw_post(api, url_of(segment), stream, HTTP_TRANSFER_ENCODING="chunked")
    assert answer.status_code == 507
    assert "MB needed" in answer.json()["error"]
    assert nothing_was_kept(before)


@pytest.mark.parametrize(
    "full", [OSError(errno.ENOSPC, "No space left on device"), OperationalError("database or disk is full")]
)
def test_a_disk_that_is_full_while_a_file_is_inspected_delays_it_and_loses_nothing(
    api: Client, segment: dict[str, Any], monkeypatch: pytest.MonkeyPatch, full: Exception
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise full

    made = upload(api, segment, csv_of("a1", "a2")).json()
    with monkeypatch.context() as patched:
        patched.setattr(inspection, "build_members", fails)
        run_until_quiet()
    row = Upload.objects.get(pk=made["id"])
    assert row.finished_at is None
    assert row.next_action_at is not None
    assert row.next_action_at > timezone.now()
    Upload.objects.update(next_action_at=timezone.now())
    run_until_quiet()
    assert api.get(url_of(segment, f"/{made['id']}")).json()["status"] == "completed"


def test_a_database_without_room_is_told_as_507(
    api: Client, segment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: Any) -> Any:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr("uploads.api.tus.partial_create", fails)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}
    answer = api.post(f"{BASE}/segment/{segment['id']}/membership/tus", b"", content_type="", headers=headers)
    assert answer.status_code == 507
    assert "disk is full" in answer.json()["error"]


def test_an_archived_segment_takes_no_upload(api: Client, segment: dict[str, Any]) -> None:
    api.patch(f"{BASE}/segment/{segment['id']}", {"status": "archived"}, content_type="application/json")
    assert upload(api, segment, csv_of("a1")).status_code == 409
