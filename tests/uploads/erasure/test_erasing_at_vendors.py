"""An erasure at vendors that keep identities or profiles: who is asked by which name, and what their answers prove."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.acoustic import AcousticConnector
from audsync_web.vendors.connectors.errors import Transient
from audsync_web.vendors.models import AccountStatus, VendorAccount
from audsync_web.vendors.runtime import connector_for
from segments.services import DestinationWish, segment_create
from tests.api_world import upload
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from tests.uploads.kit import make_delivery, make_upload
from uploads.erasure.job import EraseWish, erase_begin, erase_retry
from uploads.erasure.steps import STILL_SHOWN
from uploads.models import Erasure

from .kit import OTHERS, PERSON, begin_erasure, deliver, erased, followed, found, steps

pytestmark = pytest.mark.django_db(transaction=True)
SOMEBODY = "somebody@example.invalid"


def test_exchange_is_asked_by_every_name_that_the_account_has_and_says_what_it_has_not(
    actor: Actor, box: Sandbox
) -> None:
    names = ["email=email", "email=customer id", "phone=phone"]
    connect(box, actor, "acoustic", identifierNames=names)
    held = [{"name": "customer id", "value": PERSON}, {"name": "email", "value": PERSON}]
    numbers = [{"name": "phone", "value": "020 7946 0018"}, {"name": "phone", "value": "+442079460018"}]
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-caller", "identifiers": numbers})
    callers = found(actor, "+44 20 7946 0018").profiles
    assert [(row["name"], row["count"]) for row in callers] == [("phone", 1)]
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-both", "identifiers": held})
    asked = {row["name"]: row["count"] for row in found(actor).profiles}
    assert asked == {"email": 2, "customer id": 1}
    other = found(actor, "crm-77", "custom_id").profiles
    assert [(row["name"], row["count"]) for row in other] == [("", None)]
    assert "Not asked for Custom id" in other[0]["note"]
    erasure = followed(begin_erasure(actor))
    assert [(step.name, step.count) for step in erasure.steps.filter(what="identity")] == [
        ("email", 2),
        ("customer id", 1),
    ]
    left = [row for row in found(actor).profiles if row["count"]]
    assert left == []


def test_a_key_that_exchange_rejects_at_a_search_is_shown_on_the_account(actor: Actor, box: Sandbox) -> None:
    account = connect(box, actor, "acoustic")
    box.context.faults.set("acoustic.key_rejected", "9x")
    assert [row["error"] != "" for row in found(actor).profiles] == [True]
    account.refresh_from_db()
    assert account.status == AccountStatus.NEEDS_ATTENTION


def test_whom_a_vendor_still_shows_afterwards_is_looked_at_again_and_then_told(
    actor: Actor, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(box, actor, "acoustic")
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-9", "identifiers": [{"name": "email", "value": SOMEBODY}]})
    monkeypatch.setattr("uploads.erasure.steps.LOOK_SELDOM_SECONDS", 0.1)
    monkeypatch.setattr("uploads.erasure.steps.STILL_SHOWN_FOR", timedelta(seconds=1))
    box.context.faults.set("acoustic.keep_removed", "1x")
    erasure = followed(begin_erasure(actor, SOMEBODY))
    status, text = steps(erasure)["identity"]
    assert (erasure.status, status) == ("needs attention", "failed")
    assert "still hold it" in text
    sent = [entry for entry in box.context.ledger.entries("acoustic") if entry.method == "DELETE"]
    assert len(sent) == 1
    erase_retry(actor=actor, erasure=erasure)
    assert (followed(erasure).status, steps(erasure)["identity"]) == ("completed", ("done", "Erased."))


def unreachable(*_: Any) -> Any:
    raise Transient("The vendor cannot be reached.", retry_after=0.01)


def test_whom_a_vendor_shows_for_a_moment_longer_is_erased(
    actor: Actor, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = connect(box, actor, "acoustic")
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-9", "identifiers": [{"name": "email", "value": SOMEBODY}]})
    box.context.faults.set("acoustic.keep_removed", "1x")
    erasure = begin_erasure(actor, SOMEBODY)
    run_until_quiet()
    assert steps(erasure)["identity"] == ("answered", STILL_SHOWN)
    monkeypatch.setattr(AcousticConnector, "x1ids_of", unreachable)
    Erasure.objects.update(next_action_at=timezone.now())
    run_until_quiet()
    assert steps(erasure)["identity"] == ("answered", "The vendor cannot be reached. It is tried again by itself.")
    monkeypatch.undo()
    with connector_for(account) as connector:
        connector.remove_identity("email", SOMEBODY)  # what the vendor had promised, done at last
    Erasure.objects.update(next_action_at=timezone.now())
    assert followed(erasure).status == "completed"
    assert [(step.text, step.count) for step in erasure.steps.filter(what="identity")] == [("Erased.", 1)]


def test_more_people_than_the_search_had_shown_are_not_touched(actor: Actor, box: Sandbox) -> None:
    connect(box, actor, "acoustic")
    held = [{"name": "email", "value": SOMEBODY}]
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-1st", "identifiers": held})
    search = found(actor, SOMEBODY)
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-2nd", "identifiers": held})
    erasure = followed(erase_begin(actor=actor, search=search, wish=EraseWish(SOMEBODY)))
    assert steps(erasure)["identity"] == (
        "failed",
        "It is on 2 by now, and the search had shown 1, so nothing was removed. Search again.",
    )
    assert all(entry.method != "DELETE" for entry in box.context.ledger.entries("acoustic"))


def test_an_account_that_needs_attention_proves_nothing(actor: Actor, box: Sandbox) -> None:
    account = connect(box, actor, "acoustic")
    VendorAccount.objects.filter(pk=account.pk).update(
        status=AccountStatus.NEEDS_ATTENTION, error_text="The key was rejected.", next_action_at=None
    )
    calls = len(box.context.ledger.entries("acoustic"))
    search = found(actor)
    assert [row["count"] for row in search.profiles] == [None]
    assert "needs attention. The key was rejected." in search.profiles[0]["error"]
    erasure = erased(actor, search)
    assert (erasure.status, steps(erasure)["identity"][0]) == ("needs attention", "failed")
    assert len(box.context.ledger.entries("acoustic")) == calls
    VendorAccount.objects.filter(pk=account.pk).update(status=AccountStatus.PAUSED)
    erase_retry(actor=actor, erasure=erasure)
    run_until_quiet()
    assert "Resume it" in steps(erasure)["identity"][1]
    VendorAccount.objects.filter(pk=account.pk).update(status=AccountStatus.OK)
    Erasure.objects.update(next_action_at=timezone.now())
    assert followed(erasure).status == "completed"


def test_a_profile_is_erased_after_what_is_under_way_there(api: Client, actor: Actor, box: Sandbox) -> None:
    """A batch that is still to be sent would make the profile anew."""
    account = connect(box, actor, "synerise", identifier="email", graceMinutes=0, sampleSize=0)
    box.context.faults.set("synerise.apply_seconds", "0")
    segment = segment_create(actor=actor, name="Known", destinations=[DestinationWish(account)])
    run_until_quiet()
    box.vendors["synerise"].control("profiles", {"profiles": [{"customId": "crm-p", "email": PERSON}]})
    upload(api, segment, "\n".join(("email", PERSON, *OTHERS, "")))
    run_until_quiet(kinds=("uploads.inspection",))
    search = found(actor)
    erasure = erase_begin(actor=actor, search=search, wish=EraseWish(PERSON, profiles=True))
    run_until_quiet(kinds=("uploads.erasure",))
    assert steps(erasure)["profile"] == (
        "waiting",
        "Waits for the removals there: what is under way would make an erased profile anew.",
    )
    assert followed(erasure).status == "completed"
    asked = [(entry.method, entry.path) for entry in box.context.ledger.entries("synerise")]
    erased = asked.index(("DELETE", "/v4/clients/by-custom-id/{value}"))
    assert ("POST", "/v4/clients/batch") not in asked[erased:]
    assert found(actor).profiles[0]["count"] == 0


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("The vendor account is paused.", "waiting"),
        ("The vendor cannot be reached. It is tried again by itself.", "failed"),
        ("The vendor failed with status 502. It is tried again by itself.", "failed"),
    ],
)
def test_only_tries_count_towards_giving_up(
    actor: Actor, box: Sandbox, monkeypatch: pytest.MonkeyPatch, text: str, status: str
) -> None:
    connect(box, actor, "acoustic")
    erasure = begin_erasure(actor)
    erasure.steps.filter(what="identity").update(text=text, at=timezone.now() - timedelta(hours=73))
    monkeypatch.setattr(AcousticConnector, "x1ids_of", unreachable)
    run_until_quiet()
    assert steps(erasure)["identity"][0] == status


def test_another_fault_does_not_begin_the_tries_anew(
    actor: Actor, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(box, actor, "acoustic")
    erasure = begin_erasure(actor)
    began = timezone.now() - timedelta(hours=71)
    text = "The vendor failed with status 502. It is tried again by itself."
    erasure.steps.filter(what="identity").update(text=text, at=began)
    monkeypatch.setattr(AcousticConnector, "x1ids_of", unreachable)
    run_until_quiet()
    assert steps(erasure)["identity"] == ("waiting", "The vendor cannot be reached. It is tried again by itself.")
    assert erasure.steps.get(what="identity").at == began


def test_a_profile_that_waits_keeps_no_file_that_nothing_needs(api: Client, actor: Actor, box: Sandbox) -> None:
    account = connect(box, actor, "synerise", identifier="email", graceMinutes=0, sampleSize=0)
    box.context.faults.set("synerise.apply_seconds", "0")
    segment = segment_create(actor=actor, name="Known", destinations=[DestinationWish(account)])
    run_until_quiet()
    made = deliver(api, segment, PERSON, *OTHERS)
    make_delivery(make_upload(segment, "ready"), segment.destinations.get(), "queued")  # checked, and never started
    erasure = begin_erasure(actor, profiles=True)
    run_until_quiet()
    assert [steps(erasure)[what][0] for what in ("removal", "profile")] == ["waiting", "waiting"]
    made.refresh_from_db()
    assert made.original == ""


def test_what_exchange_was_not_asked_for_is_told_of_a_value_of_many_kinds(actor: Actor, box: Sandbox) -> None:
    connect(box, actor, "acoustic")
    (row,) = found(actor, "C-184").profiles
    assert "Not asked for the other kinds that it fits" in row["note"]


def test_an_identity_that_an_erasure_removes_has_its_receipt_at_the_account(actor: Actor, box: Sandbox) -> None:
    account = connect(box, actor, "acoustic")
    followed(begin_erasure(actor))
    begun, ended = AuditEntry.objects.filter(action__startswith="identity.remove").order_by("pk")
    assert (begun.action, begun.object_id, begun.who) == ("identity.remove.begin", str(account.pk), actor.who)
    assert (ended.detail["outcome"], ended.detail["changed"], ended.detail["left"]) == ("removed", 1, 0)
    assert PERSON not in str(begun.detail)


def test_exchange_that_cannot_be_asked_is_asked_again_and_a_refused_removal_is_not_sent_again(
    actor: Actor, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(box, actor, "acoustic")
    search = found(actor)
    real = AcousticConnector.x1ids_of
    monkeypatch.setattr(AcousticConnector, "x1ids_of", unreachable)
    erasure = erase_begin(actor=actor, search=search, wish=EraseWish(PERSON))
    run_until_quiet()
    assert steps(erasure)["identity"] == ("waiting", "The vendor cannot be reached. It is tried again by itself.")
    monkeypatch.setattr(AcousticConnector, "x1ids_of", real)
    calls = []

    def busy(self: AcousticConnector, name: str, value: str) -> int:
        calls.append(name)
        raise Transient("The vendor asks us to slow down.", retry_after=0.01)

    monkeypatch.setattr(AcousticConnector, "remove_identity", busy)
    Erasure.objects.update(next_action_at=timezone.now())
    assert followed(erasure).status == "needs attention"
    assert steps(erasure)["identity"][0] == "failed"
    assert calls == ["email"]
