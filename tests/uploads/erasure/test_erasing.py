"""One person is found in every membership, removed from everywhere, kept out of later files, with a receipt."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client

from audsync_web.people.actors import Actor, NotAllowed
from audsync_web.people.models import AuditEntry, Company, User
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.acoustic import AcousticConnector
from audsync_web.vendors.connectors.errors import UnknownOutcome
from segments.models import Segment
from segments.services import DestinationWish, destination_add
from tests.api_world import BASE
from tests.factories import make_actor
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from uploads import files
from uploads.delivery.reports import refused_name
from uploads.engine.finding import text_holds
from uploads.erasure.job import EraseWish, erase_begin, erase_lift, erase_retry
from uploads.erasure.left import NOT_CHOSEN
from uploads.erasure.persons import Person
from uploads.models import Delivery, Erasure, ErasureStatus, Upload
from uploads.services import UploadConflict

from .kit import HASH, OTHERS, PERSON, at_mediarithmics, deliver, erased, followed, found

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def everywhere(box: Sandbox, actor: Actor, segment: Segment) -> Segment:
    """The segment at Synerise, too, which is fed with addresses."""
    account = connect(box, actor, "synerise", identifier="email", graceMinutes=0, sampleSize=0)
    destination_add(actor=actor, segment=segment, wish=DestinationWish(account))
    run_until_quiet()
    return segment


def stored_texts(value: str) -> list[str]:
    """Every file of the data folder that holds a value in the clear."""
    folder = Path(default_storage.path("company-1")).parent
    return [str(path) for path in folder.rglob("*") if path.is_file() and text_holds(path, [value])]


def database_texts() -> str:
    """All that the database holds, as one text."""
    with connection.cursor() as cursor:
        texts = []
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  # the database's own table names
            texts.append(repr(cursor.fetchall()))
    return "\n".join(texts)


def test_a_person_is_found_by_address_in_every_form(api: Client, everywhere: Segment, actor: Actor) -> None:
    made = deliver(api, everywhere, PERSON, *OTHERS)
    search = found(actor, f" {PERSON.upper()} ")
    places = {row["vendor"]: row for row in search.findings}
    assert set(places) == {"mediarithmics", "synerise"}
    assert {row["upload"] for row in places.values()} == {str(made.pk)}
    assert places["mediarithmics"]["endsOn"]
    assert [row["vendor"] for row in found(actor, HASH).findings] == ["mediarithmics"]
    assert found(actor, "nobody@example.invalid").findings == []
    assert [(row["what"], row["count"]) for row in search.profiles] == [("profile", 1)]


def test_a_person_is_removed_everywhere_and_nothing_of_them_stays(
    api: Client, segment: Segment, actor: Actor, box: Sandbox
) -> None:
    before = set(stored_texts(PERSON))
    deliver(api, segment, PERSON, OTHERS[0])
    deliver(api, segment, PERSON, *OTHERS)
    assert set(stored_texts(PERSON)) - before
    assert HASH in at_mediarithmics(box, segment)
    erasure = erased(actor, found(actor))
    assert erasure.status == ErasureStatus.COMPLETED, [(s.what, s.text) for s in erasure.steps.all()]
    assert [step.status for step in erasure.steps.all()] == ["done", "done"]
    assert at_mediarithmics(box, segment) == {hashlib.sha256(one.encode()).hexdigest() for one in OTHERS}
    assert found(actor).findings == []
    assert erasure.files_deleted >= 4
    assert erasure.person is None
    assert Upload.objects.exclude(original="").count() == 0
    assert set(stored_texts(PERSON)) - before == set()


def test_a_report_of_refused_rows_goes_though_the_changes_it_came_from_are_no_longer_kept(
    api: Client, segment: Segment, actor: Actor
) -> None:
    delivery = deliver(api, segment, PERSON, *OTHERS).deliveries.get()
    Upload.objects.update(original="", members_file="", report="")
    files.delete(delivery.changes_file)
    report = refused_name(delivery, 1)
    with files.new_file(report) as path, gzip.open(path, "wt") as text:
        text.write(f"{HASH},not known there\n")
    accepted = delivery.sent - 1
    Delivery.objects.filter(pk=delivery.pk).update(changes_file="", held_report="", accepted=accepted, refused=1)
    erased(actor, found(actor))
    assert not files.exists(report)


def test_no_identifier_stands_in_the_database_or_the_audit_trail(api: Client, segment: Segment, actor: Actor) -> None:
    deliver(api, segment, PERSON, *OTHERS)
    erased(actor, found(actor))
    held = database_texts()
    assert PERSON not in held
    assert HASH not in held
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"person.search", "person.erase"} <= actions


def test_who_was_erased_is_held_back_from_later_files(
    api: Client, segment: Segment, actor: Actor, box: Sandbox, admin: User, company: Company
) -> None:
    deliver(api, segment, PERSON, *OTHERS)
    erasure = erased(actor, found(actor))
    later = deliver(api, segment, PERSON, *OTHERS)
    assert {row.held for row in later.deliveries.all()} == {1}
    assert HASH not in at_mediarithmics(box, segment)
    rows = api.get(f"{BASE}/segment/{segment.pk}/membership/upload/{later.pk}/rejections")
    assert b"erased" in b"".join(rows)
    with pytest.raises(NotAllowed):
        erase_lift(actor=actor, erasure=erasure)
    erase_lift(actor=make_actor(admin, company), erasure=erasure)
    deliver(api, segment, PERSON, *OTHERS)
    assert HASH in at_mediarithmics(box, segment)
    assert AuditEntry.objects.filter(action="person.erase_lift").count() == 1


def test_an_exchange_identity_is_removed_once_and_counted(
    api: Client, segment: Segment, actor: Actor, box: Sandbox
) -> None:
    connect(box, actor, "acoustic")
    deliver(api, segment, PERSON, *OTHERS)
    search = found(actor)
    assert {row["what"]: row["count"] for row in search.profiles}["identity"] == 1
    erasure = erased(actor, search)
    step = erasure.steps.get(what="identity")
    assert (erasure.status, step.status) == ("completed", "done")
    assert step.count
    left = box.vendors["acoustic"].control("identities", {})
    assert PERSON not in str(left)


def test_a_lost_answer_is_looked_into_and_never_repeated(
    api: Client, segment: Segment, actor: Actor, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(box, actor, "acoustic")
    deliver(api, segment, PERSON)
    calls = []

    def lost(self: AcousticConnector, name: str, value: str) -> int:
        calls.append(name)
        raise UnknownOutcome("The answer was lost.")

    real = AcousticConnector.remove_identity
    monkeypatch.setattr(AcousticConnector, "remove_identity", lost)
    deliver(api, segment, *OTHERS, mode="add")
    erasure = erased(actor, found(actor))
    step = erasure.steps.get(what="identity")
    assert (erasure.status, step.status, calls) == ("needs attention", "failed", ["email"])
    assert "still there" in step.text
    monkeypatch.setattr(AcousticConnector, "remove_identity", real)
    erase_retry(actor=actor, erasure=erasure)
    assert followed(erasure).status == "completed"


def test_a_profile_is_erased_only_when_asked_for(api: Client, everywhere: Segment, actor: Actor, box: Sandbox) -> None:
    deliver(api, everywhere, PERSON, *OTHERS)
    kept = erased(actor, found(actor))
    assert [(s.status, s.count) for s in kept.steps.filter(what="profile")] == [("left", None)]
    gone = erased(actor, found(actor), profiles=True)
    assert [(s.status, s.count) for s in gone.steps.filter(what="profile")] == [("done", 1)]
    assert [row["count"] for row in found(actor).profiles if row["what"] == "profile"] == [0]


def test_the_identifier_must_be_typed_again(api: Client, segment: Segment, actor: Actor) -> None:
    deliver(api, segment, PERSON)
    search = found(actor)
    with pytest.raises(ValidationError):
        erase_begin(actor=actor, search=search, wish=EraseWish("somebody@example.invalid"))
    assert not Erasure.objects.exists()


def test_a_search_is_erased_once(api: Client, segment: Segment, actor: Actor) -> None:
    deliver(api, segment, PERSON, *OTHERS)
    search = found(actor)
    erase_begin(actor=actor, search=search, wish=EraseWish(PERSON))
    search.refresh_from_db()
    with pytest.raises(UploadConflict):
        erase_begin(actor=actor, search=search, wish=EraseWish(PERSON))


def test_an_id_that_fits_many_kinds_is_only_taken_for_what_it_was_found_as() -> None:
    person = Person("12345678")
    assert {"xandr_id", "phone", "custom_id", "provider_id"} <= set(person.kinds)
    assert person.sure_kinds == []
    assert Person("12345678", "custom_id").values_in("xandr_id") == []
    assert Person("12345678", "provider_id").values_in("xandr_id") == ["12345678"]


def test_text_is_searched_packed_or_not_and_across_blocks(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"x" * ((1 << 20) - 5) + PERSON.upper().encode() + b"y" * 100)
    assert text_holds(plain, [PERSON])
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(b"line,code\n1,%s\n" % PERSON.encode()))
    assert text_holds(packed, [PERSON])
    assert not text_holds(packed, ["somebody@example.invalid"])


def test_the_whole_way_over_rest(
    api: Client, marketer_api: Client, stranger_api: Client, everywhere: Segment, actor: Actor
) -> None:
    deliver(api, everywhere, PERSON, *OTHERS)
    assert api.post(f"{BASE}/person-searches", {"value": " "}, content_type="application/json").status_code == 400
    body = {"value": PERSON, "kind": "email"}
    assert marketer_api.post(f"{BASE}/person-searches", body, content_type="application/json").status_code == 403
    begun = api.post(f"{BASE}/person-searches", body, content_type="application/json")
    assert begun.status_code == 202, begun.content
    path = f"{BASE}/person-searches/{begun.json()['id']}"
    run_until_quiet(kinds=("uploads.search",))
    shown = api.get(path)
    assert [row["vendor"] for row in shown.json()["findings"]] == ["mediarithmics", "synerise"]
    assert PERSON not in shown.content.decode()
    assert stranger_api.get(path).status_code == 404
    wrong = api.post(f"{path}/erase", {"confirm": "no"}, content_type="application/json")
    assert wrong.status_code == 400
    answer = api.post(f"{path}/erase", {"confirm": PERSON}, content_type="application/json")
    assert answer.status_code == 202, answer.content
    assert PERSON not in answer.content.decode()
    receipt = f"{BASE}/erasures/{answer.json()['id']}"
    followed(Erasure.objects.get())
    done = api.get(receipt).json()
    assert (done["status"], done["keptOut"]) == ("completed", True)
    assert [step["what"] for step in done["steps"]] == ["removal", "removal", "files"]
    assert [(row["what"], row["vendor"], row["text"]) for row in done["left"]] == [("profile", "synerise", NOT_CHOSEN)]
    assert all(step["vendorJobIds"] for step in done["steps"] if step["vendor"] == "mediarithmics")
    assert stranger_api.get(receipt).status_code == 404
    assert marketer_api.get(receipt).status_code == 403
    assert api.post(f"{receipt}/lift").status_code == 403
    assert [row["id"] for row in api.get(f"{BASE}/erasures").json()["results"]] == [done["id"]]
