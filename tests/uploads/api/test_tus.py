"""Resumable uploads: a tus client of others, the browser's session, every rule of the protocol we speak."""

from __future__ import annotations

import base64
import io
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from tusclient.client import TusClient

from audsync_web.people.models import Company, User
from audsync_web.people.tokens import login_token_issue
from tests.api_world import BASE, csv_of, md5_of
from tests.conftest import LoggedIn
from tests.factories import make_actor
from tests.jobs_helper import run_until_quiet
from uploads import files
from uploads.housekeeping import drop_unfinished_uploads
from uploads.intake import partials
from uploads.models import PartialUpload, Upload

pytestmark = pytest.mark.django_db(transaction=True)

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = "application/offset+octet-stream"
MEMBERS = csv_of(*(f"member-{n:06d}" for n in range(5000))).encode()


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def create(api: Client, segment: dict[str, Any], length: int, content: bytes = b"", **headers: str) -> Any:
    extra = {"content_type": PIECE} if content else {"content_type": ""}
    return api.post(
        f"{BASE}/segment/{segment['id']}/membership/tus",
        content,
        headers={**TUS, "Upload-Length": str(length), **{k.replace("_", "-"): v for k, v in headers.items()}},
        **extra,  # type: ignore[arg-type]
    )


def append(api: Client, url: str, offset: int, content: bytes, **headers: str) -> Any:
    return api.patch(url, content, content_type=PIECE, headers={**TUS, "Upload-Offset": str(offset), **headers})


@pytest.fixture
def token(marketer: User, company: Company) -> str:
    return login_token_issue(actor=make_actor(marketer, company, via="api"))


def test_a_tus_client_of_somebody_else_uploads_in_pieces(
    live_server: Any, segment: dict[str, Any], token: str, tmp_path: Path
) -> None:
    (tmp_path / "members.csv").write_bytes(MEMBERS)
    client = TusClient(
        f"{live_server.url}{BASE}/segment/{segment['id']}/membership/tus",
        headers={"Authorization": f"Bearer {token}"},
    )
    uploader = client.uploader(
        str(tmp_path / "members.csv"), chunk_size=20_000, metadata={"filename": "members.csv", "mode": "add"}
    )
    uploader.upload()
    upload = Upload.objects.get()
    assert uploader.request is not None
    assert uploader.request.response_headers["upload-id"] == str(upload.pk)
    assert (upload.file_name, upload.mode, upload.bytes) == ("members.csv", "add", len(MEMBERS))
    run_until_quiet(kinds=("uploads.inspection",))
    upload.refresh_from_db()
    assert (upload.records, upload.members, upload.md5) == (5000, 5000, md5_of(MEMBERS))


def test_a_tus_client_resumes_where_the_connection_broke(live_server: Any, segment: dict[str, Any], token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    client = TusClient(f"{live_server.url}{BASE}/segment/{segment['id']}/membership/tus", headers=headers)
    first = client.uploader(file_stream=io.BytesIO(MEMBERS), chunk_size=10_000)
    first.upload_chunk()  # type: ignore[no-untyped-call]
    again = client.uploader(file_stream=io.BytesIO(MEMBERS), url=first.url, chunk_size=50_000)
    assert again.offset == 10_000
    again.upload()
    assert _original(Upload.objects.get()) == MEMBERS


def _bytes_of(url: str) -> list[Path]:
    """The files in which an unfinished upload lies."""
    found = Path(settings.DATA_DIR).rglob(f"partial/{url.rpartition('/')[2]}*")
    return [path for place in found for path in (place, *place.rglob("*")) if path.is_file()]


def _original(upload: Upload) -> bytes:
    with default_storage.open(upload.original, "rb") as stored:
        return bytes(stored.read())


def test_what_arrived_before_a_cut_connection_is_kept_and_can_be_gone_on_with_within_seconds(
    live_server: Any, api: Client, segment: dict[str, Any], manager: User, company: Company
) -> None:
    url = create(api, segment, len(MEMBERS)).headers["Location"]
    path = "/" + url.split("/", 3)[3]
    secret = login_token_issue(actor=make_actor(manager, company, via="api"))
    address = (live_server.thread.host, live_server.thread.port)
    with socket.create_connection(address) as connection:
        head = (
            f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\nTus-Resumable: 1.0.0\r\n"
            f"Upload-Offset: 0\r\nContent-Type: {PIECE}\r\nContent-Length: {len(MEMBERS)}\r\n\r\n"
        )
        connection.sendall(head.encode() + MEMBERS[:30_000])
    deadline = time.monotonic() + 60
    offset = 0
    while offset < 30_000 and time.monotonic() < deadline:
        offset = int(api.head(path, headers=TUS).headers["Upload-Offset"])
        time.sleep(0.05)
    assert offset == 30_000
    while (answer := append(api, path, offset, MEMBERS[offset:])).status_code == 409:
        assert time.monotonic() < deadline, "the request that was left behind still holds the upload"
        time.sleep(0.1)
    assert answer.status_code == 204
    assert _original(Upload.objects.get()) == MEMBERS


def test_creation_may_bring_the_whole_file(api: Client, segment: dict[str, Any]) -> None:
    answer = create(api, segment, len(MEMBERS), MEMBERS, Upload_Metadata=metadata(filename="a/b.csv"))
    assert answer.status_code == 201
    assert answer.headers["Upload-Offset"] == str(len(MEMBERS))
    upload = Upload.objects.get(pk=answer.headers["Upload-Id"])
    assert upload.file_name == "b.csv"
    assert _original(upload) == MEMBERS


def test_the_browser_uploads_with_its_session_and_csrf_token(
    segment: dict[str, Any], marketer: User, company: Company, logged_in: LoggedIn
) -> None:
    browser = logged_in(marketer, company, enforce_csrf_checks=True)
    refused = create(browser, segment, 30)
    assert refused.status_code == 403
    assert not PartialUpload.objects.exists()
    browser.get("/login")
    csrf = browser.cookies["audsync_csrf"].value if "audsync_csrf" in browser.cookies else "x" * 32
    browser.cookies["audsync_csrf"] = csrf
    made = create(browser, segment, 30, X_CSRFToken=csrf)
    assert made.status_code == 201
    assert PartialUpload.objects.get().user == marketer


def test_bytes_at_another_offset_are_refused_and_change_nothing(api: Client, segment: dict[str, Any]) -> None:
    url = create(api, segment, len(MEMBERS)).headers["Location"]
    assert append(api, url, 0, MEMBERS[:100]).headers["Upload-Offset"] == "100"
    for offset in (0, 99, 101):
        answer = append(api, url, offset, b"x" * 10)
        assert answer.status_code == 409
        assert set(answer.json()) == {"error"}
    assert api.head(url, headers=TUS).headers["Upload-Offset"] == "100"


def test_two_requests_at_once_cannot_both_append(api: Client, segment: dict[str, Any]) -> None:
    create(api, segment, len(MEMBERS))
    partial = PartialUpload.objects.get()
    seen: list[str] = []

    def slow() -> Any:
        yield MEMBERS[:50]
        other = PartialUpload.objects.get(pk=partial.pk)
        with pytest.raises(partials.OffsetConflict) as refusal:
            partials.partial_append(other, 0, iter([b"y" * 50]))
        seen.append(str(refusal.value))
        yield MEMBERS[50:100]

    partials.partial_append(partial, 0, slow())
    assert "Another request" in seen[0]
    assert partial.offset == 100


def test_a_request_that_was_left_behind_cannot_move_the_offset_any_more(
    api: Client, segment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partials, "HOLD", timedelta(0))
    create(api, segment, len(MEMBERS))
    partial = PartialUpload.objects.get()

    def overtaken() -> Any:
        yield MEMBERS[:10]
        newer = threading.Thread(
            target=partials.partial_append,
            args=(PartialUpload.objects.get(pk=partial.pk), 0, iter([MEMBERS[:200]])),
        )
        newer.start()
        newer.join()
        yield MEMBERS[10:20]

    with pytest.raises(partials.OffsetConflict):
        partials.partial_append(partial, 0, overtaken())
    partial.refresh_from_db()
    assert partial.offset == 200


def test_more_bytes_than_announced_are_refused(api: Client, segment: dict[str, Any]) -> None:
    url = create(api, segment, 10).headers["Location"]
    assert append(api, url, 0, b"x" * 11).status_code == 400
    assert api.head(url, headers=TUS).headers["Upload-Offset"] == "0"


def test_a_file_larger_than_allowed_is_refused_before_it_is_sent(
    api: Client, segment: dict[str, Any], settings: Any
) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    assert create(api, segment, 1001).status_code == 413
    answer = api.options(f"{BASE}/segment/{segment['id']}/membership/tus")
    assert answer.status_code == 204
    assert answer.headers["Tus-Max-Size"] == "1000"
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert "creation" in answer.headers["Tus-Extension"].split(",")


@pytest.mark.parametrize("version", ["0.2.2", ""])
def test_another_version_of_the_protocol_is_412(api: Client, segment: dict[str, Any], version: str) -> None:
    answer = create(api, segment, 10, Tus_Resumable=version)
    assert answer.status_code == 412
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Resumable"] == "1.0.0"


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "merge"},
        {"hold": "perhaps"},
        {"header": "some"},
        {"kind": "shoe_size"},
        {"column": "-1"},
        {"delimiter": "xx"},
        {"hasHeader": "2"},
    ],
)
def test_an_option_that_nobody_knows_is_refused_by_name(
    api: Client, segment: dict[str, Any], given: dict[str, str]
) -> None:
    answer = create(api, segment, 10, Upload_Metadata=metadata(**given))
    assert answer.status_code == 400
    assert next(iter(given)) in answer.json()["error"]
    assert not PartialUpload.objects.exists()


def test_a_note_that_no_database_can_store_is_refused_by_name(api: Client, segment: dict[str, Any]) -> None:
    answer = create(api, segment, 10, Upload_Metadata=metadata(relativePath="a\0b"))
    assert answer.status_code == 400
    assert "relativePath" in answer.json()["error"]
    assert not PartialUpload.objects.exists()


@pytest.mark.parametrize("concat", ["partial", "final;/a /b"])
def test_a_part_of_a_file_is_never_taken_for_the_whole_list(api: Client, segment: dict[str, Any], concat: str) -> None:
    answer = create(api, segment, len(MEMBERS), MEMBERS, Upload_Concat=concat)
    assert answer.status_code == 400
    assert not Upload.objects.exists()
    assert not PartialUpload.objects.exists()


def test_two_files_on_their_way_cannot_both_use_the_last_of_the_quota(
    api: Client, segment: dict[str, Any], company: Company
) -> None:
    Company.objects.filter(pk=company.pk).update(max_stored_bytes=len(MEMBERS) * 3 // 2)
    urls = [create(api, segment, len(MEMBERS)).headers["Location"] for _ in range(2)]
    answers = [append(api, url, 0, MEMBERS) for url in urls]
    assert [answer.status_code for answer in answers] == [204, 507]
    assert "quota" in answers[1].json()["error"]
    assert Upload.objects.count() == 1
    assert api.head(urls[1], headers=TUS).headers["Upload-Offset"] == str(len(MEMBERS)), "what arrived is lost"


def test_a_column_of_several_is_taken(api: Client, segment: dict[str, Any]) -> None:
    content = b"name;provider_id\nAda;a1\nBob;b2\n"
    options = metadata(column="1", delimiter=";", hold="true")
    assert create(api, segment, len(content), content, Upload_Metadata=options).status_code == 201
    run_until_quiet(kinds=("uploads.inspection",))
    upload = Upload.objects.get()
    assert (upload.status, upload.members) == ("ready", 2)


def test_an_upload_of_somebody_else_is_nowhere(
    api: Client, marketer_api: Client, stranger_api: Client, segment: dict[str, Any]
) -> None:
    url = create(api, segment, len(MEMBERS)).headers["Location"]
    for other in (marketer_api, stranger_api):
        assert other.head(url, headers=TUS).status_code == 404
        assert append(other, url, 0, b"x").status_code == 404
        assert other.delete(url, headers=TUS).status_code == 404
    assert api.head(f"{BASE}/segment/{segment['id']}/membership/tus/{uuid.uuid4()}", headers=TUS).status_code == 404


def test_giving_an_upload_up_frees_its_bytes(api: Client, segment: dict[str, Any]) -> None:
    url = create(api, segment, len(MEMBERS), MEMBERS[:500]).headers["Location"]
    assert _bytes_of(url)
    assert api.delete(url, headers=TUS).status_code == 204
    assert api.head(url, headers=TUS).status_code == 404
    assert not _bytes_of(url)


def test_an_upload_that_was_not_finished_in_time_is_gone(api: Client, segment: dict[str, Any]) -> None:
    url = create(api, segment, len(MEMBERS), MEMBERS[:500]).headers["Location"]
    PartialUpload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert append(api, url, 500, MEMBERS[500:]).status_code == 410
    drop_unfinished_uploads()
    assert api.head(url, headers=TUS).status_code == 404
    assert not _bytes_of(url)


def test_a_proxy_that_knows_no_patch_is_got_around(api: Client, segment: dict[str, Any]) -> None:
    url = create(api, segment, len(MEMBERS)).headers["Location"]
    answer = api.post(
        url,
        MEMBERS,
        content_type=PIECE,
        headers={**TUS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"},
    )
    assert answer.status_code == 204
    assert Upload.objects.filter(pk=answer.headers["Upload-Id"]).exists()


def test_the_same_creation_again_with_its_key_makes_one_upload(api: Client, segment: dict[str, Any]) -> None:
    first = create(api, segment, len(MEMBERS), MEMBERS, Idempotency_Key="once")
    again = create(api, segment, len(MEMBERS), MEMBERS, Idempotency_Key="once")
    assert first.headers["Location"] == again.headers["Location"]
    assert again.headers["Upload-Id"] == first.headers["Upload-Id"] == str(Upload.objects.get().pk)


def test_pieces_are_objects_of_their_own_where_storage_is_remote(
    api: Client, segment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "is_local", lambda: False)
    url = create(api, segment, len(MEMBERS), MEMBERS[:400]).headers["Location"]
    assert append(api, url, 400, MEMBERS[400:900]).status_code == 204
    answer = append(api, url, 900, MEMBERS[900:])
    assert answer.status_code == 204
    assert _original(Upload.objects.get()) == MEMBERS
    assert not _bytes_of(url)


def test_a_piece_counts_as_arrived_only_once_remote_storage_has_it(
    api: Client, segment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "is_local", lambda: False)
    monkeypatch.setattr(partials, "PROGRESS_SECONDS", 0)
    url = create(api, segment, len(MEMBERS), MEMBERS[:400]).headers["Location"]
    partial = PartialUpload.objects.get()
    seen: list[int] = []

    def coming() -> Iterator[bytes]:
        for start in (400, 500, 600):
            yield MEMBERS[start : start + 100]
            seen.append(PartialUpload.objects.get().offset)

    with monkeypatch.context() as broken:
        broken.setattr(default_storage, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            partials.partial_append(partial, 400, coming())
    partial.refresh_from_db()
    assert (seen, partial.offset, partial.locked_until) == ([400, 400, 400], 400, None)
    partials.partial_append(partial, 400, coming())
    assert PartialUpload.objects.get().offset == 700
    assert append(api, url, 700, MEMBERS[700:]).status_code == 204
    assert _original(Upload.objects.get()) == MEMBERS
