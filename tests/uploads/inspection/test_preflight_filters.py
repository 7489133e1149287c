"""An identity filter that would stop what a delivery needs is seen before the delivery, and costs it nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors import identity
from audsync_web.vendors.models import VendorAccount
from tests.api_world import BASE, make_segment
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def exchange(box: Sandbox, actor: Actor) -> VendorAccount:
    return connect(box, actor, "acoustic", name="Exchange")


@pytest.fixture
def segment(box: Sandbox, actor: Actor, api: Client, exchange: VendorAccount) -> dict[str, Any]:
    """One whose destination is fed with e-mail addresses."""
    connect(box, actor, "synerise", identifier="email")
    made = make_segment(api)
    run_until_quiet(kinds=("segments.destination",))
    return made


def warnings(api: Client, segment: dict[str, Any]) -> list[str]:
    address = f"{BASE}/segment/{segment['id']}/membership/preflight"
    answer = api.post(address, "email\nrita@shop.example\n", content_type="text/csv")
    assert answer.status_code == 200, answer.content
    (row,) = answer.json()["destinations"]
    return [cell["text"] for cell in row["checks"] if cell["check"] == "identity filter"]


def test_a_filter_on_the_kind_of_identifier_is_warned_of_at_once(
    api: Client, segment: dict[str, Any], exchange: VendorAccount, actor: Actor
) -> None:
    assert warnings(api, segment) == []
    identity.filter_save(actor=actor, account=exchange, name="phone", publish=True, subscribe=False)
    assert warnings(api, segment) == []
    identity.filter_save(actor=actor, account=exchange, name="email", publish=True, subscribe=False)
    (said,) = warnings(api, segment)
    assert "holds back “email”" in said
    identity.filter_remove(actor=actor, account=exchange, name="email")
    assert warnings(api, segment) == []


def test_filters_are_asked_for_at_most_once_a_minute(api: Client, segment: dict[str, Any], box: Sandbox) -> None:
    for _ in range(3):
        warnings(api, segment)
    assert len(box.context.ledger.entries("acoustic")) == 1


def test_exchange_in_trouble_holds_no_preflight_up(api: Client, segment: dict[str, Any], box: Sandbox) -> None:
    box.context.faults.set("acoustic.unavailable", "9x")
    assert warnings(api, segment) == []
