"""The page of one segment: publishing in words, and what is changed of it and of its destinations."""

from __future__ import annotations

from django.utils import timezone

from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry, User
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, DestinationStatus, Segment, SegmentStatus, Wanted
from segments.services import DestinationWish, segment_create
from segments.wording import final_warning, publish_meaning
from tests.conftest import LoggedIn
from tests.sandbox_accounts import connect

from .kit import HTMX, run, stop, url_of

# --- publish


def test_publishing_is_said_in_words_and_done_after_a_yes(segment: Segment, logged_in: LoggedIn, manager: User) -> None:
    run()
    client = logged_in(manager)
    page = client.get(url_of(segment, "publish")).content.decode()
    assert "becomes sellable at Anonymised" in page
    assert "This cannot be taken back" in page
    assert segment.destinations.get().wanted == Wanted.CREATED
    assert client.post(url_of(segment, "publish")).headers["Location"] == url_of(segment)
    run()
    segment.refresh_from_db()
    assert segment.status == SegmentStatus.PUBLISHED
    assert "published already" in client.get(url_of(segment, "publish")).content.decode()


def test_the_accounts_where_a_publish_is_final_are_named(
    box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    names = ("Europe", "Nordics", "Overseas")
    final = [connect(box, actor, "anonymised", name=name) for name in names]
    other = connect(box, actor, "xandr", name="Seat")
    wishes = [DestinationWish(one) for one in (*final, other)]
    segment = segment_create(actor=actor, name="Lapsed", destinations=wishes)
    page = logged_in(manager).get(url_of(segment, "publish")).content.decode()
    assert "AudSync cannot undo a publish at Europe, Nordics and Overseas. Archiving" in page
    meanings = [publish_meaning(one) for one in (*final, other)]
    assert "a publish at Europe and Nordics." in final_warning(meanings[:2])
    assert "a publish at Europe." in final_warning(meanings[:1])
    assert final_warning(meanings[3:]) == ""


def test_where_a_publish_can_be_undone_nothing_is_said_to_be_final(
    box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    accounts = [connect(box, actor, vendor) for vendor in ("xandr", "mediarithmics")]
    segment = segment_create(actor=actor, name="Lapsed", destinations=[DestinationWish(one) for one in accounts])
    page = logged_in(manager).get(url_of(segment, "publish")).content.decode()
    assert "set active at Xandr" in page
    assert "live as soon as it exists" in page
    assert "cannot be taken back" not in page


def test_an_archived_segment_is_not_published(segment: Segment, logged_in: LoggedIn, manager: User) -> None:
    client = logged_in(manager)
    client.post(url_of(segment, "archive"))
    answer = client.post(url_of(segment, "publish"), follow=True)
    assert "An archived segment cannot be published." in answer.content.decode()


# --- change


def test_a_segment_is_renamed_here_and_where_vendors_show_names(
    segment: Segment, logged_in: LoggedIn, manager: User
) -> None:
    run()
    client = logged_in(manager)
    assert client.post(url_of(segment, "rename"), {"name": "Winter buyers"}).status_code == 302
    segment.refresh_from_db()
    assert segment.name == "Winter buyers"
    refused = client.post(url_of(segment, "rename"), {"name": ""})
    assert refused.status_code == 422
    assert "name" in refused.context["form"].errors
    assert AuditEntry.objects.filter(action="segment.rename").count() == 1


def test_a_segment_is_put_away_and_taken_back(segment: Segment, logged_in: LoggedIn, manager: User) -> None:
    client = logged_in(manager)
    client.post(url_of(segment, "archive"))
    page = client.get(url_of(segment)).content.decode()
    assert "This segment is archived" in page
    assert f"/uploads/new?segment={segment.pk}" not in page
    client.post(url_of(segment, "restore"))
    segment.refresh_from_db()
    assert segment.archived_at is None


def test_a_destination_is_added_later_and_only_once(
    segment: Segment, box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    mics = connect(box, actor, "mediarithmics")
    client, url = logged_in(manager), url_of(segment, "destinations/new")
    assert client.get(url).context["account"] == mics  # the only one left
    typed = {"account": str(mics.pk), f"account-{mics.pk}-identifier": "email_sha256"}
    assert client.post(url, typed).headers["Location"] == url_of(segment)
    added = segment.destinations.get(vendor_account=mics)
    assert (added.identifier, added.wants_membership) == ("email_sha256", True)
    assert client.post(url, typed).status_code == 404
    assert "Every account has it already" in client.get(url).content.decode()


def test_an_identifier_that_the_vendor_does_not_take_is_refused(
    segment: Segment, box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    mics = connect(box, actor, "mediarithmics")
    typed = {"account": str(mics.pk), f"account-{mics.pk}-identifier": "xandr_id"}
    answer = logged_in(manager).post(url_of(segment, "destinations/new"), typed, headers=HTMX)
    assert answer.status_code == 422
    assert "identifier" in answer.context["form"].errors
    assert segment.destinations.count() == 1


def test_a_destination_is_removed_with_the_vendors_own_choices(
    box: Sandbox, actor: Actor, logged_in: LoggedIn, manager: User
) -> None:
    xandr = connect(box, actor, "xandr")
    segment = segment_create(actor=actor, name="Lapsed", destinations=[DestinationWish(xandr)])
    run()
    destination = segment.destinations.get()
    client, url = logged_in(manager), url_of(segment, f"destinations/{destination.pk}/remove")
    assert "Deactivate the segment at Xandr" in client.get(url).content.decode()
    assert client.post(url, {"release": "set-fire-to-it"}).status_code == 422
    assert client.post(url, {"release": "deactivate"}).status_code == 302
    assert "Removing" in client.get(url_of(segment)).content.decode()
    assert client.post(url, {"release": "leave"}).status_code == 404
    run()
    page = client.get(url_of(segment)).content.decode()
    assert "This segment goes nowhere" in page


def test_a_destination_whose_making_has_no_known_outcome_is_removed_and_what_may_be_left_is_said_before(
    account: VendorAccount, segment: Segment, destination: Destination, logged_in: LoggedIn, manager: User
) -> None:
    intent = {"step": "create", "at": timezone.now().isoformat(), "detail": {}}
    stop(destination, status=DestinationStatus.NEEDS_ATTENTION, attention_since=timezone.now(), intent=intent)
    client = logged_in(manager)
    url = url_of(segment, f"destinations/{destination.pk}/remove")
    asked = client.get(url).content.decode()
    assert f"what may be left there is empty, has {segment.technical_name} in its name" in asked
    assert client.post(url, {"release": "leave"}).status_code == 302
    run()
    destination.refresh_from_db()
    assert (destination.status, destination.error_code) == (DestinationStatus.RELEASED, "left_over")
    assert "Anonymised lists no segments" in destination.error_text
    # The account is free for this segment again, under a name that was never used.
    assert (
        client.post(url_of(segment, "destinations/new"), {"account": destination.vendor_account_id}).status_code == 302
    )


def test_a_destination_is_not_published_once_more_on_its_way_out(
    box: Sandbox, segment: Segment, destination: Destination, logged_in: LoggedIn, manager: User
) -> None:
    run()
    intent = {"step": "publish", "at": timezone.now().isoformat(), "detail": {}}
    stop(destination, status=DestinationStatus.NEEDS_ATTENTION, attention_since=timezone.now(), intent=intent)
    logged_in(manager).post(url_of(segment, f"destinations/{destination.pk}/remove"), {"release": "leave"})
    run()
    destination.refresh_from_db()
    assert (destination.status, destination.error_text) == (DestinationStatus.RELEASED, "")
    assert not [entry for entry in box.context.ledger.entries("anonymised") if "publish" in entry.path]


def test_where_the_vendor_has_no_choice_that_is_said(
    segment: Segment, destination: Destination, logged_in: LoggedIn, manager: User
) -> None:
    page = logged_in(manager).get(url_of(segment, f"destinations/{destination.pk}/remove")).content.decode()
    assert "documents no call that empties" in page
