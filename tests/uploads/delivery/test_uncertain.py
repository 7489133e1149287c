"""What became of some parts nobody ever learns: nothing of them is taken for granted, the next delivery mends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audsync_web.jobs.kinds import all_kinds, tick_hooks
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.mediarithmics.connector import MediarithmicsConnector
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, Segment
from segments.services import DestinationWish, destination_release, segment_create, segment_publish
from tests.api_world import BASE, upload
from tests.jobs_helper import run_due, run_until, run_until_quiet
from tests.sandbox_accounts import connect, hurry
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads import files, housekeeping
from uploads.delivery import job as delivery_job
from uploads.delivery.planning import delivery_folder
from uploads.erasure.searching import search_begin
from uploads.membership.snapshots import current_snapshot
from uploads.models import Delivery, DeliveryStatus, Part, PartStatus, Snapshot, Upload, UploadStatus

pytestmark = pytest.mark.django_db(transaction=True)

Deliver = Callable[..., Delivery]
LONG_AGO = timezone.now() - timedelta(hours=73)
TOLD = "The outcome of 2 identifiers is not known"


@pytest.fixture
def segment(box: Sandbox, actor: Actor) -> Segment:
    """A segment at mediarithmics."""
    hurry(box, "mediarithmics")
    account = connect(box, actor, "mediarithmics", identifier="user_account_id", compartmentId="1042")
    made = segment_create(actor=actor, name="Lapsed buyers", destinations=[DestinationWish(account)])
    run_until_quiet()
    return made


@pytest.fixture
def listed(box: Sandbox, actor: Actor, account: VendorAccount) -> Segment:
    """A segment at Anonymised, which takes whole lists."""
    hurry(box, "anonymised")
    made = segment_create(actor=actor, name="Lapsed buyers", destinations=[DestinationWish(account)])
    run_until_quiet()
    segment_publish(actor=actor, segment=made)
    run_until_quiet()
    return made


@pytest.fixture
def deliver(api: Client) -> Deliver:
    """Upload members of the kind that the segment's vendor takes, and follow their delivery to its end."""

    def act(
        segment: Segment, *members: str, mode: str = "replace", until: tuple[str, ...] = ("completed",)
    ) -> Delivery:
        kind = segment.destinations.get().identifier
        answer = upload(api, segment, "\n".join((kind, *members, "")), f"?mode={mode}")
        assert answer.status_code == 201, answer.content
        return wait(Delivery.objects.get(upload=answer.json()["id"]), *until)

    return act


def wait(delivery: Delivery, *until: str) -> Delivery:
    def has_come() -> bool:
        delivery.refresh_from_db()
        return delivery.status in until

    run_until(has_come, lambda: f"{delivery.status}: {delivery.error_text or delivery.details}", step)
    return delivery


def step() -> None:
    """One slice of everything that is due; a vendor that keeps its jobs is not asked for ever."""
    for hook in tick_hooks():
        hook()
    for kind in all_kinds():
        run_due(kind)


def give_up(delivery: Delivery) -> Delivery:
    """Let 72 hours pass in which nobody attends to what the vendor has."""
    assert delivery.parts.get().status == PartStatus.SUBMITTED
    Delivery.objects.filter(pk=delivery.pk).update(
        status=DeliveryStatus.NEEDS_ATTENTION, attention_since=LONG_AGO, error_text="It hangs."
    )
    housekeeping.fail_what_nobody_attended()
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.FAILED
    return delivery


def lose(
    box: Sandbox, deliver: Deliver, segment: Segment, *members: str, mode: str = "replace", applied: bool = True
) -> Delivery:
    """A delivery of which nobody ever learns what became of it; behind AudSync's back it is applied, or not."""
    box.context.faults.set("mediarithmics.hold", "running")
    box.context.faults.set("mediarithmics.canceled", None if applied else "1x")
    made = give_up(deliver(segment, *members, mode=mode, until=("submitted", "processing")))
    box.context.faults.set("mediarithmics.hold", None)
    return made


def at_vendor(box: Sandbox, segment: Segment) -> set[str]:
    destination = segment.destinations.select_related("vendor_account").get()
    vendor = box.vendors[destination.vendor_account.vendor]
    return set(vendor.control("members", {"segment": destination.remote_id}))


def known(segment: Segment) -> Snapshot:
    found = current_snapshot(segment.destinations.get())
    assert found is not None
    return found


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize(
    ("mode", "members", "after"),
    [
        ("replace", "ab", "ab"),
        ("replace", "bd", "bd"),
        ("replace", "bc", "bc"),
        ("add", "ad", "abcd"),
        ("remove", "ad", "bc"),
    ],
)
def test_the_next_delivery_mends_what_nobody_knows_whatever_the_vendor_did(
    box: Sandbox, deliver: Deliver, segment: Segment, applied: bool, mode: str, members: str, after: str
) -> None:
    deliver(segment, *"abc")
    lost = lose(box, deliver, segment, *"bcd", applied=applied)
    assert (lost.sent, lost.uncertain, lost.accepted) == (2, 2, None)
    assert (known(segment).members, known(segment).uncertain) == (3, 2)
    made = deliver(segment, *members, mode=mode)
    assert made.sent == made.accepted
    assert at_vendor(box, segment) == set(after)
    assert (known(segment).members, known(segment).uncertain) == (len(after), 0)
    quiet = deliver(segment, *after)
    assert (quiet.sent, quiet.unchanged) == (0, len(after))


def test_whom_a_later_delivery_did_not_tell_of_stays_uncertain(
    box: Sandbox, deliver: Deliver, segment: Segment
) -> None:
    deliver(segment, *"abc")
    lose(box, deliver, segment, *"bcd")
    assert deliver(segment, "d", mode="remove").removes == 1
    assert known(segment).uncertain == 1
    assert deliver(segment, *"abc").adds == 1
    assert (at_vendor(box, segment), known(segment).uncertain) == (set("abc"), 0)


def test_a_second_delivery_without_an_outcome_adds_to_what_is_not_known(
    box: Sandbox, deliver: Deliver, segment: Segment
) -> None:
    deliver(segment, *"abc")
    lose(box, deliver, segment, *"bcd")
    lost = lose(box, deliver, segment, "e", mode="add", applied=False)
    # d is taken out again, because no file that was acknowledged has them.
    assert (lost.adds, lost.removes, lost.uncertain, known(segment).uncertain) == (1, 1, 2, 3)
    deliver(segment, *"abc")
    assert (at_vendor(box, segment), known(segment).uncertain) == (set("abc"), 0)


@pytest.mark.parametrize("applied", [True, False])
def test_the_first_delivery_of_a_segment_may_be_the_one_without_an_outcome(
    box: Sandbox, deliver: Deliver, segment: Segment, applied: bool
) -> None:
    lose(box, deliver, segment, *"ab", applied=applied)
    assert (known(segment).members, known(segment).uncertain) == (0, 2)
    deliver(segment, *"bc")
    assert (at_vendor(box, segment), known(segment).members, known(segment).uncertain) == (set("bc"), 2, 0)


def test_in_a_linked_segment_nobody_is_taken_out_whom_audsync_may_not_have_brought(
    box: Sandbox, deliver: Deliver, segment: Segment
) -> None:
    deliver(segment, *"ab", mode="add")
    Destination.objects.update(linked=True, membership_known=False)
    lose(box, deliver, segment, "c", mode="add")
    made = deliver(segment, "d", mode="add")
    assert (made.adds, made.removes, known(segment).uncertain) == (1, 0, 1)
    assert at_vendor(box, segment) == set("abcd")
    assert not Destination.objects.get().membership_known


def test_who_is_only_perhaps_there_does_not_count_when_too_many_would_be_removed(
    box: Sandbox, api: Client, deliver: Deliver, segment: Segment
) -> None:
    deliver(segment, *"abcdef")
    lose(box, deliver, segment, *"uvwxyz", mode="add")
    answer = upload(api, segment, "\n".join(("user_account_id", *"abcde", "")), "?maxRemovedShare=0.2")
    made = wait(Delivery.objects.get(upload=answer.json()["id"]), "completed", "failed")
    assert (made.status, made.removes) == ("completed", 7), made.error_text
    assert at_vendor(box, segment) == set("abcde")


def test_a_retry_sends_again_what_has_no_outcome(box: Sandbox, api: Client, deliver: Deliver, segment: Segment) -> None:
    deliver(segment, *"abc")
    lost = lose(box, deliver, segment, *"bcd", applied=False)
    answer = api.post(f"{BASE}/segment/{segment.pk}/membership/upload/{lost.upload_id}/retry")
    assert answer.status_code == 202, answer.content
    again = wait(Delivery.objects.exclude(pk=lost.pk).get(upload=lost.upload_id), "completed")
    assert (again.adds, again.removes, at_vendor(box, segment)) == (1, 1, set("bcd"))


def test_a_fault_of_our_own_loses_nothing_of_what_the_vendor_may_still_do(
    box: Sandbox, deliver: Deliver, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(segment, *"abc")
    box.context.faults.set("mediarithmics.hold", "running")
    with monkeypatch.context() as broken:
        broken.setattr(MediarithmicsConnector, "poll_part", lambda *_: 1 / 0)
        lost = deliver(segment, *"bcd", until=("failed",))
    assert (lost.error_code, lost.uncertain) == ("internal_error", 2)
    assert TOLD in lost.error_text
    assert "give the reference" in lost.next_step
    box.context.faults.set("mediarithmics.hold", None)
    deliver(segment, *"ab")
    assert at_vendor(box, segment) == set("ab")


def test_pages_receipts_and_api_say_in_words_that_an_outcome_is_not_known(
    box: Sandbox, api: Client, client: Client, deliver: Deliver, segment: Segment, actor: Actor
) -> None:
    deliver(segment, *"abc")
    lost = lose(box, deliver, segment, *"bcd")
    shown = api.get(f"{BASE}/segment/{segment.pk}/membership/upload/{lost.upload_id}").json()
    assert TOLD in shown["details"]
    row = shown["deliveries"][0]
    assert TOLD in row["details"]
    assert (row["sent"], row["accepted"], row["rejected"]) == (2, None, None)
    preflight = api.post(f"{BASE}/segment/{segment.pk}/membership/preflight", {"members": 3}, "application/json")
    assert TOLD in str(preflight.json()["destinations"][0]["checks"])
    assert actor.user is not None
    client.force_login(actor.user)
    for name in ("upload_one", "upload_receipt"):
        assert TOLD in client.get(reverse(name, args=[lost.upload_id])).content.decode()
    receipt = client.get(reverse("upload_receipt", args=[lost.upload_id]), {"format": "json"}).json()
    counts = receipt["deliveries"][0]["counts"]
    assert (counts["uncertain"], counts["notYetKnown"]) == (2, 2)
    assert TOLD in client.get(reverse("segment", args=[segment.pk])).content.decode()


def test_a_whole_list_without_an_outcome_is_sent_again_though_nothing_seems_to_change(
    box: Sandbox, deliver: Deliver, listed: Segment
) -> None:
    deliver(listed, *"abc")
    box.context.faults.set("anonymised.stuck", "1x")
    lost = give_up(deliver(listed, *"bcd", until=("submitted", "processing")))
    assert (lost.uncertain, known(listed).members, known(listed).uncertain) == (2, 3, 2)
    again = deliver(listed, *"abc")
    assert (again.wire_lines, again.status) == (3, "completed")
    assert (at_vendor(box, listed), known(listed).uncertain) == (set("abc"), 0)
    assert deliver(listed, *"abc").wire_lines == 0


@pytest.mark.parametrize(("mode", "members", "left"), [("add", "b", "abc"), ("remove", "z", "abc")])
def test_a_whole_list_in_doubt_is_sent_also_where_the_file_says_nothing_of_those_in_doubt(
    box: Sandbox, deliver: Deliver, listed: Segment, mode: str, members: str, left: str
) -> None:
    deliver(listed, *"abc")
    box.context.faults.set("anonymised.stuck", "1x")
    give_up(deliver(listed, *"bc", until=("submitted", "processing")))
    made = deliver(listed, *members, mode=mode)
    assert (made.sent, made.accepted, made.wire_lines) == (0, 0, 3)
    assert (at_vendor(box, listed), known(listed).uncertain) == (set(left), 0)


def test_whoever_is_perhaps_there_is_taken_out_before_a_destination_is_removed_empty(
    box: Sandbox, actor: Actor, deliver: Deliver, segment: Segment
) -> None:
    deliver(segment, *"abc")
    lose(box, deliver, segment, *"bcd")
    destination_release(actor=actor, destination=segment.destinations.get(), choice="empty")
    run_until(lambda: Destination.objects.get().status == "released", Destination.objects.get, step)
    assert at_vendor(box, segment) == set()


def test_somebody_who_is_only_perhaps_there_is_found_and_a_membership_that_is_old_leaves_no_file(
    box: Sandbox, actor: Actor, deliver: Deliver, segment: Segment
) -> None:
    deliver(segment, *"abc")
    lose(box, deliver, segment, *"bcd")
    search = search_begin(actor=actor, value="d", kind="user_account_id")
    run_until_quiet(kinds=("uploads.search",))
    search.refresh_from_db()
    assert [row["segment"] for row in search.findings] == [segment.pk]
    held = known(segment).uncertain_file
    made = deliver(segment, *"abc")
    assert files.exists(held)
    assert not files.exists(f"{delivery_folder(made)}/uncertain")
    Snapshot.objects.filter(superseded_at__isnull=False).update(superseded_at=timezone.now() - timedelta(days=4000))
    housekeeping.enforce_retention()
    assert not files.exists(held)


def test_a_part_whose_answer_was_lost_is_uncertain_also_while_it_waits_to_be_sent_again(company: Company) -> None:
    destination = make_destination(make_segment(company), "synerise", "custom_id")
    sending = make_upload(destination.segment, UploadStatus.DELIVERING)
    counts = {"members": 3, "adds": 3, "sent": 3, "parts_total": 3}
    made = make_delivery(
        sending,
        destination,
        "needs attention",
        is_live=True,
        planned_at=timezone.now(),
        attention_since=LONG_AGO,
        **counts,
    )
    tried = {"delivery": made, "adds": 1, "sent_at": timezone.now()}
    Part.objects.create(number=1, memory={"lost": 2}, **tried)
    Part.objects.create(number=2, memory={"queuedAt": "…"}, **tried)
    Part.objects.create(number=3, delivery=made, adds=1)
    housekeeping.fail_what_nobody_attended()
    words = list(made.parts.order_by("number").values_list("status", flat=True))
    assert words == [PartStatus.UNCERTAIN, PartStatus.FAILED, PartStatus.FAILED]
    made.refresh_from_db()
    assert (made.status, made.uncertain) == ("failed", 1)


def test_a_fault_after_the_end_leaves_the_membership_and_its_file_alone(
    deliver: Deliver, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(upload: Upload) -> None:
        assert upload.deliveries.open().exists(), "a fault of ours"

    with monkeypatch.context() as broken:
        broken.setattr(delivery_job, "upload_settle", settle)
        made = deliver(segment, *"abc")
    assert (made.status, made.error_text, made.next_action_at) == ("completed", "", None)
    assert Snapshot.objects.filter(delivery=made).count() == 1
    run_until_quiet()
    assert Upload.objects.get(pk=made.upload_id).status == UploadStatus.COMPLETED
    Snapshot.objects.filter(superseded_at__isnull=False).update(superseded_at=timezone.now() - timedelta(days=4000))
    housekeeping.enforce_retention()
    assert files.exists(known(segment).file)


@pytest.mark.parametrize("members", ["bcd", "abc"])
def test_a_whole_list_without_an_outcome_does_not_make_known_who_is_in_a_linked_segment(
    box: Sandbox, deliver: Deliver, listed: Segment, members: str
) -> None:
    Destination.objects.update(linked=True, membership_known=False)
    Snapshot.objects.all().delete()
    box.context.faults.set("anonymised.stuck", "1x")
    lost = give_up(deliver(listed, *members, until=("submitted", "processing")))
    assert lost.uncertain == 3
    assert not Destination.objects.get().membership_known
    refused = deliver(listed, "z", mode="add", until=("failed",))
    assert refused.error_code == "membership_unknown"
    deliver(listed, *"ab")
    assert Destination.objects.get().membership_known
    assert (at_vendor(box, listed), known(listed).uncertain) == (set("ab"), 0)
