"""The company's quota of stored files: it holds for every way in, and for files that end at the same moment."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from segments.models import Segment
from tests.api_world import csv_of
from tests.factories import make_actor, make_company, make_person
from tests.jobs_helper import run_until_quiet
from tests.postgres import OnPostgres, database, on_postgres
from tests.uploads import kit
from uploads.files import StorageFull
from uploads.intake import partials, spooled
from uploads.intake.partials import partial_append, partial_create, partial_finish
from uploads.models import PartialUpload, Upload
from uploads.receiving import receive
from uploads.services import UploadWish
from uploads.views.forms import UploadForm

__all__ = ["database", "on_postgres"]

MEMBERS = csv_of(*(f"member-{number:04d}" for number in range(500))).encode()
ROOM_FOR_ONE = len(MEMBERS) * 3 // 2


def stored(company: Company) -> list[Path]:
    folder = Path(default_storage.path(f"company-{company.pk}"))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def arrived(actor: Actor, segment: Segment, content: bytes = MEMBERS) -> PartialUpload:
    """A resumable upload whose last byte is there, and which was not handed over yet."""
    partial = partial_create(actor=actor, segment=segment, length=len(content), metadata={})
    partial_append(partial, 0, iter([content]))
    return partial


@pytest.fixture
def segment(company: Company) -> Segment:
    made = kit.make_segment(company)
    kit.make_destination(made)
    return made


@pytest.fixture
def narrow(company: Company) -> Company:
    """Northwind with room for one file, and not for two."""
    company.max_stored_bytes = ROOM_FOR_ONE
    company.save()
    return company


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
@pytest.mark.django_db(transaction=True)
def test_two_resumable_files_that_end_at_the_same_moment_do_not_both_get_the_last_room(
    on_postgres: OnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def world() -> tuple[Actor, list[PartialUpload]]:
        company = make_company("northwind", max_stored_bytes=ROOM_FOR_ONE)
        actor = make_actor(make_person(company, "manager", email="mo@northwind.example"), company)
        segment = kit.make_segment(company)
        return actor, [arrived(actor, segment) for _ in range(2)]

    actor, ended = on_postgres.run(world)
    # Both have looked whether there is room before either has taken it.
    both_there, moved = threading.Barrier(2, timeout=10), partials._move_whole

    def together(*args: Any) -> None:
        moved(*args)
        both_there.wait()

    monkeypatch.setattr(partials, "_move_whole", together)
    finish = [lambda one=one: partial_finish(actor=actor, partial=one, wish=UploadWish()) for one in ended]
    found = on_postgres.together(*finish)
    assert sorted(type(one).__name__ for one in found) == ["StorageFull", "Upload"], found
    assert on_postgres.run(lambda: Upload.objects.count()) == 1
    refused = ended[[isinstance(one, StorageFull) for one in found].index(True)]
    with partials.arrived_bytes(refused) as path:
        assert path is not None
        assert path.read_bytes() == MEMBERS


@pytest.mark.django_db(transaction=True)
def test_a_file_of_the_page_is_refused_when_others_took_the_room_while_it_arrived(
    narrow: Company, actor: Actor, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*args: Any, **named: Any) -> Any:
        found = receive(*args, **named)
        kit.make_upload(segment, original="elsewhere", bytes=ROOM_FOR_ONE)
        return found

    monkeypatch.setattr(spooled, "receive", meanwhile)
    form = _form(segment)
    before = stored(narrow)
    with pytest.raises(StorageFull, match="quota"):
        spooled.take(actor=actor, segment=segment, form=form)
    assert Upload.objects.count() == 1
    assert stored(narrow) == before


def _form(segment: Segment) -> Any:
    form = UploadForm(
        {"segment": segment.pk, "mode": "replace"},
        {"file": SimpleUploadedFile("members.csv", MEMBERS)},
        company=segment.company,
    )
    assert form.is_valid(), form.errors
    return form


@pytest.mark.django_db(transaction=True)
def test_a_compressed_file_that_is_too_much_unpacked_is_not_kept(
    narrow: Company, actor: Actor, segment: Segment
) -> None:
    partial = arrived(actor, segment, gzip.compress(MEMBERS * 3))
    upload = partial_finish(actor=actor, partial=partial, wish=UploadWish(hold=True))
    run_until_quiet(kinds=("uploads.inspection",))
    upload.refresh_from_db()
    assert (upload.status, "quota" in upload.details) == ("failed", True)
    assert sum(path.stat().st_size for path in stored(narrow)) < ROOM_FOR_ONE


@pytest.mark.django_db(transaction=True)
def test_what_kept_an_inspection_waiting_is_not_said_any_more_once_it_went_on(
    actor: Actor, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise StorageFull("There is no room.")

    upload = partial_finish(actor=actor, partial=arrived(actor, segment), wish=UploadWish(hold=True))
    with monkeypatch.context() as patched:
        patched.setattr("uploads.files.require_room", full)
        run_until_quiet(kinds=("uploads.inspection",))
    upload.refresh_from_db()
    assert upload.details == "There is no room."
    Upload.objects.update(next_action_at=timezone.now())
    run_until_quiet(kinds=("uploads.inspection",))
    upload.refresh_from_db()
    assert (upload.status, upload.details) == ("ready", "")
