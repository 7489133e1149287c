"""A row is one worker's at a time: claimed by one statement, renewed while the worker lives, lost when it does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audsync_web.jobs.kinds import JobKind, kind_named
from audsync_web.jobs.leases import LEASE, Heart, Lease, LeaseLost, claim, release, workers_alive
from audsync_web.people.models import Company
from audsync_web.vendors.models import VendorAccount
from tests.factories import make_vendor_account

pytestmark = pytest.mark.django_db


@pytest.fixture
def kind() -> JobKind:
    return kind_named("vendors.account")


@pytest.fixture
def account(company: Company) -> VendorAccount:
    account = make_vendor_account(company)
    change(account, next_action_at=timezone.now())
    return account


def change(account: VendorAccount, **fields: Any) -> None:
    VendorAccount.objects.filter(pk=account.pk).update(**fields)


def claimed(kind: JobKind, account: VendorAccount) -> Lease:
    lease = claim(kind, account.pk)
    assert lease is not None
    return lease


def test_a_row_is_claimed_once_until_it_is_given_back(kind: JobKind, account: VendorAccount) -> None:
    lease = claimed(kind, account)
    assert claim(kind, account.pk) is None
    release(lease)
    assert claim(kind, account.pk) is not None


def test_a_row_that_is_due_later_is_not_claimed(kind: JobKind, account: VendorAccount) -> None:
    change(account, next_action_at=timezone.now() + timedelta(minutes=1))
    assert claim(kind, account.pk) is None


def test_a_row_of_a_silent_worker_goes_to_the_next_and_the_first_may_not_write(
    kind: JobKind, account: VendorAccount
) -> None:
    first = claimed(kind, account)
    change(account, lease_until=timezone.now() - timedelta(seconds=1))
    second = claimed(kind, account)
    with pytest.raises(LeaseLost):
        first.update(check_text="from the dead")
    release(first)
    second.update(check_text="from the living")
    account.refresh_from_db()
    assert (account.check_text, account.lease_owner) == ("from the living", second.owner)


def test_a_beat_renews_what_is_held_and_tells_what_was_taken(kind: JobKind, account: VendorAccount) -> None:
    heart, lease = Heart(), claimed(kind, account)
    heart._leases[lease.owner] = lease
    soon = timezone.now() + timedelta(seconds=1)
    change(account, lease_until=soon)
    heart.beat()
    account.refresh_from_db()
    assert account.lease_until is not None
    assert account.lease_until > soon + LEASE / 2
    assert not lease.lost
    change(account, lease_owner="elsewhere:1:x")
    heart.beat()
    assert lease.lost


def test_a_beat_is_a_workers_sign_of_life() -> None:
    assert not workers_alive()
    Heart().beat()
    assert workers_alive()
