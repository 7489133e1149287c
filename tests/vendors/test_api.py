"""The API's calls on vendor accounts: what is shown to whom, and the live check."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import AccountStatus, VendorAccount
from tests.api_world import BASE
from tests.sandbox_accounts import connect

pytestmark = pytest.mark.django_db(transaction=True)


def test_accounts_are_shown_without_any_secret(api: Client, account: VendorAccount, actor: Actor, box: Sandbox) -> None:
    for vendor in ("mediarithmics", "synerise", "xandr", "acoustic"):
        connect(box, actor, vendor)
    answer = api.get(f"{BASE}/vendor-accounts")
    assert answer.status_code == 200
    assert {row["vendor"] for row in answer.json()["results"]} == {
        "anonymised", "mediarithmics", "synerise", "xandr", "acoustic"
    }  # fmt: skip
    for row in VendorAccount.objects.all():
        one = api.get(f"{BASE}/vendor-accounts/{row.pk}")
        for secret in row.credentials.values():
            assert not secret or secret not in one.content.decode()
            assert not secret or secret not in answer.content.decode()


def test_settings_are_for_managers_only(api: Client, marketer_api: Client, account: VendorAccount) -> None:
    path = f"{BASE}/vendor-accounts/{account.pk}"
    assert api.get(path).json()["settings"]["identifier"] == "provider_id"
    shown = marketer_api.get(path).json()
    assert not {"settings", "baseUrl"} & set(shown)
    assert shown["status"] == "ok"
    assert not {"settings", "baseUrl"} & set(marketer_api.get(f"{BASE}/vendor-accounts").json()["results"][0])


def test_the_check_tells_whether_the_credentials_work(api: Client, account: VendorAccount) -> None:
    path = f"{BASE}/vendor-accounts/{account.pk}/check"
    good = api.post(path)
    assert (good.status_code, good.json()["status"], good.json()["error"]) == (200, "ok", None)
    assert good.json()["checkedAt"]
    VendorAccount.objects.filter(pk=account.pk).update(
        credentials={"email": "demo@northwind.example", "password": "not the one"}
    )
    bad = api.post(path)
    assert (bad.status_code, bad.json()["status"]) == (200, "needs attention")
    assert bad.json()["error"]


def test_a_check_does_not_resume_what_somebody_paused(api: Client, account: VendorAccount) -> None:
    VendorAccount.objects.update(status=AccountStatus.PAUSED, next_action_at=None, checked_at=None)
    answer = api.post(f"{BASE}/vendor-accounts/{account.pk}/check")
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (200, "paused", None)
    assert answer.json()["checkedAt"]
    account.refresh_from_db()
    assert (account.status, account.next_action_at) == (AccountStatus.PAUSED, None)


def test_marketers_do_not_check(marketer_api: Client, account: VendorAccount) -> None:
    assert marketer_api.post(f"{BASE}/vendor-accounts/{account.pk}/check").status_code == 403


def test_a_disconnected_account_is_404(api: Client, account: VendorAccount) -> None:
    VendorAccount.objects.update(status=AccountStatus.DISCONNECTED)
    assert api.get(f"{BASE}/vendor-accounts/{account.pk}").status_code == 404
    assert api.get(f"{BASE}/vendor-accounts").json()["results"] == []


@pytest.mark.parametrize("count", [1, 8])
def test_the_list_costs_as_many_queries_for_many_as_for_one(
    api: Client, actor: Actor, box: Sandbox, count: int, django_assert_num_queries: Any
) -> None:
    for n in range(count):
        connect(box, actor, "anonymised", name=f"account {n}")
    api.get(f"{BASE}/vendor-accounts")
    with django_assert_num_queries(3):
        assert len(api.get(f"{BASE}/vendor-accounts").json()["results"]) == count
