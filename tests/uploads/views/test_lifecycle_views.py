"""The pages of undo, top-up, sources and erasing: who may open them, what they cost, and what they never show."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.people.models import Company, User
from audsync_web.vendors.connectors.registry import connector_class
from audsync_web.vendors.connectors.source import SourcePage, SourceProfile
from segments.models import Destination, Segment
from tests.factories import make_vendor_account
from uploads.models import Erasure, ErasureStep, PersonSearch, PullStatus, SourcePull, Upload, UploadStatus

pytestmark = pytest.mark.django_db

PERSON = "anna@example.invalid"


@pytest.fixture(autouse=True)
def a_worker_lives(db: None) -> None:
    WorkerHeartbeat.objects.create(worker="here:1")


@pytest.fixture
def rows(company: Company, manager: User) -> dict[str, Any]:
    """One of everything, belonging to Northwind."""
    known = {one.name: one.default for one in connector_class("synerise").fields}
    account = make_vendor_account(company, "synerise", settings=known, credentials={"apiKey": "opens-nothing"})
    segment = Segment.objects.create(company=company, name="Lapsed buyers", duration_days=30)
    destination = Destination.objects.create(segment=segment, vendor_account=account, identifier="email")
    now = timezone.now()
    upload = Upload.objects.create(
        company=company, segment=segment, status=UploadStatus.COMPLETED, finished_at=now, file_name="list.csv"
    )
    pull = SourcePull.objects.create(
        company=company, vendor_account=account, segment=segment, segmentation=str(uuid.uuid4()), identifier="email",
        kind="email",
    )  # fmt: skip
    finding = {
        "destination": destination.pk, "segment": segment.pk, "segmentName": segment.name, "account": account.pk,
        "accountName": account.name, "vendor": "synerise", "kind": "email", "released": False, "upload": str(upload.pk),
        "uploadName": "list.csv", "since": now.isoformat(), "endsOn": None, "expired": False,
    }  # fmt: skip
    sealed: Any = {"kind": "", "value": PERSON}
    search = PersonSearch.objects.create(
        company=company, status="completed", person=sealed, kinds=["email"], findings=[finding]
    )
    erasure = Erasure.objects.create(company=company, asked_by=manager, kinds=["email"])
    ErasureStep.objects.create(erasure=erasure, what="removal", destination=destination, vendor_account=account)
    return {
        "account": account, "segment": segment, "upload": upload, "pull": pull, "search": search, "erasure": erasure
    }  # fmt: skip


def managers_pages(rows: dict[str, Any]) -> list[str]:
    return [
        reverse("segmentations", args=[rows["account"].pk]),
        reverse("source_pull", args=[rows["pull"].pk]),
        reverse("source_pull_live", args=[rows["pull"].pk]),
        reverse("person_search", args=[rows["search"].pk]),
        reverse("person_search_live", args=[rows["search"].pk]),
        reverse("erasure", args=[rows["erasure"].pk]),
        reverse("erasure_live", args=[rows["erasure"].pk]),
    ]


def everybodys_pages(rows: dict[str, Any]) -> list[str]:
    return [
        reverse("segment_expiry", args=[rows["segment"].pk]),
        reverse("upload_undo", args=[rows["upload"].pk]),
    ]


def test_managers_see_their_companys(manager: User, rows: dict[str, Any], logged_in: Any) -> None:
    client: Client = logged_in(manager)
    for url in [reverse("erase"), *managers_pages(rows), *everybodys_pages(rows)]:
        assert client.get(url).status_code == 200, url


def test_strangers_find_nothing(stranger: User, rows: dict[str, Any], logged_in: Any) -> None:
    client: Client = logged_in(stranger)
    for url in [*managers_pages(rows), *everybodys_pages(rows)]:
        assert client.get(url).status_code == 404, url
    for name in ("erasure_retry", "erasure_lift"):
        assert client.post(reverse(name, args=[rows["erasure"].pk])).status_code == 404
    assert client.post(reverse("person_erase", args=[rows["search"].pk]), {"confirm": PERSON}).status_code == 404
    assert client.post(reverse("source_pull_cancel", args=[rows["pull"].pk])).status_code == 404
    assert client.post(reverse("segment_top_up", args=[rows["segment"].pk])).status_code == 404
    assert client.post(reverse("upload_undo", args=[rows["upload"].pk])).status_code == 404


def test_marketers_see_what_follows_an_upload_and_no_people(
    marketer: User, rows: dict[str, Any], logged_in: Any
) -> None:
    client: Client = logged_in(marketer)
    for url in [reverse("erase"), *managers_pages(rows)]:
        assert client.get(url).status_code == 403, url
    for url in everybodys_pages(rows):
        assert client.get(url).status_code == 200, url
    assert client.post(reverse("upload_undo", args=[rows["upload"].pk])).status_code == 409


def test_the_anonymous_are_sent_to_the_login(client: Client, rows: dict[str, Any]) -> None:
    for url in [reverse("erase"), *managers_pages(rows), *everybodys_pages(rows)]:
        assert client.get(url).status_code in {302, 403}, url


def test_only_admins_lift_an_erasure(manager: User, admin: User, rows: dict[str, Any], logged_in: Any) -> None:
    url = reverse("erasure_lift", args=[rows["erasure"].pk])
    assert logged_in(manager).post(url).status_code == 403
    assert logged_in(admin).post(url).status_code == 302
    rows["erasure"].refresh_from_db()
    assert rows["erasure"].lifted_by == admin


def test_a_search_never_shows_whom_it_is_for(manager: User, rows: dict[str, Any], logged_in: Any) -> None:
    client: Client = logged_in(manager)
    page = client.get(reverse("person_search", args=[rows["search"].pk])).content.decode()
    assert PERSON not in page
    assert "list.csv" in page
    begun = client.post(reverse("erase"), {"value": PERSON})
    assert begun.status_code == 302
    assert "anna" not in begun.headers["Location"]


def test_what_is_erased_at_a_vendor_itself_names_that_vendor(
    manager: User, rows: dict[str, Any], logged_in: Any
) -> None:
    found = {"account": rows["account"].pk, "accountName": "One", "name": "email", "count": 1, "error": "", "note": ""}
    asked = [
        found | {"vendor": "acoustic", "what": "identity"},
        found | {"vendor": "synerise", "what": "profile"},
        found | {"vendor": "synerise", "what": "profile", "name": "phone"},
    ]
    PersonSearch.objects.update(profiles=asked)
    page = logged_in(manager).get(reverse("person_search", args=[rows["search"].pk])).content.decode()
    assert "Remove the identity at Acoustic Exchange" in page
    assert "Erase the profile at Synerise, with its whole history there" in page


def test_a_wrong_confirmation_is_told_and_does_nothing(manager: User, rows: dict[str, Any], logged_in: Any) -> None:
    url = reverse("person_erase", args=[rows["search"].pk])
    answer = logged_in(manager).post(url, {"confirm": "somebody else"})
    assert answer.status_code == 422
    assert "is not the identifier" in answer.content.decode()
    assert Erasure.objects.count() == 1


def test_an_identifier_that_is_none_is_told(manager: User, logged_in: Any, company: Company) -> None:
    answer = logged_in(manager).post(reverse("erase"), {"value": "not an address", "kind": "email"})
    assert answer.status_code == 422
    assert not PersonSearch.objects.exists()


def test_a_segmentations_uuid_leads_to_its_page(manager: User, rows: dict[str, Any], logged_in: Any) -> None:
    url = reverse("segmentations", args=[rows["account"].pk])
    wanted = uuid.uuid4()
    client: Client = logged_in(manager)
    assert client.get(url, {"uuid": str(wanted).upper()}).headers["Location"].endswith(str(wanted))
    assert client.get(url, {"uuid": "nonsense"}).status_code == 422
    assert str(rows["pull"].segmentation) not in client.get(url, {"status": "completed"}).content.decode()
    assert client.get(url, {"cursor": "nonsense"}).status_code == 404


def test_the_profiles_of_a_segmentation_are_masked_until_somebody_wants_to_see_them(
    manager: User, rows: dict[str, Any], logged_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SourceProfile("507", {"custom_id": "demo-crm-000007", "email": PERSON})
    page = SourcePage([found], 50, 120, last=False)
    monkeypatch.setattr("uploads.views.sources.source_page", lambda *args, **kwargs: page)
    url = reverse("segmentation", args=[rows["account"].pk, uuid.uuid4()])
    client: Client = logged_in(manager)
    hidden = client.get(url, {"offset": "50"}).content.decode()
    assert "demo-crm-000007" not in hidden
    assert PERSON not in hidden
    assert "de•••07" in hidden
    assert "?offset=50&amp;shown=1" in hidden
    shown = client.get(url, {"offset": "50", "shown": "1"}).content.decode()
    assert "demo-crm-000007" in shown
    assert "?offset=51&amp;shown=1" in shown


def test_an_account_without_segmentations_has_no_such_page(manager: User, company: Company, logged_in: Any) -> None:
    other = make_vendor_account(company, "xandr")
    assert logged_in(manager).get(reverse("segmentations", args=[other.pk])).status_code == 404


def test_live_parts_stop_asking_when_all_is_over(manager: User, rows: dict[str, Any], logged_in: Any) -> None:
    client: Client = logged_in(manager)
    for name, row in (("source_pull_live", "pull"), ("erasure_live", "erasure")):
        assert b"hx-trigger" in client.get(reverse(name, args=[rows[row].pk])).content
    SourcePull.objects.update(status=PullStatus.CANCELLED, finished_at=timezone.now())
    Erasure.objects.update(status="completed")
    for name, row in (("source_pull_live", "pull"), ("erasure_live", "erasure")):
        assert b"hx-trigger" not in client.get(reverse(name, args=[rows[row].pk])).content


def test_a_live_look_costs_at_most_three_queries_of_its_own(
    manager: User, rows: dict[str, Any], logged_in: Any, django_assert_max_num_queries: Any
) -> None:
    client: Client = logged_in(manager)
    for name, row in (("source_pull_live", "pull"), ("erasure_live", "erasure"), ("person_search_live", "search")):
        # Session, person and memberships come with every request.
        with django_assert_max_num_queries(6):
            client.get(reverse(name, args=[rows[row].pk]), headers={"HX-Request": "true"})


def test_the_list_of_erasures_costs_the_same_however_long(
    manager: User, rows: dict[str, Any], logged_in: Any, company: Company
) -> None:
    client: Client = logged_in(manager)

    def queries() -> int:
        with CaptureQueriesContext(connection) as counted:
            client.get(reverse("erase"))
        return len(counted)

    few = queries()
    Erasure.objects.bulk_create(Erasure(company=company, asked_by=manager, kinds=["email"]) for _ in range(30))
    assert queries() == few


def test_erasures_are_exported(manager: User, rows: dict[str, Any], logged_in: Any) -> None:
    lines = b"".join(logged_in(manager).get(reverse("erasures_export")).streaming_content).decode().splitlines()
    assert lines[0].startswith("erasure,")
    assert str(rows["erasure"].pk) in lines[1]
