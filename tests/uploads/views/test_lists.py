"""Erasures and pulls can be searched, filtered, sorted, paged and exported, each within its company."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audsync_web.people.models import Company, User
from audsync_web.vendors.connectors.registry import connector_class
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, Segment
from tests.api_world import BASE, bearer_client
from tests.factories import make_vendor_account
from uploads.models import Delivery, DeliveryStatus, Erasure, ErasureStep, SourcePull, Upload, UploadStatus
from uploads.views import lists

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def account(company: Company) -> VendorAccount:
    known = {one.name: one.default for one in connector_class("synerise").fields}
    return make_vendor_account(company, "synerise", settings=known, credentials={"apiKey": "opens-nothing"})


@pytest.fixture
def erasures(company: Company, other_company: Company, manager: User, admin: User) -> list[Erasure]:
    """Three of this company, oldest first, and one of another."""
    now = timezone.now()
    Erasure.objects.create(company=other_company, kinds=["email"], files_deleted=99)
    return [
        Erasure.objects.create(
            company=company, asked_by=who, kinds=[kind], files_deleted=files, status=status,
            created_at=now - timedelta(days=3 - number),
        )
        for number, (who, kind, files, status) in enumerate(
            [(manager, "email", 7, "completed"), (admin, "phone", 1, "running"), (manager, "xandr_id", 4, "completed")]
        )
    ]  # fmt: skip


def order_of(page: str, rows: list[Any]) -> list[int]:
    """The positions of the rows that a page shows, in its order."""
    found = {page.index(str(row.pk)): number for number, row in enumerate(rows) if str(row.pk) in page}
    return [found[place] for place in sorted(found)]


def shown(client: Client, url: str, rows: list[Any], **query: str) -> list[int]:
    answer = client.get(url, query, headers=HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()
    return order_of(answer.content.decode(), rows)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [2, 1, 0]),
        ({"sort": "time"}, [0, 1, 2]),
        ({"sort": "-files"}, [0, 2, 1]),
        ({"sort": "files"}, [1, 2, 0]),
        ({"sort": "status", "status": "completed"}, [2, 0]),
        ({"sort": "nonsense", "status": "nonsense"}, [2, 1, 0]),
        ({"q": "e-mail"}, [0]),
        ({"q": "telephone"}, [1]),
        ({"q": "nobody of that name"}, []),
    ],
)
def test_erasures_are_searched_filtered_and_sorted(
    manager: User, erasures: list[Erasure], logged_in: Any, query: dict[str, str], expected: list[int]
) -> None:
    assert shown(logged_in(manager), reverse("erase"), erasures, **query) == expected


def test_an_erasure_is_found_by_its_number_and_by_who_asked(
    manager: User, admin: User, erasures: list[Erasure], logged_in: Any
) -> None:
    client = logged_in(manager)
    for text in (str(erasures[1].pk), str(erasures[1].pk)[:8], f"erasure {str(erasures[1].pk)[:8]}", admin.email):
        assert shown(client, reverse("erase"), erasures, q=text) == [1], text


def test_the_export_holds_what_the_page_shows(manager: User, erasures: list[Erasure], logged_in: Any) -> None:
    answer = logged_in(manager).get(reverse("erasures_export"), {"status": "completed", "sort": "files"})
    lines = b"".join(answer).decode().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(erasures[2].pk), str(erasures[0].pk)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [2, 1, 0]),
        ({"status": "completed"}, [2, 0]),
        ({"q": "e-mail"}, [0]),
        ({"q": "ada@"}, [1]),
        ({"q": "ada@", "status": "completed"}, []),
        ({"q": "\0"}, [2, 1, 0]),
    ],
)
def test_the_api_filters_erasures_as_the_page_does(
    manager: User, company: Company, erasures: list[Erasure], query: dict[str, str], expected: list[int]
) -> None:
    answer = bearer_client(manager, company).get(f"{BASE}/erasures", query)
    assert answer.status_code == 200
    assert [row["id"] for row in answer.json()["results"]] == [str(erasures[number].pk) for number in expected]


def test_the_api_keeps_the_filter_from_page_to_page_and_names_a_wrong_one(
    manager: User, company: Company, erasures: list[Erasure]
) -> None:
    api = bearer_client(manager, company)
    first = api.get(f"{BASE}/erasures", {"status": "completed", "limit": "1"}).json()
    second = api.get(first["next"]).json()
    assert [row["id"] for row in (*first["results"], *second["results"])] == [str(erasures[n].pk) for n in (2, 0)]
    assert second["next"] is None
    wrong = api.get(f"{BASE}/erasures", {"status": "nonsense"})
    assert (wrong.status_code, "status" in wrong.json()["error"]) == (400, True)


def test_pages_follow_each_other_in_the_chosen_order(
    manager: User, erasures: list[Erasure], logged_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "ROWS_A_PAGE", 2)
    client = logged_in(manager)
    first = client.get(reverse("erase"), {"sort": "-files"}, headers=HTMX)
    assert order_of(first.content.decode(), erasures) == [0, 2]
    second = client.get(first.context["older_url"], headers=HTMX)
    assert order_of(second.content.decode(), erasures) == [1]


@pytest.fixture
def pulls(company: Company, account: VendorAccount, manager: User) -> list[SourcePull]:
    """Three, oldest first, to segments of different names."""
    now = timezone.now()
    made = []
    for number, (name, read) in enumerate([("Autumn", 10), ("Winter", 30), ("Spring", 20)]):
        segment = Segment.objects.create(company=company, name=name, duration_days=30)
        made.append(
            SourcePull.objects.create(
                company=company, vendor_account=account, segment=segment, segmentation=str(uuid.uuid4()),
                identifier="email", kind="email", rows=read, asked_by=manager,
                created_at=now - timedelta(days=3 - number),
            )
        )  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [2, 1, 0]),
        ({"sort": "segment"}, [0, 2, 1]),
        ({"sort": "-read"}, [1, 2, 0]),
        ({"q": "wint"}, [1]),
        ({"status": "completed"}, []),
    ],
)
def test_pulls_are_searched_filtered_and_sorted(
    manager: User,
    account: VendorAccount,
    pulls: list[SourcePull],
    logged_in: Any,
    query: dict[str, str],
    expected: list[int],
) -> None:
    url = reverse("segmentations", args=[account.pk])
    assert shown(logged_in(manager), url, pulls, **query) == expected
    export = b"".join(logged_in(manager).get(reverse("source_pulls_export", args=[account.pk]), query)).decode()
    assert [line.split(",")[0] for line in export.splitlines()[1:]] == [pulls[n].segmentation for n in expected]


def test_a_pull_is_found_by_its_segmentation(
    manager: User, account: VendorAccount, pulls: list[SourcePull], logged_in: Any
) -> None:
    url = reverse("segmentations", args=[account.pk])
    assert shown(logged_in(manager), url, pulls, q=pulls[0].segmentation[:13]) == [0]


def test_a_stranger_exports_nothing_of_another_company(
    stranger: User, account: VendorAccount, pulls: list[SourcePull], logged_in: Any
) -> None:
    assert logged_in(stranger).get(reverse("source_pulls_export", args=[account.pk])).status_code == 404


def test_what_an_erasure_waits_behind_can_be_cancelled_from_its_page(
    company: Company, manager: User, account: VendorAccount, logged_in: Any
) -> None:
    segment = Segment.objects.create(company=company, name="Seats", duration_days=30)
    destination = Destination.objects.create(segment=segment, vendor_account=account, identifier="email")

    def upload(name: str, status: DeliveryStatus) -> Upload:
        made = Upload.objects.create(
            company=company, segment=segment, status=UploadStatus.DELIVERING, file_name=name, members=0, duplicates=0
        )
        Delivery.objects.create(company=company, upload=made, destination=destination, mode="replace", status=status)
        return made

    held, own = upload("held.csv", DeliveryStatus.STAGED), upload("removal", DeliveryStatus.QUEUED)
    erasure = Erasure.objects.create(company=company, asked_by=manager, kinds=["email"])
    ErasureStep.objects.create(
        erasure=erasure, what="removal", destination=destination, vendor_account=account, upload=own
    )
    client = logged_in(manager)
    page = client.get(reverse("erasure", args=[erasure.pk]))
    assert "Cancel that upload" in page.content.decode()
    assert reverse("upload_cancel", args=[held.pk]) in page.content.decode()
    assert reverse("segment", args=[segment.pk]) in page.content.decode()
    live, told = reverse("erasure_live", args=[erasure.pk]), page.context["told"]
    # The live part leaves the button where it is, brings it where it is missing, and takes it away in the end.
    assert "erasure-waits" not in client.get(live, {"told": told}).content.decode()
    assert "Cancel that upload" in client.get(live).content.decode()
    Delivery.objects.filter(upload=held).update(status=DeliveryStatus.SENDING)
    gone = client.get(live, {"told": told}).content.decode()
    assert "erasure-waits" in gone
    assert "Cancel that upload" not in gone
