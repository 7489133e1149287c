"""What a vendor has is followed to an end, whatever the vendor answers."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from audsync_web.jobs import quotas
from audsync_web.jobs.kinds import JobKind, kind_named
from audsync_web.jobs.leases import Lease, LeaseLost, seize
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from audsync_web.vendors.connectors.base import CannotTell, RemoteState, RemoteStatus
from audsync_web.vendors.connectors.errors import ConnectorError, Permanent, RemoteMissing, Transient
from tests.jobs_helper import run_due
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads import files, housekeeping
from uploads.delivery import job as delivery_job
from uploads.delivery import sending
from uploads.delivery.journal import PartJournal
from uploads.delivery.planning import delivery_folder
from uploads.delivery.reports import vendor_report_name
from uploads.delivery.run import Run, part_holder
from uploads.models import Delivery, DeliveryStatus, Part, PartStatus, UploadStatus
from uploads.services import delivery_request_cancel, delivery_retry

pytestmark = pytest.mark.django_db(transaction=True)

Look = Callable[..., RemoteState]


def running(*_: Any) -> RemoteState:
    """A vendor job that does not end."""
    return RemoteState(RemoteStatus.RUNNING, raw="running", job_id="job-1")


@pytest.fixture
def delivery(company: Company) -> Delivery:
    """A delivery with one part that the vendor has had for longer than its deadline."""
    destination = make_destination(make_segment(company))
    upload = make_upload(destination.segment, UploadStatus.DELIVERING)
    now = timezone.now()
    fields = {"planned_at": now, "adds": 1, "sent": 1, "members": 1, "parts_total": 1, "next_action_at": now}
    made = make_delivery(upload, destination, DeliveryStatus.PROCESSING, is_live=True, **fields)
    Part.objects.create(
        delivery=made,
        number=1,
        status=PartStatus.SUBMITTED,
        adds=1,
        lines=1,
        job_id="job-1",
        sent_at=now - timedelta(days=3),
        next_poll_at=now,
    )
    return made


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A vendor whose answer to a look each test sets."""
    fake = SimpleNamespace(
        capabilities=SimpleNamespace(cancels_parts=False, confirms=False),
        gates=lambda _: (),
        poll_deadline_hours=24.0,
        next_poll=lambda waited, polls: 0.0,
        poll_part=running,
        quota_scope="scope",
    )

    @contextmanager
    def connector_for(account: Any) -> Iterator[SimpleNamespace]:
        yield fake

    monkeypatch.setattr(delivery_job, "connector_for", connector_for)
    return fake


def look(delivery: Delivery, looks: int = 1) -> Delivery:
    """Let the delivery's job look so often, each time as if its hour had come."""
    for _ in range(looks):
        Delivery.objects.filter(pk=delivery.pk, finished_at=None).update(next_action_at=timezone.now())
        Part.objects.filter(next_poll_at__isnull=False).update(next_poll_at=timezone.now())
        run_due(kind_named("uploads.delivery"))
    delivery.refresh_from_db()
    return delivery


def answer_a_look_with(vendor: SimpleNamespace, error: ConnectorError) -> None:
    """Let the vendor fail at every look."""

    def fail(*_: Any) -> RemoteState:
        raise error

    vendor.poll_part = fail


def test_an_overdue_part_keeps_needing_attention_from_the_first_time_it_was_said(
    delivery: Delivery, vendor: SimpleNamespace
) -> None:
    first = look(delivery).attention_since
    assert first is not None
    for _ in range(3):
        row = look(delivery)
        assert (row.status, row.attention_since) == (DeliveryStatus.NEEDS_ATTENTION, first)


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_vendor_job_that_never_ends_fails_after_72_hours_of_attention(
    delivery: Delivery, vendor: SimpleNamespace, cancelled: bool
) -> None:
    look(delivery, 3)
    long_ago = timezone.now() - timedelta(hours=73)
    Delivery.objects.update(attention_since=long_ago, cancel_requested_at=timezone.now() if cancelled else None)
    housekeeping.fail_what_nobody_attended()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.is_live) == (DeliveryStatus.FAILED, False)
    delivery.upload.refresh_from_db()
    assert delivery.upload.status == UploadStatus.FAILED


def test_a_vendor_that_refuses_to_be_asked_is_asked_seldom_and_people_are_told(
    delivery: Delivery, vendor: SimpleNamespace
) -> None:
    answer_a_look_with(vendor, Permanent("The vendor refused with status 400."))
    row = look(delivery)
    assert (row.status, row.error_text) == (DeliveryStatus.NEEDS_ATTENTION, "The vendor refused with status 400.")
    assert row.next_action_at is not None
    assert row.next_action_at > timezone.now() + timedelta(minutes=10)
    vendor.poll_part = lambda *_: RemoteState(RemoteStatus.FAILED, raw="error", job_id="job-1")
    assert look(row).status == DeliveryStatus.FAILED


@pytest.fixture
def unclear(delivery: Delivery, vendor: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A second part whose answer was lost and of which the vendor cannot tell; the numbers of the parts asked about."""
    Delivery.objects.update(adds=2, sent=2, members=2, parts_total=2)
    Part.objects.update(sent_at=timezone.now())
    intent = {"step": "send", "at": timezone.now().isoformat(), "detail": {}}
    fields = {"status": PartStatus.SENDING, "adds": 1, "sent_at": timezone.now(), "intent": intent}
    Part.objects.create(delivery=delivery, number=2, **fields)
    asked: list[int] = []

    def cannot_tell(context: Any, payload: Part, *_: Any) -> CannotTell:
        asked.append(payload.number)
        return CannotTell("The vendor's list cannot tell.", "Look at it there.")

    monkeypatch.setattr(sending, "make_payload", lambda delivery, destination, part, connector: part)
    vendor.reconcile_part = cannot_tell
    return asked


def test_while_a_vendor_cannot_tell_of_one_part_the_others_are_followed_to_their_end(
    delivery: Delivery, vendor: SimpleNamespace, unclear: list[int]
) -> None:
    assert look(delivery).parts.get(number=1).polls == 1
    vendor.poll_part = lambda *_: RemoteState(RemoteStatus.SUCCEEDED, raw="done", job_id="job-1", accepted=1)
    row = look(delivery)
    assert row.parts.get(number=1).status == PartStatus.ACKNOWLEDGED
    assert (row.status, row.error_code, row.accepted) == (DeliveryStatus.NEEDS_ATTENTION, "outcome_unknown", 1)
    assert unclear == [2]
    assert row.next_action_at is not None
    assert row.next_action_at > timezone.now() + timedelta(minutes=10)
    Delivery.objects.update(attention_since=timezone.now() - timedelta(hours=73))
    housekeeping.fail_what_nobody_attended()
    row.refresh_from_db()
    assert (row.status, row.accepted, row.uncertain, row.not_yet_known) == (DeliveryStatus.PARTIAL, 1, 1, 1)


def test_a_person_who_has_looked_lets_audsync_look_again_at_once(
    delivery: Delivery, vendor: SimpleNamespace, unclear: list[int], actor: Actor
) -> None:
    look(delivery, 2)
    delivery_retry(actor=actor, delivery=delivery)
    look(delivery)
    assert unclear == [2, 2]


def test_a_part_that_the_vendor_no_longer_knows_has_failed_without_an_outcome(
    delivery: Delivery, vendor: SimpleNamespace
) -> None:
    answer_a_look_with(vendor, RemoteMissing("The vendor does not know the job any more."))
    row = look(delivery)
    assert (row.status, row.uncertain, row.not_yet_known) == (DeliveryStatus.FAILED, 1, 1)
    told = "The vendor does not know the job any more. The outcome of 1 identifier is not known"
    assert row.error_text.startswith(told)


def test_a_report_for_which_there_was_no_room_is_kept_at_a_later_look(
    delivery: Delivery, vendor: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(name: str) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    vendor.poll_part = lambda *_: RemoteState(RemoteStatus.SUCCEEDED, raw="done", job_id="job-1", report=b"line 1")
    with monkeypatch.context() as full:
        full.setattr(files, "new_file", no_room)
        look(delivery)
    name = vendor_report_name(delivery, 1)
    assert not files.exists(name)
    assert look(delivery).vendor_report == name
    assert files.exists(name)


def test_no_transaction_waits_for_a_report_that_came_with_the_answer_to_a_send(
    delivery: Delivery, vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[bool] = []
    new_file = files.new_file

    def watched(name: str) -> Any:
        waiting.append(connection.in_atomic_block)
        return new_file(name)

    monkeypatch.setattr(files, "new_file", watched)
    lease = seize(kind_named("uploads.delivery"), delivery.pk)
    assert lease is not None
    state = RemoteState(RemoteStatus.SUCCEEDED, raw="done", job_id="job-1", report=b"line 1")
    sending.accept_state(Run(lease, delivery, vendor), delivery.parts.get(), state)
    assert waiting == [False]
    delivery.refresh_from_db()
    assert delivery.vendor_report == vendor_report_name(delivery, 1)
    assert delivery.parts.get().status == PartStatus.ACKNOWLEDGED


def test_a_gate_of_a_part_that_has_ended_does_not_keep_others_out(delivery: Delivery) -> None:
    part = delivery.parts.get()
    quotas.enter("datamart", part_holder(part.pk), keep=timedelta(hours=50))
    housekeeping.leave_gates_of_ended_parts()
    with pytest.raises(quotas.MustWait):
        quotas.enter("datamart", "part:0", keep=timedelta(hours=50))
    Part.objects.update(status=PartStatus.ACKNOWLEDGED)
    housekeeping.leave_gates_of_ended_parts()
    quotas.enter("datamart", "part:0", keep=timedelta(hours=50))


@pytest.fixture
def asked(delivery: Delivery, vendor: SimpleNamespace) -> list[RemoteStatus]:
    """How the part stood after each time that the vendor was asked to stop it; the answers are set as `next`."""
    seen: list[RemoteStatus] = []

    def cancel_part(*_: Any) -> RemoteState:
        answer = vendor.next.pop(0)
        if isinstance(answer, Exception):
            raise answer
        seen.append(answer)
        return RemoteState(answer, raw=answer.value, job_id="job-1")

    vendor.capabilities.cancels_parts = True
    vendor.cancel_part = cancel_part
    Part.objects.update(sent_at=timezone.now())
    Delivery.objects.update(cancel_requested_at=timezone.now())
    return seen


def test_a_wish_to_stop_that_was_turned_down_for_a_moment_is_passed_on_again(
    delivery: Delivery, vendor: SimpleNamespace, asked: list[RemoteStatus]
) -> None:
    vendor.next = [Transient("slow down", retry_after=1.0), RemoteStatus.QUEUED, RemoteStatus.CANCELLED]
    look(delivery, 3)
    assert asked == [RemoteStatus.QUEUED, RemoteStatus.CANCELLED]
    assert delivery.status == DeliveryStatus.CANCELLED


def test_a_job_that_has_begun_is_not_asked_to_stop_again(
    delivery: Delivery, vendor: SimpleNamespace, asked: list[RemoteStatus]
) -> None:
    vendor.next = [RemoteStatus.RUNNING]
    look(delivery, 3)
    assert asked == [RemoteStatus.RUNNING]
    vendor.poll_part = lambda *_: RemoteState(RemoteStatus.SUCCEEDED, raw="done", job_id="job-1")
    assert look(delivery).status == DeliveryStatus.COMPLETED


def test_a_cancelled_delivery_asks_the_vendor_at_once(company: Company) -> None:
    destination = make_destination(make_segment(company), "mediarithmics", "email_sha256")
    upload = make_upload(destination.segment, UploadStatus.DELIVERING)
    made = make_delivery(upload, destination, DeliveryStatus.SUBMITTED, is_live=True)
    later = timezone.now() + timedelta(minutes=1)
    part = Part.objects.create(delivery=made, number=1, status=PartStatus.SUBMITTED, job_id="job-1", next_poll_at=later)
    delivery_request_cancel(made)
    part.refresh_from_db()
    assert part.next_poll_at is not None
    assert part.next_poll_at <= timezone.now()


def test_one_that_was_attended_to_meanwhile_is_not_given_up(
    delivery: Delivery, vendor: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = timezone.now() - timedelta(hours=73)
    Delivery.objects.update(status=DeliveryStatus.NEEDS_ATTENTION, attention_since=long_ago)

    def seize_late(kind: JobKind, pk: Any) -> Lease | None:
        Delivery.objects.update(status=DeliveryStatus.PROCESSING, attention_since=None)
        return seize(kind, pk)

    monkeypatch.setattr("uploads.housekeeping.seize", seize_late)
    housekeeping.fail_what_nobody_attended()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.lease_owner) == (DeliveryStatus.PROCESSING, "")
    assert delivery.parts.get().status == PartStatus.SUBMITTED


def test_why_the_rest_was_not_sent_stays_while_what_the_vendor_has_is_followed(
    delivery: Delivery, vendor: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    Delivery.objects.update(adds=2, sent=2, members=2, parts_total=2)
    Part.objects.update(sent_at=timezone.now())
    Part.objects.create(delivery=delivery, number=2, adds=1)

    def refuse(run: Run) -> bool:
        raise Permanent("The vendor refused the second part.", code="refused", next_step="Correct it.")

    with monkeypatch.context() as refusing:
        refusing.setattr(delivery_job, "send_next_parts", refuse)
        look(delivery)
    look(delivery, 2)
    vendor.poll_part = lambda *_: RemoteState(RemoteStatus.SUCCEEDED, raw="done", job_id="job-1", accepted=1)
    row = look(delivery)
    assert row.status == DeliveryStatus.PARTIAL
    assert (row.error_code, row.error_text) == ("refused", "The vendor refused the second part.")
    assert row.next_step == "Correct it."


def test_a_worker_that_comes_back_late_writes_nothing_to_a_part_that_another_one_has(delivery: Delivery) -> None:
    lease = seize(kind_named("uploads.delivery"), delivery.pk)
    assert lease is not None
    part = delivery.parts.get()
    journal = PartJournal(lease, delivery, part, meanwhile=lambda: None)
    journal.intend("send", piece=1)
    Delivery.objects.update(lease_owner="another worker")
    with pytest.raises(LeaseLost):
        journal.intend("send", piece=2)
    with pytest.raises(LeaseLost):
        journal.settle(part={"cursor": 3})
    kept = delivery.parts.get()
    assert (kept.memory, kept.intent and kept.intent["detail"]) == ({}, {"piece": 1})


def test_the_bytes_of_a_part_whose_answer_never_came_go_with_the_end(
    delivery: Delivery, vendor: SimpleNamespace
) -> None:
    folder = Path(settings.SPILL_DIR) / delivery_folder(delivery)
    files.make_private_folder(folder)
    (folder / "part-1").write_text("identifiers")
    vendor.poll_part = lambda *_: RemoteState(RemoteStatus.FAILED, raw="error", job_id="job-1")
    assert look(delivery).has_ended
    assert not folder.exists()


def test_a_plan_that_was_begun_and_given_up_counts_no_parts(delivery: Delivery, vendor: SimpleNamespace) -> None:
    Delivery.objects.update(planned_at=None, parts_total=0, cancel_requested_at=timezone.now())
    Part.objects.update(status=PartStatus.PLANNED, job_id="", sent_at=None, next_poll_at=None)
    row = look(delivery)
    assert (row.status, row.parts_done, row.parts_total) == (DeliveryStatus.CANCELLED, 0, 0)
