"""What may be said about a file: its MD5, header, encoding, mode, packing and length."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from tests.api_world import csv_of, md5_of, upload
from tests.jobs_helper import run_until_quiet
from uploads.models import Delivery, Upload

from .kit import TOO_LARGE, nothing_was_kept, raw_post, url_of

pytestmark = pytest.mark.django_db(transaction=True)


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
