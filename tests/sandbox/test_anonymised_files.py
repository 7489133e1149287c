"""The sandbox's Anonymised: the files that it takes, and those that it refuses."""

from __future__ import annotations

import hashlib

import pytest

from .anonymised_kit import GOOD, Partner


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (GOOD, 3),
        (GOOD.replace(b"\n", b"\r\n"), 3),
        (GOOD[:-1], 3),
        (b"provider_id\n" + "né\n".encode(), 1),
        (b"provider_id\n" + b"".join(b"%08d\n" % n for n in range(200_000)), 200_000),
    ],
    ids=["LF", "CRLF", "no last line end", "UTF-8", "several blocks"],
)
def test_a_good_file_is_counted_and_hashed(partner: Partner, body: bytes, records: int):
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    answer = partner.upload(partner.segment(), body, **{"X-Content-MD5": md5.upper()})
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["status"], shown["recordsCount"], shown["uploadedBytes"]) == ("pending", records, len(body))
    assert shown["fileMD5"] == md5
    assert "details" not in shown
    assert partner.violations == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"provider_id,email\nacme-0001,x\n", "invalid CSV header: expected exactly one column"),
        (b"", "invalid CSV header: expected exactly one column"),
        (b"acme-0001\nacme-0002\n", "invalid CSV header: expected provider_id"),
        (b"provider_id\nacme-0001,acme-0002\n", "invalid CSV row: expected exactly one value"),
        (b"provider_id\n", "invalid CSV: no rows"),
        (b"provider_id\na\n\nb\n", "invalid CSV: blank line"),
        (b"provider_id\r\na\r\n\r\nb\r\n", "invalid CSV: blank line"),
        (b"provider_id\n\na\n", "invalid CSV: blank line"),
        (b"\xef\xbb\xbf" + GOOD, "invalid CSV header: byte-order mark"),
        (b"provider_id\ncaf\xe9\n", "invalid CSV: not UTF-8"),
        (b"provider_id\ncaf\xc3", "invalid CSV: not UTF-8"),
    ],
)
def test_a_bad_file_is_400_leaves_no_record_and_is_noted(partner: Partner, body: bytes, error: str):
    segment = partner.segment()
    answer = partner.upload(segment, body)
    assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert partner.call("GET", f"/segment/{segment}/membership/upload").json() == []
    assert partner.violations


@pytest.mark.parametrize(
    ("switch", "body", "records"),
    [
        ("lax_header", b"acme-0001\nacme-0002\n", 1),
        ("accept_blank_lines", b"provider_id\na\n\nb\n", 2),
        ("accept_mark", b"\xef\xbb\xbf" + GOOD, 3),
        ("accept_any_bytes", b"provider_id\ncaf\xe9\n", 1),
        ("accept_header_only", b"provider_id\n", 0),
    ],
)
def test_each_strictness_can_be_switched_off(partner: Partner, switch: str, body: bytes, records: int):
    partner.switch(switch)
    assert partner.upload(partner.segment(), body).json()["recordsCount"] == records


def test_a_bad_row_can_fail_later_with_details_in_the_single_view_only(partner: Partner):
    partner.switch("bad_rows_later")
    segment = partner.segment()
    upload = partner.upload(segment, b"provider_id\na,b\n").json()["id"]
    partner.wait()
    shown = partner.call("GET", f"/segment/{segment}/membership/upload/{upload}").json()
    listed = partner.call("GET", f"/segment/{segment}/membership/upload").json()
    assert shown["status"] == "failed"
    assert "one value" in shown["details"]
    assert "details" not in listed[0]


@pytest.mark.parametrize(
    "body",
    [
        b"provider_id\na\na\n",
        b'provider_id\n"quoted"\n',
        b"provider_id\n padded\n",
        b"provider_id\na\r\nb\n",
        b"provider_id\nta\tb\n",
    ],
    ids=["twice", "quoted", "padded", "mixed line ends", "control character"],
)
def test_what_a_careful_client_never_sends_is_noted(partner: Partner, body: bytes):
    partner.upload(partner.segment(), body)
    assert partner.violations


@pytest.mark.parametrize("chunked", [True, False])
def test_too_large_a_file_is_413_with_or_without_a_length(partner: Partner, chunked: bool):
    partner.switch("max_bytes", "1000")
    segment, body = partner.segment(), b"provider_id\n" + b"x" * 5000
    answer = partner.upload(segment, iter([body]) if chunked else body)
    assert (answer.status_code, answer.json()) == (413, {"error": "file size exceeds maximum allowed size"})
    assert partner.call("GET", f"/segment/{segment}/membership/upload").json() == []


@pytest.mark.parametrize("md5", ["0" * 32, "abc", "hRGHiRUW9I+imb7VNiXcrQ=="])
def test_a_wrong_md5_is_400_and_leaves_no_record(partner: Partner, md5: str):
    segment = partner.segment()
    assert partner.upload(segment, GOOD, **{"X-Content-MD5": md5}).status_code == 400
    assert partner.call("GET", f"/segment/{segment}/membership/upload").json() == []


@pytest.mark.parametrize(("kind", "status"), [("text/csv; charset=utf-8", 201), ("text/plain", 400), ("", 400)])
def test_only_csv_is_taken(partner: Partner, kind: str, status: int):
    assert partner.upload(partner.segment(), GOOD, **{"Content-Type": kind}).status_code == status


def test_a_form_is_not_taken(partner: Partner):
    path = f"/segment/{partner.segment()}/membership/upload"
    assert partner.call("POST", path, files={"file": ("m.csv", GOOD)}).status_code == 400
    partner.switch("media_type_415")
    assert partner.call("POST", path, files={"file": ("m.csv", GOOD)}).status_code == 415
