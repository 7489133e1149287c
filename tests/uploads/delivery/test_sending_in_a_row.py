"""Batches whose answer is their end go out in a row; what is counted and who is let in stays right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.jobs.kinds import kind_named
from audsync_web.jobs.models import Quota
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from audsync_web.sandbox.framework import Entry
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Nothing, RemoteState, Token
from audsync_web.vendors.connectors.errors import NotYet, TooLarge, UnknownOutcome
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.synerise.connector import SyneriseConnector
from audsync_web.vendors.runtime import DatabaseTokens
from segments.services import segment_create
from tests.api_world import upload
from tests.jobs_helper import run_due, run_until_quiet
from tests.sandbox_accounts import connect
from tests.uploads import kit
from uploads.delivery import sending, writing
from uploads.delivery.payload import PartMaker, Payload
from uploads.delivery.sums import SentSums
from uploads.models import Delivery, Part, PartStatus

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_small_batches_are_all_counted_and_leave_the_workspace_free(
    box: Sandbox, actor: Actor, api: Client
) -> None:
    connect(box, actor, "synerise", identifier="custom_id", batchItems=3, sampleSize=0, graceMinutes=0)
    segment = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    run_until_quiet()
    members = [f"crm-{number:03d}" for number in range(40)]
    assert upload(api, segment, "\n".join(("custom_id", *members, ""))).status_code == 201
    run_until_quiet(wait=5)
    delivery = Delivery.objects.get()
    assert delivery.status == "completed", delivery.error_text
    assert (delivery.accepted, delivery.refused, delivery.wire_lines) == (40, 0, 40)
    assert delivery.parts_done == delivery.parts_total == 14
    assert set(delivery.parts.values_list("status", flat=True)) == {PartStatus.ACKNOWLEDGED}
    assert not Quota.objects.exclude(holder="").exists()
    assert delivery.planned_at is not None
    assert delivery.first_sent_at is not None
    assert delivery.last_sent_at is not None
    assert delivery.planned_at <= delivery.first_sent_at <= delivery.last_sent_at


def test_members_go_out_in_the_slice_that_plans_them(box: Sandbox, actor: Actor, api: Client) -> None:
    """No turn is waited for between the two, behind whatever else is due."""
    connect(box, actor, "synerise", identifier="custom_id", sampleSize=0, graceMinutes=0)
    segment = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    run_until_quiet()
    assert upload(api, segment, "custom_id\ncrm-1\ncrm-2\n").status_code == 201
    run_until_quiet(kinds=("uploads.inspection",))
    assert Delivery.objects.get().planned_at is None
    assert run_due(kind_named("uploads.delivery")) == 1
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.accepted) == ("completed", 2), delivery.error_text


def ledger(box: Sandbox) -> list[Entry]:
    return box.context.ledger.entries("mediarithmics")


class Killed(BaseException):
    """The worker is gone: nothing in the code answers to it."""


def run_until_the_worker_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies where sums would be written."""

    def die(_: SentSums) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(SentSums, "fields", die)
        with pytest.raises(Killed):
            run_until_quiet()


def sums(delivery: Delivery) -> tuple[int | None, int, int]:
    delivery.refresh_from_db()
    return delivery.accepted, delivery.wire_lines, delivery.parts_done


@pytest.mark.usefixtures("rows_of_five")
def test_the_sums_of_a_row_whose_worker_died_are_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    run_until_the_worker_dies(monkeypatch)
    delivery = Delivery.objects.get()
    assert delivery.parts.filter(status=PartStatus.ACKNOWLEDGED).count() == 4
    assert sums(delivery) == (None, 0, 0)
    Delivery.objects.update(lease_owner="", lease_until=None, next_action_at=timezone.now())
    run_until_quiet(wait=5)
    assert sums(delivery) == (20, 20, 4)
    assert delivery.wire_bytes == sum(delivery.parts.values_list("wire_bytes", flat=True)) > 0


@pytest.fixture
def rows_of_five(box: Sandbox, actor: Actor, api: Client) -> None:
    """Twenty members on their way to Synerise in four batches."""
    connect(box, actor, "synerise", identifier="custom_id", batchItems=5, sampleSize=0, graceMinutes=0)
    segment = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    run_until_quiet()
    upload(api, segment, "\n".join(("custom_id", *(f"crm-{number}" for number in range(20)), "")))


def batches(box: Sandbox) -> int:
    entries = box.context.ledger.entries("synerise")
    return sum(entry.path == "/v4/clients/batch" for entry in entries)


def statuses() -> list[tuple[str, str | None]]:
    return list(Part.objects.order_by("number").values_list("status", "intent__step"))


@pytest.mark.usefixtures("rows_of_five")
def test_of_a_worker_that_dies_only_the_batch_under_way_is_looked_into(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, asked = SyneriseConnector.send_part, []

    def die_on_the_way(self: SyneriseConnector, delivery: Any, part: Any, journal: Any) -> RemoteState:
        if part.number == 3:
            journal.waiting()
            raise Killed
        return send(self, delivery, part, journal)

    def noted(self: SyneriseConnector, delivery: Any, part: Any, *_: Any) -> Nothing:
        asked.append(part.number)
        return Nothing()

    with monkeypatch.context() as patch:
        patch.setattr(SyneriseConnector, "send_part", die_on_the_way)
        with pytest.raises(Killed):
            run_until_quiet()
    done, begun = ("acknowledged", None), ("sending", "send")
    assert statuses() == [done, done, begun, begun]
    Delivery.objects.update(lease_owner="", lease_until=None, next_action_at=timezone.now())
    monkeypatch.setattr(SyneriseConnector, "reconcile_part", noted)
    monkeypatch.setattr(sending, "SECOND_LOOK", timedelta(0))
    run_until_quiet(wait=5)
    assert set(asked) == {3}, "the fourth was never sent, which needs no look"
    assert Delivery.objects.get().status == "completed"
    assert batches(box) == 4


def fail_the_second(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> list[str]:
    """The second batch ends so, once, after the third was begun; how that stood then."""
    send = SyneriseConnector.send_part
    seen: list[str] = []

    def fail(self: SyneriseConnector, delivery: Any, part: Any, journal: Any) -> RemoteState:
        if part.number == 2 and not seen:
            journal.waiting()
            seen.append(Part.objects.get(number=3).status)
            raise fault
        return send(self, delivery, part, journal)

    monkeypatch.setattr(SyneriseConnector, "send_part", fail)
    return seen


@pytest.mark.parametrize("fault", [NotYet("Later."), UnknownOutcome("The answer was lost.")])
@pytest.mark.usefixtures("rows_of_five")
def test_a_batch_that_was_begun_waits_for_its_turn_again_when_the_one_before_does_not_end(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = fail_the_second(monkeypatch, fault)
    run_until_quiet()
    assert seen == ["sending"]
    assert statuses()[2:] == [("planned", None), ("planned", None)]


@pytest.mark.usefixtures("rows_of_five")
def test_of_a_fault_of_ours_only_the_batch_under_way_stays_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = fail_the_second(monkeypatch, RuntimeError("a fault of ours"))
    run_until_quiet()
    assert seen == ["sending"]
    assert [status for status, _ in statuses()] == ["acknowledged", "uncertain", "failed", "failed"]


@pytest.mark.usefixtures("rows_of_five")
def test_a_batch_whose_begin_could_not_be_written_is_begun_in_its_turn(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = sending._begin
    failed: list[int] = []

    def fail_once(run: Any, part: Part, *given: Any, **intent: Any) -> None:
        if part.number == 3 and not failed:
            failed.append(part.pk)
            with monkeypatch.context() as patch:
                patch.setattr(writing, "_statement", lambda *_: "UPDATE nothing_of_that_name SET a = 1")
                begin(run, part, *given, **intent)
        begin(run, part, *given, **intent)

    send = SyneriseConnector.send_part
    stored: list[str] = []

    def noted(self: SyneriseConnector, delivery: Any, part: Any, journal: Any) -> RemoteState:
        stored.append(Part.objects.get(number=part.number).status)
        return send(self, delivery, part, journal)

    monkeypatch.setattr(SyneriseConnector, "send_part", noted)
    monkeypatch.setattr(sending, "_begin", fail_once)
    run_until_quiet(wait=5)
    assert failed
    assert stored == ["sending"] * 4, "each is stored as such before it is sent"
    assert Delivery.objects.get().status == "completed"
    assert batches(box) == 4


@pytest.mark.usefixtures("rows_of_five")
def test_a_batch_that_was_begun_is_sent_once_when_the_one_before_has_to_be_cut(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = fail_the_second(monkeypatch, TooLarge("The vendor says that the batch is too large."))
    run_until_quiet(wait=5)
    delivery = Delivery.objects.get()
    assert seen == ["sending"]
    assert (delivery.status, delivery.accepted, delivery.wire_lines, delivery.parts_total) == ("completed", 20, 20, 5)
    assert batches(box) == 5


@pytest.mark.usefixtures("rows_of_five")
def test_the_next_batch_is_made_while_the_vendor_works_on_the_one_before(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, int]] = []
    make = PartMaker._in_memory

    def noted(self: PartMaker, part: Part) -> Payload:
        made.append((part.number, Part.objects.filter(status=PartStatus.ACKNOWLEDGED).count()))
        return make(self, part)

    monkeypatch.setattr(PartMaker, "_in_memory", noted)
    run_until_quiet(wait=5)
    assert made == [(1, 0), (2, 0), (3, 1), (4, 2)], "each once, before the answer to the one before is stored"
    assert batches(box) == 4


@pytest.mark.usefixtures("rows_of_five")
def test_a_batch_that_cannot_be_made_costs_the_one_before_nothing(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = PartMaker._in_memory

    def broken(self: PartMaker, part: Part) -> Payload:
        if part.number == 3:
            raise OSError("the change file is damaged")
        return make(self, part)

    monkeypatch.setattr(PartMaker, "_in_memory", broken)
    run_until_quiet(wait=5)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.error_code, delivery.accepted) == ("partial", "internal_error", 10)
    assert batches(box) == 2


def test_a_part_that_goes_alone_is_stored_with_its_sums_or_not_at_all(
    box: Sandbox, actor: Actor, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("queue_seconds", "run_seconds"):
        box.context.faults.set(f"mediarithmics.{name}", "0.05")
    monkeypatch.setattr(sending, "SECOND_LOOK", timedelta(0))
    connect(box, actor, "mediarithmics", identifier="user_agent_id")
    segment = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    run_until_quiet()
    upload(api, segment, "\n".join(("user_agent_id", *(f"vec:{number}" for number in range(5)), "")))

    run_until_the_worker_dies(monkeypatch)
    delivery = Delivery.objects.get()
    assert delivery.parts.get().status == PartStatus.SENDING
    Delivery.objects.update(lease_owner="", lease_until=None, next_action_at=timezone.now())
    run_until_quiet(wait=8)
    assert sums(delivery) == (5, 5, 1)
    assert sum(entry.path.endswith("/executions") and entry.method == "POST" for entry in ledger(box)) == 1


def test_a_part_that_ends_without_a_known_outcome_counts_as_such_at_once(company: Company) -> None:
    segment = kit.make_segment(company)
    delivery = kit.make_delivery(
        kit.make_upload(segment), kit.make_destination(segment), "sending", adds=8, removes=1, sent=9
    )
    part = Part(delivery=delivery, number=1, adds=4, removes=1, lines=5, status=PartStatus.UNCERTAIN)
    row = SentSums()
    row.add(Payload(1, 5, 4, 1, 40, "", "", 0, 4, (Op.ADD, Op.REMOVE)), part)
    Delivery.objects.filter(pk=delivery.pk).update(**row.fields())
    delivery.refresh_from_db()
    assert (delivery.uncertain, delivery.accepted, delivery.parts_done, delivery.wire_lines) == (5, None, 1, 5)


def test_a_token_that_another_worker_renewed_is_found_once_the_vendor_refuses_the_old_one() -> None:
    def login(value: str) -> Token:
        return Token(value, timezone.now() + timedelta(minutes=5))

    mine, other = DatabaseTokens(), DatabaseTokens()
    assert mine.renew("key", None, lambda: login("first")) == "first"
    assert other.renew("key", "first", lambda: login("second")) == "second"
    assert mine.current("key") == "first"
    assert mine.renew("key", "first", lambda: login("third")) == "second"
    assert mine.current("key") == "second"
