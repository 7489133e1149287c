"""The page of an upload before it goes: what it would do, and what must be confirmed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from audsync_web.people.models import AuditEntry
from audsync_web.vendors.connectors.base import Finding, Level
from tests.jobs_helper import run_until_quiet
from tests.uploads.kit import make_destination, make_segment, make_upload
from uploads.inspection.preflight import Row
from uploads.models import Delivery, Snapshot, Upload
from uploads.views.matrix import matrix_of

from .kit import ready


def test_the_preview_says_what_would_change(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    page = client.get(f"/uploads/{ready(client, segment).pk}").content.decode()
    assert "What it would do" in page
    assert "+2" in page


def test_go_starts_the_deliveries(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    assert client.post(f"/uploads/{upload.pk}/go").status_code == 302
    assert upload.deliveries.count() == 1
    assert AuditEntry.objects.filter(action="upload.go").exists()


def test_going_twice_starts_nothing_twice(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    client.post(f"/uploads/{upload.pk}/go")
    answer = client.post(f"/uploads/{upload.pk}/go", follow=True)
    assert "not waiting to be started" in answer.content.decode()
    assert upload.deliveries.count() == 1


def emptying(upload: Upload, destination: Any) -> None:
    cell = {"destination": destination.pk, "name": "x", "taken": True, "known": True, "before": 10, "members": 2}
    cell |= {"held": 0, "adds": 0, "renewed": 0, "removes": 8, "unchanged": 2}
    Upload.objects.filter(pk=upload.pk).update(preview={"at": timezone.now().isoformat(), "destinations": [cell]})


def test_joining_and_leaving_balance_though_some_are_sent_to_be_sure(
    logged_in: Any, manager: Any, segment: Any
) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    cell = {"destination": segment.destinations.get().pk, "name": "x", "taken": True, "known": True, "members": 300}
    cell |= {"before": 500, "held": 0, "adds": 13, "again": 11, "renewed": 0, "removes": 209, "unchanged": 287}
    cell |= {"leave": 202, "after": 300}
    Upload.objects.filter(pk=upload.pk).update(preview={"at": timezone.now().isoformat(), "destinations": [cell]})
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    for told in ("500", "+2", "−202", "287", "300", "222 changes", "11 added again to be sure"):
        assert f">{told}<" in page, told
    assert ">7 removed in case they are there<" in page


def test_a_file_that_removes_many_must_be_confirmed_by_typing(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    emptying(upload, segment.destinations.get())
    assert client.post(f"/uploads/{upload.pk}/go", {"typed": "yes"}).status_code == 422
    assert not upload.deliveries.exists()
    assert client.post(f"/uploads/{upload.pk}/go", {"typed": segment.name}).status_code == 302
    upload.refresh_from_db()
    assert upload.deliveries.count() == 1
    assert upload.max_removed_share is None


@pytest.mark.parametrize(("caution", "is_pointed_at"), [("35", True), ("90", False)])
def test_the_checks_point_at_more_than_the_share_that_was_chosen(
    logged_in: Any, manager: Any, segment: Any, caution: str, is_pointed_at: bool
) -> None:
    client = logged_in(manager)
    upload, destination = ready(client, segment, caution=caution), segment.destinations.get()
    Snapshot.objects.filter(destination=destination).delete()
    Snapshot.objects.create(destination=destination, file="before", members=10)
    emptying(upload, destination)
    page = client.get(f"/uploads/{upload.pk}/preflight").content.decode()
    assert ("8 of 10 members would leave" in page) is is_pointed_at


def test_the_checks_of_an_upload_that_waits_no_more_give_no_page_within_the_page(
    logged_in: Any, manager: Any, segment: Any
) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    client.post(f"/uploads/{upload.pk}/cancel")
    path = f"/uploads/{upload.pk}/preflight"
    assert client.get(path).headers["Location"] == f"/uploads/{upload.pk}"
    part = client.get(path, headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (200, f"/uploads/{upload.pk}")


def test_what_was_not_confirmed_stays_limited_when_it_is_sent(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, caution="35")
    client.post(f"/uploads/{upload.pk}/go")
    upload.refresh_from_db()
    assert upload.max_removed_share == pytest.approx(0.35)


def test_what_holds_or_warns_stands_first_and_what_passed_is_folded(segment: Any) -> None:
    calm, held = segment.destinations.get(), make_destination(segment, "synerise", "custom_id")
    passed = [Finding("identifier", Level.OK, "Fed with it."), Finding("quota", Level.OK, "No pause is known.")]
    plan = [Finding("finish", Level.OK, "In about 3 s."), Finding("size", Level.OK, "1 part, about 2 MB.")]
    bad = [Finding("quota", Level.WARNING, "A pause.", "Wait."), Finding("odd", Level.BLOCKED, "No.", "Ask.")]
    rows = [Row(calm, [*plan, *passed]), Row(held, [*passed[:1], *bad])]
    shown = matrix_of(rows)["matrix"]
    assert [line["account"].vendor for line in shown] == ["synerise", "anonymised"]
    assert [(one["label"], one["fix"]) for one in shown[0]["open"]] == [("At the vendor", "Ask."), ("Quota", "Wait.")]
    assert [len(line["passed"]) for line in shown] == [1, 2]
    assert shown[1]["plan"] == ["1 part, about 2 MB.", "In about 3 s."]
    page = render_to_string("uploads/_matrix.html", {"matrix": shown})
    assert "All checks passed" in page
    assert "1 other check passed" in page
    assert page.index("No.") < page.index("A pause.") < page.index("Fed with it.")


def test_the_checks_give_sizes_as_every_other_page_does(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    page = client.get(f"/uploads/{ready(client, segment).pk}/preflight").content.decode()
    assert re.search(r"1 part, about \d+\u202fB\.", page)


def test_old_figures_are_counted_again_before_anything_goes(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    destination = segment.destinations.get()
    Snapshot.objects.filter(destination=destination).delete()
    Snapshot.objects.create(destination=destination, file="newer", members=5)
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    table = page.index('class="table preflight is-old"')
    assert page.index("These figures are old") < page.index("Compare again") < table
    assert page.count("Compare again") == 1
    assert "let it go" not in page
    client.post(f"/uploads/{upload.pk}/go")
    upload.refresh_from_db()
    assert upload.status == "inspecting"
    assert not upload.deliveries.exists()


def test_a_held_upload_can_be_cancelled(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    client.post(f"/uploads/{upload.pk}/cancel")
    upload.refresh_from_db()
    assert upload.status == "cancelled"
    assert not upload.deliveries.exists()


def test_a_file_of_which_nobody_fits_cannot_go_there(logged_in: Any, manager: Any, company: Any) -> None:
    segment = make_segment(company)
    make_destination(segment, "mediarithmics", "email_sha256")
    client = logged_in(manager)
    upload = ready(client, segment)
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "Nobody in this file fits" in page
    assert "No destination can take this file" in page
    checks = client.get(f"/uploads/{upload.pk}/preflight").content.decode()
    assert "finding-blocked" in checks
    assert "finding-warning" not in checks
    assert "Already so" not in checks


def test_an_upload_that_can_go_to_some_destinations_alone_says_to_how_many(
    logged_in: Any, manager: Any, company: Any
) -> None:
    segment = make_segment(company)
    make_destination(segment)
    make_destination(segment, "synerise", "custom_id")
    blocked = make_destination(segment, "mediarithmics", "email_sha256")
    client = logged_in(manager)
    upload = ready(client, segment)
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "It can go to 2 of 3 destinations" in page
    assert "Go to 2 of 3<" in page
    assert "let it go" not in page
    segment.destinations.exclude(pk=blocked.pk).delete()
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "no destination can take it" in page
    assert "let it go" not in page


@pytest.mark.parametrize("kind", ["email", "provider_id"])
def test_no_advice_leads_to_what_cannot_be_done(logged_in: Any, manager: Any, company: Any, kind: str) -> None:
    segment = make_segment(company)
    make_destination(segment, "synerise", "email")
    fed = make_destination(segment, "mediarithmics", "user_account_id" if kind == "email" else "email_sha256")
    client = logged_in(manager)
    upload = ready(client, segment, content=f"{kind}\nkim@example.invalid\n".encode())
    pages = [client.get(f"/uploads/{upload.pk}{part}").content.decode() for part in ("", "/preflight")]
    client.post(f"/uploads/{upload.pk}/go")
    run_until_quiet(kinds=("uploads.delivery",))
    delivery = Delivery.objects.get(destination=fed)
    assert delivery.status == "failed"
    for told in (*pages, delivery.next_step):
        assert f"say so of its column (kind {fed.identifier})" in told
        assert "hange the destination" not in told
        assert "hange its identifier" not in told


@pytest.mark.parametrize(("path", "entry"), [("/uploads/new", "/uploads/new"), ("/uploads/{pk}", "/history")])
def test_the_navigation_says_where_one_is(logged_in: Any, manager: Any, segment: Any, path: str, entry: str) -> None:
    upload = make_upload(segment)
    page = logged_in(manager).get(path.format(pk=upload.pk)).content.decode()
    assert re.findall(r'<a href="([^"]+)" aria-current="page">', page) == [entry]


def test_nobody_is_removed_by_a_file_of_which_nobody_fits(logged_in: Any, manager: Any, company: Any) -> None:
    segment = make_segment(company)
    make_destination(segment)
    other = make_destination(segment, "mediarithmics", "email_sha256")
    Snapshot.objects.create(destination=other, members=0)
    client = logged_in(manager)
    upload = ready(client, segment)
    client.post(f"/uploads/{upload.pk}/go")
    run_until_quiet(kinds=("uploads.delivery",))
    delivery = Delivery.objects.get(destination=other)
    assert (delivery.status, delivery.error_code) == ("failed", "nobody_fits")
