"""The upload form without scripts: files, pasted identifiers, and answers to what could not be guessed."""

from __future__ import annotations

import gzip
import hashlib
import re
import uuid
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.jobs_helper import run_until_quiet
from uploads.models import Upload
from uploads.services import UploadWish, upload_accept_unchecked

from .kit import ready, send


def test_a_form_with_a_file_becomes_a_held_upload(logged_in: Any, marketer: Any, segment: Any) -> None:
    upload = ready(logged_in(marketer), segment)
    assert (upload.records, upload.members, upload.duplicates) == (3, 2, 1)
    assert (upload.hold, upload.file_name, upload.uploaded_by) == (True, "lapsed.csv", marketer)
    assert not upload.deliveries.exists()


def test_a_form_without_its_token_is_refused(manager: Any, segment: Any, logged_in: Any) -> None:
    assert send(logged_in(manager, enforce_csrf_checks=True), segment).status_code == 403
    assert not Upload.objects.exists()


def test_pasted_identifiers_become_an_upload(logged_in: Any, manager: Any, segment: Any) -> None:
    answer = logged_in(manager).post(
        "/uploads/new", {"segment": segment.pk, "mode": "add", "ids": "a1\r\n\r\na2", "ids_kind": "provider_id"}
    )
    assert answer.status_code == 302
    run_until_quiet(kinds=("uploads.inspection",))
    upload = Upload.objects.get()
    assert (upload.members, upload.mode) == (2, "add")


def test_pasted_identifiers_may_begin_with_their_header(logged_in: Any, manager: Any, segment: Any) -> None:
    logged_in(manager).post("/uploads/new", {"segment": segment.pk, "mode": "add", "ids": "provider_id\na1"})
    assert Upload.objects.get().records == 1


def test_pasted_identifiers_of_no_known_kind_are_asked_about(logged_in: Any, manager: Any, segment: Any) -> None:
    answer = logged_in(manager).post("/uploads/new", {"segment": segment.pk, "mode": "add", "ids": "a1"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Say what the pasted identifiers are" in page
    assert page.index('name="ids"') < page.index('name="ids_kind"') < page.index("How to read the file")


def test_pasted_identifiers_replace_nobody_unless_somebody_says_so(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    assert not re.findall(r'name="mode"[^>]*checked', client.get("/uploads/new").content.decode())
    answer = client.post("/uploads/new", {"segment": segment.pk, "ids": "a1", "ids_kind": "provider_id"})
    assert answer.status_code == 422
    assert "Choose what it means: replace, add or remove." in answer.content.decode()
    assert not Upload.objects.exists()


def test_what_was_chosen_for_a_file_does_not_change_how_pasted_identifiers_are_read(
    logged_in: Any, manager: Any, segment: Any
) -> None:
    fields = {"segment": segment.pk, "mode": "add", "ids": "a1\na2", "ids_kind": "provider_id"}
    about_a_file = {"kind": "xandr_id", "encoding": "utf-16", "column": "3", "delimiter": ";"}
    assert logged_in(manager).post("/uploads/new", fields | about_a_file).status_code == 302
    assert Upload.objects.get().records == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nonsense\na1\n", "header"),
        (b"provider_id\n", "member"),
        (b"", ""),
        (b"provider_id,email\na,b\n", "column"),
    ],
)
def test_a_bad_file_is_explained_and_nothing_is_kept(
    logged_in: Any, manager: Any, segment: Any, content: bytes, words: str
) -> None:
    answer = send(logged_in(manager), segment, content)
    assert answer.status_code == 422
    assert "field-errors" in answer.content.decode()
    assert words in answer.content.decode()
    assert not Upload.objects.exists()


def test_a_file_that_no_destination_takes_is_refused_in_the_words_of_the_pages(
    logged_in: Any, manager: Any, segment: Any
) -> None:
    page = send(logged_in(manager), segment, b"email\nkim@example.invalid\n").content.decode()
    assert "can take “E-mail address” (email); it is fed with “Provider id” (provider_id). Upload a file that" in page


def test_a_missing_header_can_be_answered(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = ready(logged_in(manager), segment, content=b"a1\na2\n", header="no", kind="provider_id")
    assert upload.members == 2


def test_one_of_several_columns_can_be_chosen(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = ready(logged_in(manager), segment, content=b"name;provider_id\nx;a1\ny;a2\n", column="2", delimiter=";")
    assert upload.members == 2


def test_a_file_beyond_the_limit_is_refused_with_words(
    logged_in: Any, manager: Any, segment: Any, settings: Any
) -> None:
    settings.MAX_UPLOAD_BYTES = 20
    answer = send(logged_in(manager), segment, b"provider_id\n" + b"a1234567\n" * 30)
    assert answer.status_code == 422
    assert "larger than" in answer.content.decode()
    assert not Upload.objects.exists()


def test_a_compressed_file_is_unpacked(logged_in: Any, manager: Any, segment: Any) -> None:
    plain = b"provider_id\na1\na2\n"
    upload = ready(logged_in(manager), segment, content=gzip.compress(plain))
    assert (upload.members, upload.bytes) == (2, len(plain))


def test_a_compressed_file_that_arrived_in_pieces_is_unpacked(actor: Any, segment: Any) -> None:
    plain = b"provider_id\na1\na2\n"
    name = default_storage.save("packed", ContentFile(gzip.compress(plain)))
    wish = UploadWish(hold=True, file_name="lapsed.csv.gz")
    upload = upload_accept_unchecked(
        actor=actor, segment=segment, upload_id=uuid.uuid4(), original=name, size=10, wish=wish
    )
    run_until_quiet(kinds=("uploads.inspection",))
    upload.refresh_from_db()
    assert (upload.status, upload.members, upload.bytes) == ("ready", 2, len(plain))
    assert upload.md5 == hashlib.md5(plain, usedforsecurity=False).hexdigest()
    assert not default_storage.exists(name)


def test_a_file_without_a_segment_is_asked_about(logged_in: Any, manager: Any, segment: Any) -> None:
    file = SimpleUploadedFile("lapsed.csv", b"provider_id\na1\n")
    answer = logged_in(manager).post("/uploads/new", {"mode": "replace", "file": file})
    assert answer.status_code == 422


def test_a_company_without_segments_is_led_to_make_one(logged_in: Any, manager: Any) -> None:
    assert "There is no segment to upload to" in logged_in(manager).get("/uploads/new").content.decode()


def test_the_segment_of_the_url_is_chosen(logged_in: Any, manager: Any, segment: Any) -> None:
    page = logged_in(manager).get(f"/uploads/new?segment={segment.pk}").content.decode()
    assert f'<option value="{segment.pk}" selected>' in page
