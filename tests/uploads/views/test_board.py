"""The live board: what runs, what waits for what, what was not sent, and what needs somebody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.people.models import AuditEntry
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads.delivery.job import BEHIND_ANOTHER
from uploads.models import Delivery, Part

LIVE_FRAGMENT_QUERIES = 3  # the session, the person with their companies, the board


def test_the_live_part_costs_three_queries_and_writes_nothing(
    logged_in: Any, manager: Any, segment: Any, worker: None, django_assert_num_queries: Any
) -> None:
    upload = make_upload(segment, "delivering")
    for number in range(4):
        destination = make_destination(segment, "synerise")
        delivery = make_delivery(upload, destination, "processing")
        Part.objects.create(delivery=delivery, number=1, job_id=f"job-{number}", quota_scope="scope")
    client = logged_in(manager)
    with django_assert_num_queries(LIVE_FRAGMENT_QUERIES) as seen:
        page = client.get(f"/uploads/{upload.pk}/board").content.decode()
    assert all(query["sql"].startswith("SELECT") for query in seen.captured_queries)
    assert "job-3" in page


def test_the_board_of_an_ended_upload_stops_asking(logged_in: Any, manager: Any, segment: Any, worker: None) -> None:
    client = logged_in(manager)
    live = make_upload(segment, "inspecting", members=None, duplicates=None)
    ended = make_upload(segment, "completed")
    assert 'hx-trigger="every 2s"' in client.get(f"/uploads/{live.pk}/board").content.decode()
    assert "hx-trigger" not in client.get(f"/uploads/{ended.pk}/board").content.decode()


def test_a_new_phase_loads_the_page_again(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, "ready")
    answer = logged_in(manager).get(f"/uploads/{upload.pk}/board?phase=check", headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true"


def board(client: Any, upload: Any) -> str:
    page: str = client.get(f"/uploads/{upload.pk}/board").content.decode()
    return page


def test_the_board_says_that_no_worker_runs(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, "delivering")
    make_delivery(upload, segment.destinations.get(), "queued")
    WorkerHeartbeat.objects.all().delete()
    assert "No worker is running" in board(logged_in(manager), upload)


def test_the_board_says_that_another_delivery_goes_first(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    first, second = make_upload(segment, "delivering"), make_upload(segment, "delivering")
    make_delivery(first, segment.destinations.get(), "sending", is_live=True)
    make_delivery(second, segment.destinations.get(), "queued")
    assert "Another delivery to this destination goes first" in board(logged_in(manager), second)


def test_the_board_tells_a_silent_worker_from_a_busy_one(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "delivering")
    delivery = make_delivery(upload, segment.destinations.get(), "sending", lease_owner="gone:1:x")
    Delivery.objects.filter(pk=delivery.pk).update(lease_until=timezone.now() - timedelta(seconds=5))
    page = board(logged_in(manager), upload)
    assert "Stalled" in page
    assert "gone silent" in page


def test_the_board_says_when_it_looks_again(logged_in: Any, manager: Any, segment: Any, worker: None) -> None:
    upload = make_upload(segment, "delivering")
    later = timezone.now() + timedelta(seconds=42)
    make_delivery(upload, segment.destinations.get(), "processing", next_action_at=later, vendor_status="VALIDATING")
    page = board(logged_in(manager), upload)
    assert "Next look" in page
    assert "VALIDATING" in page


def test_a_lost_answer_is_told(logged_in: Any, manager: Any, segment: Any, worker: None) -> None:
    upload = make_upload(segment, "delivering")
    later = timezone.now() + timedelta(seconds=5)
    delivery = make_delivery(upload, segment.destinations.get(), "sending", next_action_at=later)
    Part.objects.create(delivery=delivery, number=1, intent={"step": "send"})
    page = board(logged_in(manager), upload)
    assert "Checking with the vendor" in page
    assert "looks at the vendor before it sends anything again" in page


def test_a_staged_delivery_says_that_it_waits_for_publish(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "completed")
    make_delivery(upload, segment.destinations.get(), "staged")
    page = board(logged_in(manager), upload)
    assert "Held until the segment is published" in page
    assert "Staged" in page.split("Done as far as it can be", maxsplit=1)[0]
    assert 'hx-trigger="every 10s"' in page


@pytest.mark.parametrize(
    ("status", "begun", "taken", "told"),
    [
        ("staged", False, False, "8 changes to send"),
        ("cancelled", False, False, "8 changes not sent"),
        ("sending", True, False, "the vendor has taken none of them yet"),
        ("processing", True, True, "not yet known"),
        ("failed", True, False, "not confirmed"),
    ],
)
def test_what_was_not_sent_is_never_called_sent(
    logged_in: Any, manager: Any, segment: Any, worker: None, status: str, begun: bool, taken: bool, told: str
) -> None:
    upload, now = make_upload(segment, "delivering"), timezone.now()
    moments = {"planned_at": now, "first_sent_at": now if begun else None, "last_sent_at": now if taken else None}
    make_delivery(upload, segment.destinations.get(), status, adds=8, members=8, sent=8, **moments)
    page = board(logged_in(manager), upload)
    assert told in page
    assert ("</strong> sent" in page) is (taken or status == "failed")


def test_what_a_person_stopped_is_told_as_not_done(logged_in: Any, manager: Any, segment: Any) -> None:
    upload, now = make_upload(segment, "partial"), timezone.now()
    moments = dict.fromkeys(("planned_at", "first_sent_at", "last_sent_at", "cancel_requested_at"), now)
    counts = {"removes": 10, "members": 8, "unchanged": 8, "sent": 10, "accepted": 3, "refused": 0}
    make_delivery(upload, segment.destinations.get(), "partial", **counts, **moments)
    client = logged_in(manager)
    page = board(client, upload)
    assert ("not done" in page, "not confirmed" in page) == (True, False)
    assert "<dt>To be removed</dt>" in client.get(f"/uploads/{upload.pk}/receipt").content.decode()


def test_done_is_not_said_without_a_word_where_some_were_not_taken(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, "completed")
    delivery = make_delivery(upload, segment.destinations.get(), "completed", members=8, adds=6, held=2, sent=6)
    client = logged_in(manager)
    assert "Some members could not be used everywhere" in board(client, upload)
    Delivery.objects.filter(pk=delivery.pk).update(held=0)
    assert "Every destination has what the file says." in board(client, upload)


def test_who_was_not_taken_is_told_by_destination(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, "completed")
    make_delivery(
        upload, segment.destinations.get(), "completed", members=8, adds=6, held=2, sent=6, refused=1, accepted=5
    )
    make_delivery(upload, make_destination(segment, "synerise"), "completed", members=8, adds=8, sent=8, accepted=8)
    page = logged_in(manager).get(f"/uploads/{upload.pk}").content.decode()
    table = page.split('id="not-taken"', maxsplit=1)[-1].split("</table>", maxsplit=1)[0]
    assert (table.count('data-label="Held back"'), 'data-label="Held back">2<' in table) == (1, True)


def test_a_comparison_counts_members_and_not_bytes(logged_in: Any, manager: Any, segment: Any) -> None:
    told = {"stage": "comparing", "bytes": 1_474_560, "bytes_total": 2_000_000, "rows": 1_474_560}
    upload = make_upload(segment, "inspecting", members=None, duplicates=None, progress=told, bytes=40_000_000)
    page = board(logged_in(manager), upload).replace("\u202f", " ").replace("\u2009", " ")
    assert "1 474 560 of 2 000 000 members" in page
    assert "1 474 560 rows" not in page


def test_what_needs_attention_has_reason_next_step_and_a_way_to_try_now(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "delivering")
    told: dict[str, Any] = {"error_text": "Xandr refused.", "next_step": "Ask Xandr.", "vendor_text": "NOAUTH"}
    delivery = make_delivery(upload, segment.destinations.get(), "needs attention", **told)
    client = logged_in(manager)
    page = board(client, upload)
    for words in told.values():
        assert words in page
    assert client.post(f"/deliveries/{delivery.pk}/retry").status_code == 302
    delivery.refresh_from_db()
    assert delivery.next_action_at is not None


def test_what_has_ended_meanwhile_is_not_said_to_be_tried_again(logged_in: Any, manager: Any, segment: Any) -> None:
    delivery = make_delivery(make_upload(segment), segment.destinations.get())
    answer = logged_in(manager).post(f"/deliveries/{delivery.pk}/retry", follow=True)
    assert "has ended" in answer.content.decode()
    assert not AuditEntry.objects.filter(action="delivery.retry").exists()
    delivery.refresh_from_db()
    assert delivery.next_action_at is None


def test_a_bar_is_never_full_while_the_vendor_is_waited_for(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "delivering")
    numbers: dict[str, Any] = {
        "adds": 8,
        "sent": 8,
        "members": 8,
        "accepted": 8,
        "refused": 0,
        "planned_at": timezone.now(),
    }
    make_delivery(upload, segment.destinations.get(), "processing", **numbers)
    page = board(logged_in(manager), upload)
    assert "99" in page
    assert ">100" not in page


def test_a_retry_stands_for_what_it_retries(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, "failed")
    destination = segment.destinations.get()
    failed = make_delivery(upload, destination, "failed", error_text="It broke.")
    client = logged_in(manager)
    assert "Send again what failed" in client.get(f"/uploads/{upload.pk}").content.decode()
    make_delivery(upload, destination, "completed", retry_of=failed)
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "1 earlier try" in page
    assert "Send again what failed" not in page


def test_the_page_costs_the_same_however_many_destinations_there_are(
    logged_in: Any, manager: Any, company: Any, worker: None, django_assert_max_num_queries: Any
) -> None:
    segment = make_segment(company)
    upload = make_upload(segment, "delivering")
    for _ in range(6):
        make_delivery(upload, make_destination(segment, "synerise"), "sending")
    client = logged_in(manager)
    with django_assert_max_num_queries(LIVE_FRAGMENT_QUERIES):
        assert client.get(f"/uploads/{upload.pk}").status_code == 200


def test_the_board_says_that_another_segments_delivery_goes_first(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "delivering")
    make_delivery(upload, segment.destinations.get(), "queued", details=BEHIND_ANOTHER)
    assert BEHIND_ANOTHER in board(logged_in(manager), upload)
