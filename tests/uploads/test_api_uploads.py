"""`POST /segment/{id}/membership/upload` and what follows: every code and text of the contract."""

from __future__ import annotations

import base64
import errno
import gzip
import hashlib
import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.storage import default_storage
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from audsync_web.people.models import AuditEntry, Company, User
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from tests.api_world import BASE, csv_of, make_segment, md5_of, upload
from tests.jobs_helper import run_until_quiet
from uploads import files, inspection
from uploads.models import Delivery, DeliveryStatus, Upload, UploadStatus

pytestmark = pytest.mark.django_db(transaction=True)

TOO_LARGE = {"error": "file size exceeds maximum allowed size"}
ONE_COLUMN = {"error": "invalid CSV header: expected exactly one column"}


@pytest.fixture
def segment(api: Client, account: VendorAccount) -> dict[str, Any]:
    return make_segment(api)


def url_of(segment: dict[str, Any], rest: str = "") -> str:
    return f"{BASE}/segment/{segment['id']}/membership/upload{rest}"


def raw_post(api: Client, path: str, stream: Any, **environ: Any) -> Any:
    """A request whose body is what the server hands over, as it does for chunked ones."""
    return api.generic("POST", path, b"", **{"wsgi.input": stream, "CONTENT_TYPE": "text/csv", **environ})


def stored_files() -> list[Path]:
    return [path for path in Path(django_settings.DATA_DIR, "files").rglob("upload-*/*") if path.is_file()]


def nothing_was_kept(before: list[Path]) -> bool:
    return stored_files() == before and not Upload.objects.exists()


@pytest.fixture
def before() -> list[Path]:
    return stored_files()


# --- files that are refused ------------------------------------------------------------------------------------------


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

    monkeypatch.setattr("uploads.tus.partial_create", fails)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}
    answer = api.post(f"{BASE}/segment/{segment['id']}/membership/tus", b"", content_type="", headers=headers)
    assert answer.status_code == 507
    assert "disk is full" in answer.json()["error"]


def test_an_archived_segment_takes_no_upload(api: Client, segment: dict[str, Any]) -> None:
    api.patch(f"{BASE}/segment/{segment['id']}", {"status": "archived"}, content_type="application/json")
    assert upload(api, segment, csv_of("a1")).status_code == 409


# --- MD5 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda digest: digest.hex(),
        lambda digest: digest.hex().upper(),
        lambda digest: base64.b64encode(digest).decode(),
    ],
)
def test_the_right_md5_is_taken_in_hex_and_base64(
    api: Client, segment: dict[str, Any], write: Callable[[bytes], str]
) -> None:
    content = csv_of("a1", "a2")
    digest = hashlib.md5(content.encode(), usedforsecurity=False).digest()
    assert upload(api, segment, content, headers={"X-Content-MD5": write(digest)}).status_code == 201


@pytest.mark.parametrize("value", ["$MD5_HASH", "", "abc", md5_of(b"another file"), "zz" * 16])
def test_a_wrong_or_unreadable_md5_is_400(api: Client, segment: dict[str, Any], before: list[Path], value: str) -> None:
    answer = upload(api, segment, csv_of("a1"), headers={"X-Content-MD5": value})
    assert answer.status_code == 400
    assert "MD5" in answer.json()["error"]
    assert nothing_was_kept(before)


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["?mode=merge", "?header=none", "?kind=shoe", "?maxRemovedShare=2", "?maxRemovedShare=x", "?encoding=klingon"],
)
def test_an_option_that_nobody_knows_is_400(api: Client, segment: dict[str, Any], query: str) -> None:
    answer = upload(api, segment, csv_of("a1"), query)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


def test_any_single_column_is_taken_when_asked(api: Client, segment: dict[str, Any]) -> None:
    assert upload(api, segment, "whatever\na1\n").status_code == 400
    assert upload(api, segment, "whatever\na1\n", "?header=any").json()["recordsCount"] == 1


def test_another_encoding_is_taken_when_named(api: Client, segment: dict[str, Any]) -> None:
    content = "provider_id\nJosé\n".encode("latin-1")
    assert upload(api, segment, content).status_code == 400
    made = upload(api, segment, content, "?encoding=latin-1")
    assert (made.status_code, made.json()["recordsCount"]) == (201, 1)


@pytest.mark.parametrize("mode", ["replace", "add", "remove"])
def test_the_mode_is_taken_and_shown(api: Client, segment: dict[str, Any], mode: str) -> None:
    assert upload(api, segment, csv_of("a1"), f"?mode={mode}").json()["mode"] == mode


def test_bad_rows_are_rejections_and_blank_lines_are_no_rows(api: Client, segment: dict[str, Any]) -> None:
    made = upload(api, segment, "provider_id\na1\n\na,2\r\na3\n\n").json()
    assert (made["recordsCount"], made["rejectedCount"]) == (3, 1)


def test_a_gzip_body_is_unpacked_and_its_md5_is_that_of_the_file(api: Client, segment: dict[str, Any]) -> None:
    content = csv_of(*(f"m{n}" for n in range(1000))).encode()
    headers = {"Content-Encoding": "gzip", "X-Content-MD5": md5_of(content)}
    made = upload(api, segment, gzip.compress(content), headers=headers)
    assert made.status_code == 201, made.content
    assert (made.json()["uploadedBytes"], made.json()["fileMD5"]) == (len(content), md5_of(content))


@pytest.mark.parametrize(("limit", "content"), [(2000, b"z" * 3000), (200, None)])
def test_the_size_limit_holds_unpacked_and_on_the_wire(
    api: Client, segment: dict[str, Any], settings: Any, limit: int, content: bytes | None
) -> None:
    settings.MAX_UPLOAD_BYTES = limit
    unpacked = csv_of(*("z" * 30 for _ in range(100))).encode() if content else uuid.uuid4().hex.encode() * 3
    packed = gzip.compress(unpacked, 9 if content else 0)
    packed += b"" if content else b"\0" * 300
    answer = upload(api, segment, packed, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)


def test_a_packing_that_we_do_not_speak_is_415(api: Client, segment: dict[str, Any]) -> None:
    assert upload(api, segment, b"x", headers={"Content-Encoding": "br"}).status_code == 415


def test_a_chunked_body_is_taken(api: Client, segment: dict[str, Any]) -> None:
    stream = io.BytesIO(csv_of("a1", "a2").encode())
    answer = raw_post(api, url_of(segment), stream, HTTP_TRANSFER_ENCODING="chunked")
    made = json.loads(answer.getvalue())
    assert (answer.status_code, made["recordsCount"]) == (201, 2)
    run_until_quiet(wait=8)
    assert api.get(url_of(segment, f"/{made['id']}")).json()["status"] == "completed"


def test_a_chunked_body_whose_sender_vanished_is_never_delivered(api: Client, segment: dict[str, Any]) -> None:
    stream = io.BytesIO(csv_of("a1", "a2", "\0").encode())
    given = {"HTTP_TRANSFER_ENCODING": "chunked", "HTTP_IDEMPOTENCY_KEY": "again"}
    answer = raw_post(api, url_of(segment), stream, **given)
    received = Upload.objects.get()
    pieces = iter(answer.streaming_content)
    next(pieces)
    run_until_quiet()
    assert not Delivery.objects.get().is_live, "work began before the sender was heard of"
    answer.close()
    run_until_quiet(wait=6)
    row = Upload.objects.get()
    assert (row.status, Delivery.objects.get().status) == ("cancelled", "cancelled")
    assert "connection" in api.get(url_of(segment, f"/{row.pk}")).json()["details"]
    assert not any(default_storage.exists(name) for name in (received.original, received.report)), "half a list is kept"
    assert api.post(url_of(segment, f"/{row.pk}/retry")).status_code == 409
    again = raw_post(api, url_of(segment), io.BytesIO(csv_of("a1", "a2", "a3").encode()), **given)
    assert json.loads(again.getvalue())["id"] != str(row.pk)


def test_a_chunked_body_with_its_md5_needs_no_such_care(api: Client, segment: dict[str, Any]) -> None:
    content = csv_of("a1").encode()
    given = {"HTTP_TRANSFER_ENCODING": "chunked", "HTTP_X_CONTENT_MD5": md5_of(content)}
    assert raw_post(api, url_of(segment), io.BytesIO(content), **given).json()["recordsCount"] == 1
    assert raw_post(api, url_of(segment), io.BytesIO(content[:-2]), **given).status_code == 400


def test_more_removals_than_allowed_fail_the_upload_with_the_figures(api: Client, segment: dict[str, Any]) -> None:
    upload(api, segment, csv_of(*(f"a{n}" for n in range(10))))
    run_until_quiet(wait=8)
    made = upload(api, segment, csv_of("a1"), "?maxRemovedShare=0.2").json()
    run_until_quiet(wait=8)
    one = api.get(url_of(segment, f"/{made['id']}")).json()
    assert one["status"] == "failed"
    assert "9" in one["details"]
    assert "10" in one["details"]


# --- Idempotency-Key -------------------------------------------------------------------------------------------------


def test_the_same_key_and_body_get_the_first_answer_and_nothing_is_done_twice(
    api: Client, segment: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = (upload(api, segment, csv_of("a1"), headers=key) for _ in range(2))
    assert first.content == again.content
    assert (again.status_code, again.headers["Content-Type"]) == (201, first.headers["Content-Type"])
    assert Upload.objects.count() == 1
    assert upload(api, segment, csv_of("a2"), headers=key).status_code == 422


def test_a_refusal_is_kept_and_a_413_is_not(api: Client, segment: dict[str, Any], settings: Any) -> None:
    bad = "provider_id,name\na,b\n"
    assert upload(api, segment, bad, headers={"Idempotency-Key": "bad"}).status_code == 400
    assert upload(api, segment, csv_of("a1"), headers={"Idempotency-Key": "bad"}).status_code == 422
    assert upload(api, segment, bad, headers={"Idempotency-Key": "bad"}).json() == ONE_COLUMN
    settings.MAX_UPLOAD_BYTES = 5
    assert upload(api, segment, csv_of("a1"), headers={"Idempotency-Key": "big"}).status_code == 413
    settings.MAX_UPLOAD_BYTES = 5000
    assert upload(api, segment, csv_of("a1"), headers={"Idempotency-Key": "big"}).status_code == 201


def test_the_first_answer_comes_again_when_the_segment_was_archived_since(api: Client, segment: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "one"}
    first = upload(api, segment, csv_of("a1"), headers=key)
    path = f"{BASE}/segment/{segment['id']}"
    assert api.patch(path, {"status": "archived"}, content_type="application/json").status_code == 200
    again = upload(api, segment, csv_of("a1"), headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert upload(api, segment, csv_of("a1")).status_code == 409


def test_a_conflict_is_kept_as_any_refusal_is(api: Client, segment: dict[str, Any]) -> None:
    path, key = f"{BASE}/segment/{segment['id']}", {"Idempotency-Key": "one"}
    api.patch(path, {"status": "archived"}, content_type="application/json")
    first = upload(api, segment, csv_of("a1"), headers=key)
    assert first.status_code == 409
    api.patch(path, {"status": "created"}, content_type="application/json")
    again = upload(api, segment, csv_of("a1"), headers=key)
    assert (again.status_code, again.content) == (409, first.content)
    assert upload(api, segment, csv_of("a1")).status_code == 201


def test_keys_of_different_people_do_not_meet(api: Client, marketer_api: Client, segment: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "shared"}
    first, second = (upload(client, segment, csv_of("a1"), headers=key).json() for client in (api, marketer_api))
    assert first["id"] != second["id"]


# --- lists, one, statuses --------------------------------------------------------------------------------------------


def make_uploads(segment: dict[str, Any], user: User, count: int) -> list[Upload]:
    row = Segment.objects.get(pk=segment["id"])
    made = [
        Upload(company_id=row.company_id, segment=row, uploaded_by=user, status="delivering", records=5, bytes=50)
        for _ in range(count)
    ]
    return Upload.objects.bulk_create(made)


def test_the_list_is_a_bare_array_newest_first_with_a_link_to_the_rest(
    api: Client, segment: dict[str, Any], manager: User
) -> None:
    rows = sorted(make_uploads(segment, manager, 5), key=lambda row: (row.created_at, row.pk), reverse=True)
    made = [str(row.pk) for row in rows]
    answer = api.get(url_of(segment))
    assert [row["id"] for row in answer.json()] == made
    assert "Link" not in answer.headers
    assert not {"details", "deliveries"} & set(answer.json()[0])
    seen, path = [], url_of(segment, "?limit=2")
    while path:
        answer = api.get(path)
        seen += [row["id"] for row in answer.json()]
        link = answer.headers.get("Link", "")
        assert not link or link.endswith('; rel="next"')
        path = link.removeprefix("<").partition(">")[0]
    assert seen == made


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=1001", "?limit=x", "?before=x", "?before=00000000-0000-4000-8000-000000000000"]
)
def test_a_wrong_page_is_400(api: Client, segment: dict[str, Any], query: str) -> None:
    assert api.get(url_of(segment, query)).status_code == 400


@pytest.mark.parametrize("count", [1, 30])
def test_a_list_costs_as_many_queries_for_many_as_for_one(
    api: Client, segment: dict[str, Any], manager: User, count: int, django_assert_num_queries: Any
) -> None:
    make_uploads(segment, manager, count)
    api.get(url_of(segment))
    with django_assert_num_queries(4):
        assert len(api.get(url_of(segment)).json()) == count


@pytest.mark.parametrize("count", [1, 6])
def test_one_upload_costs_as_many_queries_for_many_deliveries_as_for_one(
    api: Client, segment: dict[str, Any], count: int, django_assert_num_queries: Any
) -> None:
    made = upload(api, segment, csv_of("a1")).json()
    delivery = Delivery.objects.get()
    for _ in range(count - 1):
        delivery.pk = None
        delivery.save()
    api.get(url_of(segment))
    with django_assert_num_queries(5):
        assert len(api.get(url_of(segment, f"/{made['id']}")).json()["deliveries"]) == 1


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("receiving", "pending"),
        ("inspecting", "pending"),
        ("ready", "pending"),
        ("delivering", "processing"),
        ("completed", "completed"),
        ("partial", "failed"),
        ("failed", "failed"),
        ("cancelled", "failed"),
    ],
)
def test_every_status_is_said_in_the_vendors_words(
    api: Client, segment: dict[str, Any], manager: User, ours: str, theirs: str
) -> None:
    row = make_uploads(segment, manager, 1)[0]
    ended = row.created_at if ours in {"completed", "partial", "failed", "cancelled"} else None
    Upload.objects.filter(pk=row.pk).update(status=UploadStatus(ours), finished_at=ended)
    assert api.get(url_of(segment, f"/{row.pk}")).json()["status"] == theirs


@pytest.mark.parametrize("upload_id", ["1", "not-a-uuid", "%F0", "00000000-0000-4000-8000-000000000000"])
def test_an_id_that_is_none_is_404(api: Client, segment: dict[str, Any], upload_id: str) -> None:
    answer = api.get(url_of(segment, f"/{upload_id}"))
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


def test_an_upload_of_another_segment_is_404(api: Client, segment: dict[str, Any]) -> None:
    other = make_segment(api, name="Another")
    made = upload(api, segment, csv_of("a1")).json()
    assert api.get(url_of(other, f"/{made['id']}")).status_code == 404


# --- cancel, retry, rejections ---------------------------------------------------------------------------------------


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


# --- the active membership -------------------------------------------------------------------------------------------


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
