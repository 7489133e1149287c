"""The history: found by every filter, paged by key, exported whole, and quick however much there is."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads.models import Delivery, Part, Upload

MANY = 3000


def text(client: Any, url: str) -> str:
    page: str = client.get(url).content.decode()
    return page


def names(client: Any, url: str) -> list[str]:
    """The files that an export lists."""
    body = b"".join(client.get(url).streaming_content).decode()
    return [row["file"] for row in csv.DictReader(io.StringIO(body))]


def test_uploads_without_a_file_name_can_be_told_apart(logged_in: Any, manager: Any, segment: Any) -> None:
    uploads = [make_upload(segment, file_name="") for _ in range(2)]
    page = logged_in(manager).get("/history").content.decode()
    for upload in uploads:
        assert page.count(f">Upload {str(upload.pk)[:8]}<") == 1


def test_every_list_tells_of_members_that_wait_for_their_segment(logged_in: Any, manager: Any, segment: Any) -> None:
    """The upload's own word is completed, although nobody has these members yet."""
    upload = make_upload(segment, file_name="early.csv")
    make_delivery(upload, make_destination(segment, "synerise"), "staged")
    make_delivery(upload, make_destination(segment, "mediarithmics"))
    client = logged_in(manager)
    for url in ("/history", "/", f"/segments/{segment.pk}/uploads"):
        assert "1 destination held until publish" in text(client, url), url
    Delivery.objects.filter(status="staged").update(status="completed", finished_at=timezone.now())
    for url in ("/history", "/", f"/segments/{segment.pk}/uploads"):
        assert "held until publish" not in text(client, url), url


def test_a_stranger_sees_nothing_of_it(logged_in: Any, stranger: Any, segment: Any) -> None:
    make_upload(segment, file_name="secret.csv")
    client = logged_in(stranger)
    for url in ("/history", "/history/deliveries", "/"):
        assert "secret.csv" not in text(client, url)
    assert names(client, "/history/export") == []


@pytest.mark.parametrize(
    "url", ["/history", "/history/deliveries", "/history/export", "/history/deliveries/export", "/"]
)
def test_nobody_sees_it_without_logging_in(client: Any, db: None, url: str) -> None:
    assert client.get(url).status_code == 302


def test_uploads_are_found_by_every_filter(logged_in: Any, manager: Any, marketer: Any, segment: Any) -> None:
    other = make_segment(segment.company, "Other")
    there = make_destination(other, "synerise")
    old = timezone.now() - timedelta(days=40)
    make_upload(segment, "failed", file_name="one.csv", uploaded_by=manager)
    second = make_upload(other, file_name="two.csv", uploaded_by=marketer)
    make_upload(segment, file_name="three.csv", created_at=old)
    make_delivery(second, there)
    client = logged_in(manager)
    found = {
        "status=failed": ["one.csv"],
        f"segment={other.pk}": ["two.csv"],
        f"person={marketer.pk}": ["two.csv"],
        f"account={there.vendor_account_id}": ["two.csv"],
        f"until={old.date()}": ["three.csv"],
        f"since={timezone.now().date()}": ["two.csv", "one.csv"],
        f"q={second.pk}": ["two.csv"],
        "q=thr": ["three.csv"],
        "sort=time": ["three.csv", "one.csv", "two.csv"],
    }
    for query, expected in found.items():
        assert names(client, f"/history/export?{query}") == expected, query
        page = text(client, f"/history?{query}")
        assert all(name in page for name in expected), query


def test_an_upload_that_was_sent_twice_to_an_account_is_listed_once(logged_in: Any, manager: Any, segment: Any) -> None:
    destination = segment.destinations.get()
    upload = make_upload(segment, file_name="one.csv", uploaded_by=manager)
    first = make_delivery(upload, destination, "failed")
    make_delivery(upload, destination, retry_of=first)
    query = f"account={destination.vendor_account_id}"
    for more in ("", "&status=completed", f"&person={manager.pk}", f"&segment={segment.pk}", "&sort=time"):
        assert names(logged_in(manager), f"/history/export?{query}{more}") == ["one.csv"], more
    assert len(names(logged_in(manager), f"/history/deliveries/export?{query}")) == 2


def test_both_lists_find_a_vendors_job_id(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, file_name="one.csv")
    make_upload(segment, file_name="two.csv")
    delivery = make_delivery(upload, segment.destinations.get())
    Part.objects.create(delivery=delivery, number=1, job_id="job-4711", quota_scope="scope")
    client = logged_in(manager)
    assert names(client, "/history/export?q=job-4711") == ["one.csv"]
    assert names(client, "/history/deliveries/export?q=job-4711") == ["one.csv"]


def test_deliveries_are_found_by_every_filter(logged_in: Any, manager: Any, segment: Any) -> None:
    other = make_destination(segment, "synerise")
    upload = make_upload(segment, file_name="one.csv", uploaded_by=manager)
    make_delivery(upload, segment.destinations.first(), "failed")
    make_delivery(upload, other)
    client = logged_in(manager)
    for query, count in {
        "": 2,
        "status=failed": 1,
        f"account={other.vendor_account_id}": 1,
        f"segment={segment.pk}": 2,
        f"person={manager.pk}": 2,
        "q=one": 2,
        "until=2020-01-01": 0,
    }.items():
        assert len(names(client, f"/history/deliveries/export?{query}")) == count, query


def test_a_filter_that_cannot_be_read_is_left_out(logged_in: Any, manager: Any, segment: Any) -> None:
    make_upload(segment, file_name="one.csv")
    assert "one.csv" in text(logged_in(manager), "/history?status=nonsense&since=yesterday&segment=abc&person=999999")


@pytest.mark.parametrize("path", ["/history", "/history/deliveries"])
def test_the_last_day_that_there_is_can_be_asked_for(logged_in: Any, manager: Any, segment: Any, path: str) -> None:
    make_delivery(make_upload(segment, file_name="one.csv"), segment.destinations.first())
    assert "one.csv" in text(logged_in(manager), f"{path}?since=0001-01-01&until=9999-12-31")


def test_a_cursor_that_was_not_made_here_is_404(logged_in: Any, manager: Any) -> None:
    assert logged_in(manager).get("/history?cursor=abc").status_code == 404


def test_the_pages_follow_each_other_without_a_gap(logged_in: Any, manager: Any, segment: Any) -> None:
    for number in range(60):
        make_upload(segment, file_name=f"file-{number}.csv")
    client = logged_in(manager)
    first = client.get("/history")
    second = client.get(first.context["older_url"])
    shown = [row.file_name for row in [*first.context["rows"], *second.context["rows"]]]
    assert shown == [f"file-{number}.csv" for number in reversed(range(60))]
    assert [row.pk for row in client.get(second.context["newer_url"]).context["rows"]] == [
        row.pk for row in first.context["rows"]
    ]


def test_a_filter_answers_with_the_rows_alone(logged_in: Any, manager: Any, segment: Any) -> None:
    make_upload(segment)
    page = logged_in(manager).get("/history?status=completed", headers={"HX-Request": "true"}).content.decode()
    assert "members.csv" in page
    assert "<html" not in page


def test_an_empty_history_says_what_to_do(logged_in: Any, manager: Any) -> None:
    assert "Nothing has been uploaded yet" in text(logged_in(manager), "/history")
    assert "Nothing fits" in text(logged_in(manager), "/history?status=failed")


def test_the_lists_cost_the_same_however_long_they_are(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    counts: dict[str, set[int]] = {"/history": set(), "/history/deliveries": set(), "/": set()}
    for _ in range(2):
        for _ in range(5):
            make_delivery(make_upload(segment, uploaded_by=manager), segment.destinations.get())
        for url, seen in counts.items():
            with CaptureQueriesContext(connection) as captured:
                client.get(url)
            seen.add(len(captured))
    assert all(len(seen) == 1 for seen in counts.values()), counts


# --- however much there is


@pytest.fixture
def long_history(segment: Any, manager: Any) -> Any:
    """A few thousand rows, so that the planner of the database has something to plan for."""
    now = timezone.now()
    destinations = [
        segment.destinations.get(),
        *(make_destination(segment, name) for name in ("synerise", "mediarithmics")),
    ]
    uploads = Upload.objects.bulk_create(
        Upload(
            company=segment.company,
            segment=segment,
            uploaded_by=manager,
            status="failed" if number % 100 == 0 else "completed",
            file_name=f"file-{number}.csv",
            created_at=now - timedelta(minutes=number),
            finished_at=now,
        )
        for number in range(MANY)
    )
    deliveries = Delivery.objects.bulk_create(
        Delivery(
            company=segment.company,
            upload=upload,
            destination=destinations[number % 3],
            segment=segment,
            vendor_account=destinations[number % 3].vendor_account,
            uploaded_by=manager,
            uploaded_at=upload.created_at,
            mode="replace",
            status=upload.status,
            created_at=upload.created_at,
            finished_at=now,
        )
        for number, upload in enumerate(uploads)
    )
    Part.objects.bulk_create(
        Part(delivery=delivery, number=1, job_id=f"job-{delivery.pk}", quota_scope="scope") for delivery in deliveries
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return segment


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's query plans")
@pytest.mark.parametrize(
    "url",
    [
        "/history",
        "/history?status=failed",
        "/history?since=2020-01-01&until=2099-01-01",
        "/history?sort=time",
        "/history?q=job-7",
        "/history?q=nowhere",
        "/history?account={account}",
        "/history?account={account}&status=completed",
        "/history?account={account}&person={person}",
        "/history?person={person}&status=failed",
        "/history/deliveries",
        "/history/deliveries?status=failed",
        "/history/deliveries?since=2020-01-01",
        "/history/deliveries?sort=time",
        "/history/deliveries?q=job-7",
        "/history/deliveries?q=nowhere",
        "/history/deliveries?account={account}",
        "/history/deliveries?segment={segment}",
        "/history/deliveries?person={person}",
        "/history/deliveries?person={person}&account={account}&status=failed",
    ],
)
def test_no_list_reads_or_sorts_a_whole_table(logged_in: Any, manager: Any, long_history: Any, url: str) -> None:
    client = logged_in(manager)
    account = long_history.destinations.first().vendor_account_id
    with CaptureQueriesContext(connection) as captured:
        page = client.get(url.format(account=account, segment=long_history.pk, person=manager.pk))
    assert page.status_code == 200
    asked = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
    lists = [sql for sql in asked if 'FROM "uploads_' in sql]
    assert lists
    for sql in lists:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = [row[3] for row in cursor.fetchall()]
        scans = [step for step in plan if step.startswith("SCAN") and "INDEX" not in step and "CONSTANT" not in step]
        whole = [step for step in scans if "subquery" not in step.lower()]
        assert not whole, (sql, plan)
        assert not [step for step in plan if "TEMP B-TREE" in step and "ORDER BY" in step and "LAST" not in step], plan


def test_more_than_a_thousand_are_not_counted(logged_in: Any, manager: Any, long_history: Any) -> None:
    assert "1\u202f000+ uploads" in text(logged_in(manager), "/history")
    assert "30 uploads" in text(logged_in(manager), "/history?status=failed")
