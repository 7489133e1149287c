"""An erasure leaves nothing behind, says why it waits, and tells in its receipt what it does not do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.people.actors import Actor
from audsync_web.people.models import User
from audsync_web.sandbox.server import Sandbox
from segments.models import Destination, Segment
from segments.services import DestinationWish, destination_release, segment_create
from tests.api_world import BASE, upload
from tests.conftest import LoggedIn
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from tests.uploads.kit import settled
from uploads import files
from uploads.erasure.job import EraseWish, erase_begin, erase_retry
from uploads.erasure.left import LEFT_THERE, NOT_CHOSEN, NOT_KNOWN
from uploads.intake import partials
from uploads.models import Delivery, Erasure, ErasureStep, PartialUpload, Snapshot, Upload
from uploads.services import upload_cancel

from .kit import HASH, OTHERS, PERSON, at_mediarithmics, begin_erasure, deliver, erased, followed, found, steps

pytestmark = pytest.mark.django_db(transaction=True)
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = "application/offset+octet-stream"
FILE = "\n".join(("email", PERSON, *OTHERS, "")).encode()


def begin_file(api: Client, segment: Segment, content: bytes, length: int) -> str:
    answer = api.post(
        f"{BASE}/segment/{segment.pk}/membership/tus", content, PIECE, headers={**TUS, "Upload-Length": str(length)}
    )
    assert answer.status_code == 201, answer.content
    return str(answer["Location"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_unfinished_file_that_holds_the_person_goes(
    api: Client, segment: Segment, actor: Actor, encoding: str
) -> None:
    held = begin_file(api, segment, FILE.decode().encode(encoding), 5000)
    other = begin_file(api, segment, b"email\nanna@example.invalid\n", 5000)
    erasure = followed(begin_erasure(actor))
    assert erasure.status == "completed"
    assert erasure.files_deleted >= 1
    assert api.head(held, headers=TUS).status_code == 404
    assert api.head(other, headers=TUS).status_code == 200


def test_a_file_that_is_being_sent_is_waited_for_and_then_goes(api: Client, segment: Segment, actor: Actor) -> None:
    url = begin_file(api, segment, FILE[:-1], len(FILE))
    PartialUpload.objects.update(locked_until=timezone.now() + timedelta(hours=1))
    erasure = begin_erasure(actor)
    run_until_quiet()
    assert steps(erasure)["files"][0] == "waiting"
    PartialUpload.objects.update(locked_until=None)
    last = api.patch(url, FILE[-1:], PIECE, headers={**TUS, "Upload-Offset": str(len(FILE) - 1)})
    assert last.status_code == 204, last.content
    made = settled(Upload.objects.get(pk=last["Upload-Id"]))
    assert {row.held for row in made.deliveries.all()} == {1}
    Erasure.objects.update(next_action_at=timezone.now())
    assert followed(erasure).status == "completed"
    made.refresh_from_db()
    assert (made.original, made.members_file) == ("", "")


def test_a_file_finished_after_an_erasure_holds_the_person(
    api: Client, segment: Segment, actor: Actor, box: Sandbox
) -> None:
    url = begin_file(api, segment, FILE[:8], len(FILE))
    followed(begin_erasure(actor))
    last = api.patch(url, FILE[8:], PIECE, headers={**TUS, "Upload-Offset": "8"})
    made = settled(Upload.objects.get(pk=last["Upload-Id"]))
    assert {row.held for row in made.deliveries.all()} == {1}
    assert HASH not in at_mediarithmics(box, segment)


def test_a_file_sent_drop_by_drop_ends_some_day(api: Client, segment: Segment) -> None:
    url = begin_file(api, segment, FILE[:8], len(FILE))
    long_ago = timezone.now() - partials.LONGEST_LIFE + timedelta(minutes=1)
    PartialUpload.objects.update(created_at=long_ago)
    api.patch(url, FILE[8:9], PIECE, headers={**TUS, "Upload-Offset": "8"})
    assert PartialUpload.objects.get().expires_at == long_ago + partials.LONGEST_LIFE


def test_where_a_file_is_under_way_the_person_is_removed_as_well(
    api: Client, segment: Segment, actor: Actor, box: Sandbox
) -> None:
    deliver(api, segment, PERSON, *OTHERS)
    account = connect(box, actor, "mediarithmics", name="second mart", identifier="email_sha256")
    second = segment_create(actor=actor, name="Second", destinations=[DestinationWish(account)])
    run_until_quiet(kinds=("segments.destination",))
    search = found(actor)
    upload(api, second, "\n".join(("email", PERSON, *OTHERS, "")))
    run_until_quiet(kinds=("uploads.inspection",))
    wish = EraseWish(PERSON, destinations=[row["destination"] for row in search.findings])
    erasure = followed(erase_begin(actor=actor, search=search, wish=wish))
    assert erasure.steps.filter(what="removal").count() == 2
    assert HASH not in at_mediarithmics(box, second)


def test_a_file_of_none_but_erased_people_says_so_and_removes_nobody(
    api: Client, segment: Segment, actor: Actor, box: Sandbox
) -> None:
    deliver(api, segment, PERSON, *OTHERS)
    followed(begin_erasure(actor))
    before = at_mediarithmics(box, segment)
    upload(api, segment, f"email\n{PERSON}\n")
    run_until_quiet(wait=3)
    delivery = Delivery.objects.latest("pk")
    assert (delivery.status, delivery.error_code) == ("failed", "all_erased")
    assert "Everybody in this file was erased" in delivery.error_text
    assert at_mediarithmics(box, segment) == before


def test_where_the_person_came_after_the_search_they_are_removed_as_well(
    api: Client, segment: Segment, actor: Actor, box: Sandbox
) -> None:
    account = connect(box, actor, "mediarithmics", name="second mart", identifier="email_sha256")
    second = segment_create(actor=actor, name="Second", destinations=[DestinationWish(account)])
    run_until_quiet(kinds=("segments.destination",))
    search = found(actor)
    assert search.findings == []
    deliver(api, second, PERSON, *OTHERS)
    assert HASH in at_mediarithmics(box, second)
    erasure = followed(erase_begin(actor=actor, search=search, wish=EraseWish(PERSON)))
    assert steps(erasure)["removal"] == ("done", "Removed.")
    assert HASH not in at_mediarithmics(box, second)


def test_a_segment_that_was_left_at_the_vendor_keeps_its_other_members(
    api: Client, actor: Actor, box: Sandbox, manager: User, logged_in: LoggedIn
) -> None:
    """Synerise is told of all tags of a member, those of segments that were left there as well."""
    account = connect(box, actor, "synerise", identifier="email", graceMinutes=0, sampleSize=0)
    box.context.faults.set("synerise.apply_seconds", "0")
    left, other = (
        segment_create(actor=actor, name=name, destinations=[DestinationWish(account)]) for name in ("Left", "Other")
    )
    run_until_quiet()
    deliver(api, left, PERSON, *OTHERS)
    destination = left.destinations.get()
    destination_release(actor=actor, destination=destination)
    run_until_quiet()
    search = found(actor)
    page = logged_in(manager).get(f"/erase/searches/{search.pk}")
    assert ([row["left"] for row in search.findings], b"left at the vendor" in page.content) == ([True], True)
    erasure = followed(erase_begin(actor=actor, search=search, wish=EraseWish(PERSON)))
    assert (erasure.status, steps(erasure)["removal"]) == ("completed", ("left", LEFT_THERE))
    browser = logged_in(manager)
    receipt = browser.get(f"/erasures/{erasure.pk}").content.decode()
    assert (LEFT_THERE in receipt, "Not done by this erasure" in receipt) == (True, True)
    told = browser.get(f"/erasures/{erasure.pk}?format=json").json()["left"]
    assert [(row["segmentId"], row["text"]) for row in told] == [(left.pk, LEFT_THERE), (None, NOT_CHOSEN)]
    assert found(actor).findings == []
    deliver(api, other, *OTHERS)
    shown = {"segment": destination.remote_id, "field": "email"}
    assert set(OTHERS) <= set(box.vendors["synerise"].control("members", shown))
    row = Snapshot.objects.get(destination=destination, superseded_at=None)
    assert (row.members, sum(row.ends["days"].values()) + row.ends["never"]) == (2, 2)


def test_what_becomes_of_a_segment_between_search_and_decision_is_told(
    api: Client, segment: Segment, actor: Actor
) -> None:
    """Nobody takes out of a segment that was let go of meanwhile; the receipt does not pass over it."""
    deliver(api, segment, PERSON, *OTHERS)
    search = found(actor)
    destination_release(actor=actor, destination=segment.destinations.get())
    assert steps(erased(actor, search))["removal"] == ("left", LEFT_THERE)


def test_a_receipt_tells_what_was_not_asked_for_and_what_nobody_can_tell(
    api: Client, segment: Segment, actor: Actor, box: Sandbox
) -> None:
    connect(box, actor, "acoustic")
    deliver(api, segment, PERSON, *OTHERS)
    search = found(actor)
    first = erased(actor, search, destinations=[], identities=False)
    lines = [(step.what, step.status, step.text) for step in first.steps.all()]
    assert lines == [
        ("removal", "left", NOT_CHOSEN),
        ("identity", "left", NOT_CHOSEN),
        ("files", "done", lines[-1][2]),
    ]
    assert first.status == "completed"
    Destination.objects.update(membership_known=False)
    Snapshot.objects.all().delete()
    assert steps(erased(actor, found(actor)))["removal"] == ("left", NOT_KNOWN)


def test_deciding_on_an_erasure_looks_into_no_file(
    api: Client, segment: Segment, actor: Actor, staged: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, and wherever they lie: a request is answered at once, and the job looks into them."""
    deliver(api, segment, PERSON, *OTHERS)
    search = found(actor)
    opened: list[str] = []
    real = files.local_file

    def watched(name: str) -> Any:
        opened.append(name)
        return real(name)

    monkeypatch.setattr(files, "local_file", watched)
    erasure = erase_begin(actor=actor, search=search, wish=EraseWish(PERSON))
    assert (opened, list(erasure.steps.values_list("what", flat=True))) == ([], ["removal"])
    ErasureStep.objects.update(status="failed")
    Erasure.objects.update(status="needs attention")
    erase_retry(actor=actor, erasure=erasure)
    assert opened == []
    assert followed(erasure).status == "completed"
    assert opened


@pytest.fixture
def staged(api: Client, actor: Actor, box: Sandbox) -> Upload:
    """An upload that Xandr gets once its segment is published."""
    account = connect(box, actor, "xandr", identifier="xandr_id", newSegmentWaitMinutes=0, minSecondsBetweenUploads=0)
    made = segment_create(actor=actor, name="Seats", destinations=[DestinationWish(account)])
    run_until_quiet()
    answer = upload(api, made, "xandr_id\n7001\n7002\n")
    run_until_quiet()
    row = Upload.objects.get(pk=answer.json()["id"])
    assert [one.status for one in row.deliveries.all()] == ["staged"]
    return row


def test_an_erasure_behind_a_held_upload_says_so_and_ends_when_that_is_cancelled(actor: Actor, staged: Upload) -> None:
    erasure = begin_erasure(actor, "7001", kind="xandr_id")
    run_until_quiet()
    status, text = steps(erasure)["removal"]
    assert status == "waiting"
    assert "held until the segment is published" in text
    assert "no end of its own" in text
    upload_cancel(actor=actor, upload=staged)
    Erasure.objects.update(next_action_at=timezone.now())
    assert followed(erasure).status == "completed"
    assert steps(erasure)["removal"] == ("done", "Was not there any more.")


def test_a_held_upload_of_others_holds_no_erasure_up(actor: Actor, staged: Upload) -> None:
    for value, kind in (("7009", "xandr_id"), (PERSON, "")):
        erasure = begin_erasure(actor, value, kind=kind)
        assert not erasure.steps.filter(what="removal").exists()
        assert followed(erasure).status == "completed"


def test_what_nothing_needs_goes_while_an_erasure_is_held_up(actor: Actor, staged: Upload, api: Client) -> None:
    content = "xandr_id\n7001\n7005\n"
    url = begin_file(api, staged.segment, content.encode(), 5000)
    erasure = begin_erasure(actor, "7001", kind="xandr_id")
    run_until_quiet()
    assert steps(erasure)["removal"][0] == "waiting"
    assert "Removal of one person" not in steps(erasure)["files"][1]
    assert api.head(url, headers=TUS).status_code == 404
    staged.refresh_from_db()
    assert staged.members_file


def test_files_of_a_held_upload_are_waited_for_and_not_taken_from_it(actor: Actor, staged: Upload, api: Client) -> None:
    erasure = begin_erasure(actor, "7001", kind="xandr_id")
    erasure.steps.filter(what="removal").delete()
    run_until_quiet()
    status, text = steps(erasure)["files"]
    assert status == "waiting"
    assert "no end of its own" in text
    delivery = staged.deliveries.get()
    assert delivery.changes_file
    assert erasure.steps.get(what="files").upload_id == staged.pk


def test_a_telephone_number_is_found_and_removed_however_it_was_written(
    api: Client, actor: Actor, box: Sandbox
) -> None:
    account = connect(box, actor, "synerise", identifier="phone", graceMinutes=0, sampleSize=0)
    made = segment_create(actor=actor, name="Callers", destinations=[DestinationWish(account)])
    run_until_quiet()
    answer = upload(api, made, "phone\n+44 (0)20 7946-0018\n+442079460019\n")
    assert settled(Upload.objects.get(pk=answer.json()["id"])).status == "completed"
    assert len(found(actor, "0044 20 79460018", "phone").findings) == 1
    erasure = followed(begin_erasure(actor, "00442079460018", kind="phone"))
    assert (erasure.status, steps(erasure)["removal"][0]) == ("completed", "done")
    assert erasure.steps.get(what="removal").count == 1
    assert found(actor, "+442079460018").findings == []
    assert len(found(actor, "+442079460019").findings) == 1
    later = settled(Upload.objects.get(pk=upload(api, made, "phone\n+44 20 7946 0018\n+442079460019\n").json()["id"]))
    assert {row.held for row in later.deliveries.all()} == {1}
