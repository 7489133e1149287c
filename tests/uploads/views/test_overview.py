"""The overview: what runs, what waits for somebody, the first steps of a new company, and plots that do not lie."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.uploads.kit import make_delivery, make_upload
from uploads.models import Erasure, Snapshot, SourcePull, Upload
from uploads.views.overview import acceptance_by_day, members_by_day

LIVE_QUERIES = 5  # the session, the person with their companies, uploads, other jobs, what needs somebody


def test_a_new_company_is_led_to_its_first_upload(logged_in: Any, manager: Any) -> None:
    page = logged_in(manager).get("/").content.decode()
    for step in ("Connect a vendor account", "Create a segment", "Upload its members"):
        assert step in page


def test_the_first_steps_are_gone_after_the_first_upload(logged_in: Any, manager: Any, segment: Any) -> None:
    make_upload(segment)
    assert "Connect a vendor account" not in logged_in(manager).get("/").content.decode()


def test_what_needs_somebody_says_why_and_what_to_do(
    logged_in: Any, manager: Any, segment: Any, django_assert_num_queries: Any
) -> None:
    destination = segment.destinations.get()
    upload = make_upload(segment, "delivering", file_name="live.csv")
    make_delivery(upload, destination, "needs attention", error_text="Xandr refused.", next_step="Ask Xandr.")
    account = destination.vendor_account
    account.status, account.error_text = "needs_attention", "The password is wrong."
    account.save()
    destination.status, destination.error_text = "failed", "The segment could not be made."
    destination.save()
    client = logged_in(manager)
    with django_assert_num_queries(LIVE_QUERIES):
        page = client.get("/overview/live").content.decode()
    for words in (
        "Xandr refused.",
        "Ask Xandr.",
        "The password is wrong.",
        "vendor account, Anonymised UserSync",
        "The segment could not be made.",
        "live.csv",
    ):
        assert words in page
    assert f"/uploads/{upload.pk}" in page


def test_nothing_of_another_company_is_on_it(logged_in: Any, stranger: Any, segment: Any) -> None:
    upload = make_upload(segment, "delivering", file_name="secret.csv")
    make_delivery(upload, segment.destinations.get(), "needs attention", error_text="secret reason")
    page = logged_in(stranger).get("/").content.decode()
    assert "secret" not in page


def test_the_live_part_ends_without_a_login_page(client: Any, db: None) -> None:
    assert client.get("/overview/live").status_code == 403


def test_memberships_that_end_soon_are_told_as_on_the_segments_page(logged_in: Any, manager: Any, segment: Any) -> None:
    soon, later = (timezone.now().date() + timedelta(days=days) for days in (9, 60))
    ends = {"days": {soon.isoformat(): 12, later.isoformat(): 200}}
    Snapshot.objects.create(
        destination=segment.destinations.get(), file="x", members=212, first_ends_on=soon, ends=ends
    )
    client = logged_in(manager)
    page = client.get("/").content.decode()
    assert "Ending soon" in page
    assert re.search(r">12</span> members end at anonymised 1, the first in 9\u202fdays", page)
    assert ">12</strong> members" in client.get(f"/segments/{segment.pk}/ending").content.decode()


def make_pull(segment: Any, account: Any, status: str, **fields: Any) -> SourcePull:
    pull: SourcePull = SourcePull.objects.create(
        company=segment.company, vendor_account=account, segment=segment, status=status, segmentation="x", **fields
    )
    return pull


def test_segmentations_and_erasures_that_stop_or_run_are_told_to_who_may_see_them(
    logged_in: Any, manager: Any, marketer: Any, stranger: Any, segment: Any
) -> None:
    account = segment.destinations.get().vendor_account
    stopped = make_pull(segment, account, "needs attention", error_text="The key is refused.")
    running = make_pull(segment, account, "running")
    failed = Erasure.objects.create(company=segment.company, status="needs attention")
    erasing = Erasure.objects.create(company=segment.company, status="running")
    page = logged_in(manager).get("/").content.decode()
    attention, _, progress = page.partition('id="running"')
    urls = [f"/source-pulls/{row.pk}" for row in (stopped, running)]
    urls += [f"/erasures/{row.pk}" for row in (failed, erasing)]
    assert [url in attention for url in urls] == [True, False, True, False]
    assert [url in progress for url in urls] == [False, True, False, True]
    assert "The key is refused." in attention
    assert "Some of its steps have failed." in attention
    for other in (marketer, stranger):
        assert not any(url in logged_in(other).get("/").content.decode() for url in urls)


def test_a_segmentation_that_stopped_leads_to_the_account_that_is_to_be_mended(
    logged_in: Any, manager: Any, segment: Any
) -> None:
    account = segment.destinations.get().vendor_account
    pull = make_pull(segment, account, "needs attention", error_text="The key is refused.")
    live = logged_in(manager).get(f"/source-pulls/{pull.pk}/live").content.decode()
    assert f'href="/vendor-accounts/{account.pk}"' in live


def test_a_marketer_of_a_new_company_is_told_who_begins(logged_in: Any, marketer: Any) -> None:
    page = logged_in(marketer).get("/").content.decode()
    assert page.count("A client success manager or an admin does that.") == 2
    assert "/segments/new" not in page
    assert "Nothing to plot yet" not in page


def test_members_by_day_counts_what_was_current_at_each_days_end(company: Any, segment: Any) -> None:
    destination, now = segment.destinations.get(), timezone.now()
    before, after = now - timedelta(days=3), now - timedelta(days=1)
    Snapshot.objects.create(destination=destination, members=10, created_at=before, superseded_at=after)
    Snapshot.objects.create(destination=destination, members=25, created_at=after)
    assert [count for _, count in members_by_day(company, days=5)] == [0, 10, 10, 25, 25]


def test_acceptance_by_day_has_a_value_for_every_day(company: Any, segment: Any) -> None:
    upload = make_upload(segment)
    numbers: dict[str, Any] = {"adds": 8, "sent": 8, "members": 8, "accepted": 7, "refused": 1}
    make_delivery(upload, segment.destinations.get(), **numbers)
    rows = acceptance_by_day(company, days=5)
    assert [row[1:] for row in rows] == [(0, 0)] * 4 + [(7, 1)]


def test_the_segments_page_follows_its_uploads_up_to_their_end(logged_in: Any, manager: Any, segment: Any) -> None:
    client, url = logged_in(manager), f"/segments/{segment.pk}/uploads"
    live = make_upload(segment, "delivering")
    first = client.get(url)
    assert ("every 3s" in first.content.decode(), "HX-Trigger" in first.headers) == (True, False)
    Upload.objects.filter(pk=live.pk).update(status="completed", finished_at=timezone.now())
    last = client.get(url, {"again": "1"})
    assert ("every 3s" in last.content.decode(), last.headers["HX-Trigger"]) == (False, '{"uploads-moved": {}}')
    assert "uploads-moved from:body" in client.get(f"/segments/{segment.pk}").content.decode()
