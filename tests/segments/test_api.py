"""The API's calls on segments and destinations: shapes, codes, who may."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from segments import api as segments_api
from segments.models import Destination, Segment, Wanted
from tests.api_world import BASE, make_segment
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from uploads.models import Delivery, Snapshot, Upload

pytestmark = pytest.mark.django_db(transaction=True)


def send(api: Client, method: str, path: str, body: Any = None) -> Any:
    return api.generic(
        method, f"{BASE}{path}", "" if body is None else json.dumps(body), content_type="application/json"
    )


def test_a_new_segment_has_the_vendors_shape_and_goes_to_every_account_that_holds_members(
    api: Client, account: VendorAccount, actor: Actor, box: Sandbox, company: Company
) -> None:
    connect(box, actor, "acoustic")
    other = connect(box, actor, "xandr")
    made = make_segment(api, name="Lapsed buyers", durationDays=90)
    assert set(made) == {
        "id", "companyId", "createdAt", "activatedAt", "durationDays", "name", "publicName", "size", "status", "type",
        "externalId", "destinations",
    }  # fmt: skip
    assert (made["companyId"], made["durationDays"], made["type"]) == (company.pk, 90, "core")
    assert made["externalId"] == str(made["id"])
    assert made["createdAt"].endswith("Z")
    assert made["destinations"] == [
        {"vendorAccountId": account.pk, "vendor": "anonymised", "status": "creating", "remoteId": None, "error": None},
        {"vendorAccountId": other.pk, "vendor": "xandr", "status": "creating", "remoteId": None, "error": None},
    ]


def test_destinations_are_named_by_id_or_by_object(
    api: Client, account: VendorAccount, actor: Actor, box: Sandbox
) -> None:
    other = connect(box, actor, "xandr")
    made = make_segment(api, destinations=[{"vendorAccountId": other.pk, "identifier": "idfa"}, account.pk])
    assert [row["vendorAccountId"] for row in made["destinations"]] == [other.pk, account.pk]
    assert Destination.objects.get(vendor_account=other).identifier == "idfa"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "durationDays": 0}, "durationDays"),
        ({"name": "x", "durationDays": "365"}, "durationDays"),
        ({"name": "x", "durationDays": True}, "durationDays"),
        ({"name": "x", "type": "other"}, "type"),
        ({"name": "x", "destinations": []}, "destinations"),
        ({"name": "x", "destinations": 5}, "destinations"),
        ({"name": "x", "destinations": [999999]}, "destinations"),
        ({"name": "x", "destinations": [{"vendorAccountId": "1"}]}, "destinations"),
        ({"name": "x", "destinations": [10**30]}, "destinations"),
        ([], "object"),
    ],
)
def test_a_wrong_segment_is_400_naming_the_field_and_nothing_is_made(
    api: Client, account: VendorAccount, body: Any, word: str
) -> None:
    answer = send(api, "POST", "/segment", body)
    assert answer.status_code == 400, answer.content
    assert set(answer.json()) == {"error"}
    assert word in answer.json()["error"]
    assert not Segment.objects.exists()


def test_without_an_account_that_holds_members_there_is_no_segment(api: Client) -> None:
    assert send(api, "POST", "/segment", {"name": "x"}).status_code == 400


def test_an_account_of_another_company_cannot_be_a_destination(stranger_api: Client, account: VendorAccount) -> None:
    answer = send(stranger_api, "POST", "/segment", {"name": "x", "destinations": [account.pk]})
    assert answer.status_code == 400


def test_lists_are_pages_with_filters(api: Client, account: VendorAccount) -> None:
    made = [make_segment(api, name=f"Segment {n}")["id"] for n in range(5)]
    seen, path = [], f"{BASE}/segment?limit=2"
    while path:
        page = api.get(path).json()
        assert set(page) == {"results", "next"}
        seen += [row["id"] for row in page["results"]]
        path = page["next"]
    assert seen == made[::-1]
    send(api, "PATCH", f"/segment/{made[0]}", {"status": "archived"})
    assert [row["id"] for row in api.get(f"{BASE}/segment?status=archived").json()["results"]] == [made[0]]
    assert [row["name"] for row in api.get(f"{BASE}/segment?q=ment%203").json()["results"]] == ["Segment 3"]
    for query in ("status=odd", "limit=0", "limit=501", "cursor=zzz"):
        assert api.get(f"{BASE}/segment?{query}").status_code == 400


@pytest.mark.parametrize("count", [1, 12])
def test_the_list_costs_as_many_queries_for_many_as_for_one(
    api: Client, account: VendorAccount, count: int, django_assert_num_queries: Any
) -> None:
    for n in range(count):
        make_segment(api, name=f"Segment {n}")
    Segment.objects.update(activated_at="2026-01-01T00:00:00Z")
    for destination in Destination.objects.select_related("segment"):
        make_live(destination)
    api.get(f"{BASE}/segment")
    with django_assert_num_queries(9):
        rows = api.get(f"{BASE}/segment").json()["results"]
    assert [row["size"] for row in rows] == [7] * count


def make_live(destination: Destination) -> None:
    """A membership of seven that the destination acknowledged."""
    now, company = timezone.now(), destination.segment.company
    upload = Upload.objects.create(
        company=company, segment=destination.segment, status="completed", finished_at=now, accepted_at=now
    )
    delivery = Delivery.objects.create(
        company=company, upload=upload, destination=destination, mode="replace", status="completed", finished_at=now
    )
    Snapshot.objects.create(destination=destination, delivery=delivery, members=7)


def test_a_segment_is_renamed_put_away_and_taken_back(api: Client, account: VendorAccount) -> None:
    path = f"/segment/{make_segment(api)['id']}"
    assert send(api, "PATCH", path, {"name": "New name"}).json()["name"] == "New name"
    assert send(api, "PATCH", path, {"status": "archived"}).json()["status"] == "archived"
    assert send(api, "POST", f"{path}/publish").status_code == 409
    assert send(api, "POST", f"{path}/destinations", {"vendorAccountId": account.pk}).status_code == 409
    assert send(api, "PATCH", path, {"status": "created"}).json()["status"] == "created"
    wrong: list[Any] = [{"status": "published"}, {"status": "odd"}, {"name": ""}, {"size": 5}, []]
    for body in wrong:
        answer = send(api, "PATCH", path, body)
        assert (answer.status_code, set(answer.json())) == (400, {"error"})


def test_a_change_that_is_refused_changes_nothing(api: Client, account: VendorAccount) -> None:
    path = f"/segment/{make_segment(api, name='Before')['id']}"
    assert send(api, "PATCH", path, {"name": "After", "status": "published"}).status_code == 400
    assert send(api, "GET", path).json()["name"] == "Before"


def test_publish_waits_for_the_destinations_and_answers_200(
    api: Client, account: VendorAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_api, "PUBLISH_WAIT_SECONDS", 60.0)
    segment = make_segment(api)
    run_until_quiet(kinds=("segments.destination",))

    def work() -> None:
        while not Destination.objects.filter(wanted=Wanted.PUBLISHED).exists():
            time.sleep(0.02)
        run_until_quiet(kinds=("segments.destination",))
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    answer = send(api, "POST", f"/segment/{segment['id']}/publish")
    worker.join()
    assert (answer.status_code, answer.json()["status"]) == (200, "published")
    assert answer.json()["activatedAt"]
    again = send(api, "POST", f"/segment/{segment['id']}/publish")
    assert (again.status_code, again.json()) == (200, answer.json())


def test_publish_answers_202_when_the_destinations_take_longer(
    api: Client, account: VendorAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_api, "PUBLISH_WAIT_SECONDS", 0.3)
    segment = make_segment(api)
    answer = send(api, "POST", f"/segment/{segment['id']}/publish")
    assert (answer.status_code, answer.json()["status"]) == (202, "publishing")


def test_publish_does_not_wait_for_what_has_stopped_and_says_why(
    api: Client, account: VendorAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(segments_api, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append))
    segment = make_segment(api)
    Destination.objects.update(
        status="needs attention",
        error_code="outcome_unknown",
        error_text="The vendor refused.",
        next_step="Ask them.",
        intent={"step": "create"},
    )
    answer = send(api, "POST", f"/segment/{segment['id']}/publish")
    assert pauses == []
    assert answer.status_code == 202
    assert answer.json()["destinations"][0]["error"] == "The vendor refused. Ask them."


def test_publish_tries_a_destination_again_that_stopped_with_an_unknown_outcome(
    api: Client, account: VendorAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_api, "PUBLISH_WAIT_SECONDS", 0.1)
    segment = make_segment(api)
    intent = {"step": "create", "at": timezone.now().isoformat()}
    Destination.objects.update(status="failed", error_code="internal_error", intent=intent, next_action_at=None)
    send(api, "POST", f"/segment/{segment['id']}/publish")
    destination = Destination.objects.get()
    assert (destination.status, destination.intent) == ("creating", intent)
    assert destination.next_action_at is not None


def test_a_destination_is_added_and_removed(api: Client, account: VendorAccount, actor: Actor, box: Sandbox) -> None:
    segment = make_segment(api)
    other = connect(box, actor, "anonymised", name="second")
    path = f"/segment/{segment['id']}/destinations"
    made = send(api, "POST", path, {"vendorAccountId": other.pk})
    assert (made.status_code, made.json()["vendorAccountId"]) == (201, other.pk)
    assert send(api, "POST", path, {"vendorAccountId": other.pk}).status_code == 409
    assert send(api, "POST", path, {}).status_code == 400
    assert send(api, "DELETE", f"{path}/{other.pk}?release=burn").status_code == 400
    gone = send(api, "DELETE", f"{path}/{other.pk}?release=leave")
    assert gone.status_code == 202
    assert [row["vendorAccountId"] for row in gone.json()["destinations"]] == [account.pk]
    assert send(api, "DELETE", f"{path}/{other.pk}").status_code == 404
    assert send(api, "DELETE", f"{path}/{10**25}").status_code == 404


@pytest.mark.parametrize("segment_id", ["0", "abc", "-1", "1.5", str(10**25), "999999"])
def test_an_id_that_is_none_is_404(api: Client, segment_id: str) -> None:
    answer = api.get(f"{BASE}/segment/{segment_id}")
    assert (answer.status_code, set(answer.json())) == (404, {"error"})


def test_marketers_see_and_do_not_change(marketer_api: Client, api: Client, account: VendorAccount) -> None:
    path = f"/segment/{make_segment(api)['id']}"
    assert marketer_api.get(f"{BASE}{path}").status_code == 200
    for method, where in (
        ("POST", "/segment"),
        ("PATCH", path),
        ("POST", f"{path}/publish"),
        ("POST", f"{path}/destinations"),
        ("DELETE", f"{path}/destinations/{account.pk}"),
    ):
        assert send(marketer_api, method, where, {"name": "x"}).status_code == 403
