"""The list of a segment's uploads, and one of them in the vendor's words."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audsync_web.people.models import User
from segments.models import Segment
from tests.api_world import csv_of, make_segment, upload
from uploads.models import Delivery, Upload, UploadStatus

from .kit import url_of

pytestmark = pytest.mark.django_db(transaction=True)


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
