"""Synerise, the whole way: files in, tags at the vendor, under both tag semantics and with lost answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import Company, User
from audsync_web.sandbox.server import Sandbox
from segments import api as segments_api
from tests.api_world import BASE, bearer_client, csv_of, make_segment, upload
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from uploads import sending

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [f"crm-{number:04d}" for number in range(60)]


@pytest.fixture(autouse=True)
def publish_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_api, "PUBLISH_WAIT_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def second_looks_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECOND_LOOK", timedelta(seconds=0.3))


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


@pytest.fixture
def api(manager: User, company: Company) -> Client:
    return bearer_client(manager, company)


def deliver(api: Client, segment: dict[str, Any], people: list[str], mode: str = "replace") -> dict[str, Any]:
    """Upload a file and follow it to its end."""
    made = upload(api, segment, csv_of(*people), f"?mode={mode}")
    assert made.status_code == 201, made.content
    run_until_quiet(wait=8)
    seen = api.get(f"{BASE}/segment/{segment['id']}/membership/upload/{made.json()['id']}").json()
    return dict(seen)


def tag_of(api: Client, segment: dict[str, Any]) -> str:
    run_until_quiet(wait=3)
    found = api.get(f"{BASE}/segment/{segment['id']}").json()
    return str(found["destinations"][0]["remoteId"])


def members_of(box: Sandbox, tag: str) -> set[str]:
    box.context.clock.advance(1)
    return set(box.vendors["synerise"].control("members", {"segment": tag}))


@pytest.mark.parametrize("semantics", ["replace", "append"])
def test_replace_add_and_remove_end_with_the_files_membership(box: Sandbox, actor: Actor, api: Client, semantics: str):
    box.context.faults.set("synerise.tags_mode", semantics)
    box.context.faults.set("synerise.apply_seconds", "0.05")
    connect(box, actor, "synerise", batchItems=25, singleItems=10)
    first, second = make_segment(api, name="First"), make_segment(api, name="Second")
    one, two = tag_of(api, first), tag_of(api, second)
    assert deliver(api, first, PEOPLE[:40])["status"] == "completed"
    assert deliver(api, second, PEOPLE[20:50])["status"] == "completed"
    box.context.faults.set("synerise.drop_after_batch", "1x")
    box.context.faults.set("synerise.drop_after_unassign", "1x")
    replaced = deliver(api, first, PEOPLE[15:60])
    assert replaced["status"] == "completed", replaced
    assert (replaced["deliveries"][0]["adds"], replaced["deliveries"][0]["removes"]) == (20, 15)
    assert deliver(api, second, PEOPLE[:5], "add")["status"] == "completed"
    assert deliver(api, first, PEOPLE[30:35], "remove")["status"] == "completed"
    assert members_of(box, one) == set(PEOPLE[15:60]) - set(PEOPLE[30:35])
    assert members_of(box, two) == set(PEOPLE[20:50]) | set(PEOPLE[:5])
    assert box.context.ledger.violations("synerise") == []


def test_refused_rows_are_counted_and_the_rest_is_live(box: Sandbox, actor: Actor, api: Client):
    box.context.faults.set("synerise.refuse_rows", "1,3")
    box.context.faults.set("synerise.apply_seconds", "0.05")
    connect(box, actor, "synerise")
    segment = make_segment(api)
    tag = tag_of(api, segment)
    done = deliver(api, segment, PEOPLE[:10])
    assert done["status"] == "completed", done
    delivery = done["deliveries"][0]
    assert (delivery["sent"], delivery["accepted"], delivery["rejected"]) == (10, 8, 2)
    assert members_of(box, tag) == set(PEOPLE[:10]) - {PEOPLE[1], PEOPLE[3]}
