"""A new version of a destination by the API: it takes the place, and the old one is deleted when somebody says so."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry, User
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from segments import renewing
from segments.models import Destination, Segment, Wanted
from segments.services import DestinationWish, destination_add, destination_release
from tests.api_world import BASE, make_segment
from tests.conftest import LoggedIn
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def synerise(box: Sandbox, actor: Actor) -> VendorAccount:
    return connect(box, actor, "synerise")


@pytest.fixture
def segment(api: Client, synerise: VendorAccount) -> dict[str, Any]:
    made = make_segment(api)
    run_until_quiet()
    return made


def path_of(segment: dict[str, Any], rest: str) -> str:
    return f"{BASE}/segment/{segment['id']}/{rest}"


def tags(box: Sandbox) -> set[str]:
    return {row["name"] for row in box.vendors["synerise"].state()["segments"]}


def test_a_new_version_takes_the_place_and_the_old_one_is_deleted_when_asked(
    api: Client, segment: dict[str, Any], synerise: VendorAccount, box: Sandbox
) -> None:
    old = Destination.objects.get()
    made = api.post(path_of(segment, f"destinations/{synerise.pk}/renew"))
    assert made.status_code == 201, made.content
    assert (made.json()["vendorAccountId"], made.json()["status"]) == (synerise.pk, "creating")
    run_until_quiet()
    shown = api.get(f"{BASE}/segment/{segment['id']}").json()["destinations"]
    assert [row["remoteId"] for row in shown] == [f"{old.remote_id}-v2"]
    listed = api.get(path_of(segment, "replaced")).json()
    told = {"id": old.pk, "vendorAccountId": synerise.pk, "vendor": "synerise", "remoteId": old.remote_id}
    assert listed == {"results": [told], "next": None}
    answer = api.delete(path_of(segment, f"replaced/{old.pk}"))
    assert (answer.status_code, answer.json()) == (202, told)
    run_until_quiet(wait=3)
    assert (old.remote_id in tags(box), f"{old.remote_id}-v2" in tags(box)) == (False, True)
    assert api.delete(path_of(segment, f"replaced/{old.pk}")).status_code == 404
    assert api.get(path_of(segment, "replaced")).json()["results"] == []


def test_a_removal_that_needs_a_linked_segmentation_is_offered_only_where_there_is_one(
    api: Client, segment: dict[str, Any], synerise: VendorAccount, manager: User, logged_in: LoggedIn
) -> None:
    path = path_of(segment, f"destinations/{synerise.pk}")
    refused = api.delete(f"{path}?release=empty")
    assert (refused.status_code, refused.json()) == (400, {"error": "release: must be one of leave, delete_tag"})
    assert Destination.objects.get().wanted != Wanted.RELEASED
    page = f"/segments/{segment['id']}/destinations/{Destination.objects.get().pk}/remove"
    assert "linked segmentation" not in logged_in(manager).get(page).content.decode()
    Destination.objects.update(options={"segmentationUuid": "8d7f0f55-1c55-4d0b-a9a4-0b8a6f6f9d19"})
    assert "linked segmentation" in logged_in(manager).get(page).content.decode()
    assert api.delete(f"{path}?release=empty").status_code == 202


def test_what_takes_the_place_is_not_deleted(api: Client, segment: dict[str, Any]) -> None:
    assert api.delete(path_of(segment, f"replaced/{Destination.objects.get().pk}")).status_code == 404
    assert not AuditEntry.objects.filter(action="destination.delete_replaced").exists()


def test_a_name_that_was_deleted_at_the_vendor_is_never_used_again(
    api: Client, actor: Actor, segment: dict[str, Any], synerise: VendorAccount
) -> None:
    """A tag lives on for a while after its deletion: under the same name it would bring its members along."""
    used = []
    for options in ({"version": 3}, {}, {"version": 2}):
        destination_release(actor=actor, destination=Destination.objects.current().get(), choice="delete_tag")
        run_until_quiet(wait=3)
        wish = DestinationWish(synerise, options=options)
        destination_add(actor=actor, segment=Segment.objects.get(), wish=wish)
        run_until_quiet()
        used.append(Destination.objects.current().get().remote_id.partition("-v")[2])
    assert used == ["3", "4", "5"]


def test_vendors_that_take_whole_lists_need_no_new_version(api: Client, account: VendorAccount) -> None:
    segment = make_segment(api)
    run_until_quiet()
    answer = api.post(path_of(segment, f"destinations/{account.pk}/renew"))
    assert answer.status_code == 409
    assert set(answer.json()) == {"error"}


def test_an_archived_segment_is_given_no_new_version(
    api: Client, segment: dict[str, Any], synerise: VendorAccount
) -> None:
    api.patch(f"{BASE}/segment/{segment['id']}", {"status": "archived"}, content_type="application/json")
    answer = api.post(path_of(segment, f"destinations/{synerise.pk}/renew"))
    assert (answer.status_code, "archived" in answer.json()["error"]) == (409, True)
    assert Destination.objects.count() == 1


def test_an_account_that_is_no_destination_is_404(
    api: Client, segment: dict[str, Any], box: Sandbox, actor: Actor
) -> None:
    other = connect(box, actor, "anonymised")
    assert api.post(path_of(segment, f"destinations/{other.pk}/renew")).status_code == 404


def test_only_managers_renew_and_delete(marketer_api: Client, segment: dict[str, Any], synerise: VendorAccount) -> None:
    assert marketer_api.post(path_of(segment, f"destinations/{synerise.pk}/renew")).status_code == 403
    assert marketer_api.delete(path_of(segment, "replaced/1")).status_code == 403
    assert marketer_api.get(path_of(segment, "replaced")).status_code == 200


def test_what_somebody_else_deletes_at_the_same_moment_is_told_on_the_page(
    api: Client, segment: dict[str, Any], synerise: VendorAccount, manager: User, logged_in: LoggedIn, monkeypatch: Any
) -> None:
    old = Destination.objects.get()
    api.post(path_of(segment, f"destinations/{synerise.pk}/renew"))
    real = renewing.left_segment_delete

    def twice(**named: Any) -> None:
        real(**named)
        real(**named)

    monkeypatch.setattr(renewing, "left_segment_delete", twice)
    page = f"/segments/{segment['id']}"
    answer = logged_in(manager).post(f"{page}/destinations/{old.pk}/delete-left", follow=True)
    assert "There is nothing left to delete at the vendor." in answer.content.decode()
