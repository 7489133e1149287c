"""Preflight: what would happen where, before anything does."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.jobs.models import Quota
from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import AccountStatus, VendorAccount
from segments.models import Destination
from tests.api_world import BASE, csv_of, make_segment, upload
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from uploads.models import Delivery, Upload

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def segment(api: Client, account: VendorAccount) -> dict[str, Any]:
    made = make_segment(api)
    run_until_quiet(kinds=("segments.destination",))
    return made


def ask(
    api: Client, segment: dict[str, Any], body: Any, query: str = "", content_type: str = "application/json"
) -> Any:
    return api.post(f"{BASE}/segment/{segment['id']}/membership/preflight{query}", body, content_type=content_type)


def checks(row: dict[str, Any]) -> dict[str, str]:
    return {cell["check"]: cell["level"] for cell in row["checks"]}


def test_a_file_is_weighed_without_being_kept(marketer_api: Client, segment: dict[str, Any]) -> None:
    answer = ask(marketer_api, segment, csv_of("a1", "a2", "a,3"), content_type="text/csv")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["recordsCount"], found["rejectedCount"], found["exact"]) == (3, 1, False)
    row = found["destinations"][0]
    assert (row["level"], row["members"], row["parts"], row["adds"]) == ("green", 2, 1, 2)
    assert row["finishesAt"]
    assert found["finishesAt"] == row["finishesAt"]
    assert not Upload.objects.exists()


def test_an_inspected_upload_is_counted_exactly(api: Client, segment: dict[str, Any]) -> None:
    first = upload(api, segment, csv_of("a1", "a2", "a3", "a4")).json()
    run_until_quiet(wait=8)
    second = upload(api, segment, csv_of("a1", "b1")).json()
    run_until_quiet(kinds=("uploads.inspection",))
    row = ask(api, segment, {"uploadId": second["id"]}).json()["destinations"][0]
    assert (row["adds"], row["removes"], row["unchanged"]) == (1, 3, 1)
    assert checks(row)["membership"] == "amber"
    again = ask(api, segment, {"uploadId": first["id"]}).json()
    assert again["exact"] is True
    assert again["destinations"][0]["adds"] == 0


def test_a_key_that_is_rejected_is_told_in_its_cell_and_shown_on_the_account(
    api: Client, segment: dict[str, Any], account: VendorAccount
) -> None:
    account.credentials = {**account.credentials, "password": "a changed one"}
    account.save()
    row = ask(api, segment, {"kind": "provider_id", "members": 10}).json()["destinations"][0]
    assert checks(row)["vendor"] == "amber"
    account.refresh_from_db()
    assert account.status == AccountStatus.NEEDS_ATTENTION


@pytest.mark.parametrize("is_known", [True, False])
def test_a_list_that_changes_nothing_is_not_sent_unless_somebody_doubts_it(
    api: Client, segment: dict[str, Any], is_known: bool
) -> None:
    upload(api, segment, csv_of("a1", "a2"))
    run_until_quiet(wait=8)
    Destination.objects.update(membership_known=is_known)
    again = upload(api, segment, csv_of("a2", "a1")).json()
    run_until_quiet(kinds=("uploads.inspection",))
    row = ask(api, segment, {"uploadId": again["id"]}).json()["destinations"][0]
    assert (row["adds"], row["removes"], row["unchanged"]) == (0, 0, 2)
    assert row["parts"] == (0 if is_known else 1)
    run_until_quiet(wait=8)
    delivery = Delivery.objects.get(upload=again["id"])
    assert (delivery.status, delivery.parts_total) == ("completed", row["parts"])


def test_a_kind_that_a_destination_cannot_take_is_red_with_the_fix(
    api: Client, account: VendorAccount, actor: Actor, box: Sandbox
) -> None:
    other = connect(box, actor, "xandr", identifier="xandr_id")
    segment = make_segment(api)
    found = ask(api, segment, {"kind": "email", "members": 10}).json()
    rows = {row["vendorAccountId"]: row for row in found["destinations"]}
    assert rows[other.pk]["level"] == "red"
    cell = rows[other.pk]["checks"][0]
    assert cell["check"] == "identifier"
    assert cell["fix"]
    assert found["level"] == "red"
    assert found["finishesAt"] is None


def test_a_list_beyond_the_vendors_limit_is_red(api: Client, account: VendorAccount) -> None:
    segment = make_segment(api)
    row = ask(api, segment, {"kind": "provider_id", "members": 50_000_000}).json()["destinations"][0]
    assert checks(row)["size"] == "red"


def test_a_pause_of_a_neighbour_whose_number_begins_alike_is_none(
    api: Client, segment: dict[str, Any], account: VendorAccount
) -> None:
    until = timezone.now() + timedelta(hours=2)
    Quota.objects.create(key=f"{account.quota_scope}7:x", paused_until=until, pause_reason="The vendor asked for it.")
    row = ask(api, segment, {"members": 5}).json()["destinations"][0]
    assert checks(row)["quota"] == "green"


def test_an_account_that_does_not_work_is_red_and_a_pause_is_amber(
    api: Client, segment: dict[str, Any], account: VendorAccount
) -> None:
    until = timezone.now() + timedelta(hours=2)
    Quota.objects.create(key=f"{account.quota_scope}:x", paused_until=until, pause_reason="The vendor asked for it.")
    row = ask(api, segment, {"members": 5}).json()["destinations"][0]
    assert checks(row)["quota"] == "amber"
    assert row["finishesAt"] > until.isoformat()[:16]
    VendorAccount.objects.filter(pk=account.pk).update(
        status=AccountStatus.NEEDS_ATTENTION, error_text="Wrong password.", next_step="Give the new one."
    )
    row = ask(api, segment, {"members": 5}).json()["destinations"][0]
    assert checks(row)["credentials"] == "red"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"members": -1},
        {"members": "many"},
        {},
        {"kind": "shoe", "members": 1},
        {"kind": ["email"], "members": 1},
        {"uploadId": "x"},
        {"members": 1, "mode": "x"},
    ],
)
def test_a_wrong_question_is_400(api: Client, segment: dict[str, Any], body: Any) -> None:
    assert ask(api, segment, body).status_code == 400


def test_a_refused_question_keeps_its_key(api: Client, segment: dict[str, Any]) -> None:
    path, key = f"{BASE}/segment/{segment['id']}/membership/preflight", {"Idempotency-Key": "one"}
    first = api.post(path, {"members": -1}, content_type="application/json", headers=key)
    again = api.post(path, {"members": -1}, content_type="application/json", headers=key)
    assert (again.status_code, again.content) == (400, first.content)
    assert api.post(path, {"members": 1}, content_type="application/json", headers=key).status_code == 422


def test_a_repeated_question_that_is_cut_off_is_400(api: Client, segment: dict[str, Any]) -> None:
    path, body = f"{BASE}/segment/{segment['id']}/membership/preflight", b'{"members": 5}'
    sent: dict[str, Any] = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    sent["HTTP_IDEMPOTENCY_KEY"] = "one"
    assert api.generic("POST", path, body, **sent).status_code == 200
    cut = api.generic("POST", path, b"", **(sent | {"wsgi.input": io.BytesIO(body[:6])}))
    assert cut.status_code == 400
    assert set(cut.json()) == {"error"}


def test_a_vendor_that_does_not_answer_is_amber(api: Client, segment: dict[str, Any], box: Sandbox) -> None:
    box.context.faults.set("anonymised.server_error", "9x")
    row = ask(api, segment, {"members": 5}).json()["destinations"][0]
    assert checks(row)["vendor"] == "amber"
