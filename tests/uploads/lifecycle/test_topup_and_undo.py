"""Members who are about to end are topped up, and nobody else; the last upload can be taken back."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.people.actors import Actor, NotAllowed
from audsync_web.people.models import Company, User
from audsync_web.sandbox.server import Sandbox
from segments.models import Destination, Segment
from segments.services import segment_create, segment_publish
from tests.api_world import BASE, make_segment, upload
from tests.factories import make_actor
from tests.jobs_helper import run_until, run_until_quiet
from tests.sandbox_accounts import connect, hurry
from uploads import files
from uploads.engine.snapshot import SnapshotReader, SnapshotWriter, member_rows
from uploads.housekeeping import enforce_retention
from uploads.lifecycle.topup import ending_of_company, ending_of_segment, top_up
from uploads.lifecycle.undo import undo_begin, undo_choices
from uploads.membership.snapshots import current_snapshot, day_of, ends_of, snapshot_replace
from uploads.models import Delivery, Snapshot, Upload
from uploads.services import UploadConflict, upload_go

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def segment(box: Sandbox, actor: Actor, api: Client) -> Segment:
    """A published segment at mediarithmics, where members end."""
    hurry(box, "mediarithmics")
    connect(box, actor, "mediarithmics", identifier="user_agent_id")
    made = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    segment_publish(actor=actor, segment=made)
    run_until_quiet()
    made.refresh_from_db()
    return made


def settle(made: Upload, status: str = "completed") -> Upload:
    """Run jobs until the upload has come to `status`."""

    def has_come() -> bool:
        made.refresh_from_db()
        return made.status == status

    run_until(has_come, lambda: f"{made.status}: {made.details}")
    return made


def deliver(api: Client, segment: Segment, *members: str, mode: str = "replace") -> Upload:
    answer = upload(api, segment, "\n".join(("user_agent_id", *members, "")), f"?mode={mode}")
    assert answer.status_code == 201, answer.content
    return settle(Upload.objects.get(pk=answer.json()["id"]))


def held(segment: Segment) -> dict[str, int]:
    """Who the acknowledged membership holds, and the days until each ends."""
    snapshot = current_snapshot(segment.destinations.get())
    assert snapshot is not None
    today = day_of(timezone.now().date())
    found = {}
    with files.local_file(snapshot.file) as path, SnapshotReader(path) as reader:
        for rows in reader.blocks():
            for line, day in zip(rows.lines.to_pylist(), rows.columns["day"].tolist(), strict=True):
                found[line.decode().strip()] = day - today
    return found


def age(segment: Segment, **days: int) -> None:
    """Let members end in so many days, as if they had been sent long ago."""
    destination = segment.destinations.select_related("segment").get()
    snapshot = current_snapshot(destination)
    assert snapshot is not None
    today = day_of(timezone.now().date())
    name = f"{snapshot.file}-aged-{len(days)}-{sum(days.values())}"
    with files.local_file(snapshot.file) as path, files.new_file(name) as out:
        with SnapshotReader(path) as reader, SnapshotWriter(out, reader.uploads) as writer:
            for rows in reader.blocks():
                for index, line in enumerate(rows.lines.to_pylist()):
                    left = days.get(line.decode().strip(), int(rows.columns["day"][index]) - today)
                    writer.write(member_rows(rows.lines.slice(index, 1), day=today + left))
        ends = ends_of(out)
    snapshot_replace(destination, file=name, members=snapshot.members, refused=0, delivery=snapshot.delivery, ends=ends)


def test_when_members_end_is_counted_by_day(segment: Segment, api: Client) -> None:
    deliver(api, segment, "anna", "ben", "carl")
    snapshot = current_snapshot(segment.destinations.get())
    assert snapshot is not None
    last = timezone.now().date() + dt.timedelta(days=40)
    assert snapshot.ends == {"days": {last.isoformat(): 3}, "later": 0, "never": 0}
    assert snapshot.first_ends_on == last
    age(segment, anna=3)
    aged = current_snapshot(segment.destinations.get())
    assert aged is not None
    assert aged.first_ends_on == timezone.now().date() + dt.timedelta(days=3)


def test_nobody_is_shown_as_ending_while_all_have_long_to_live(
    segment: Segment, api: Client, company: Company, other_company: Company
) -> None:
    deliver(api, segment, "anna", "ben")
    assert ending_of_segment(segment) == []
    age(segment, anna=6, ben=9)
    endings = ending_of_company(company)
    assert [(row.members, row.days, row.window) for row in endings] == [(2, 6, 10)]
    assert ending_of_company(other_company) == []


def test_a_top_up_sends_only_those_who_are_about_to_end(segment: Segment, api: Client, actor: Actor) -> None:
    deliver(api, segment, "anna", "ben", "carl", "dora")
    age(segment, anna=3, ben=4)
    made = top_up(actor=actor, segment=segment)
    assert [row.members for row in made] == [2]
    settle(made[0])
    delivery = made[0].deliveries.get()
    assert (delivery.status, delivery.renewed, delivery.sent, delivery.adds) == ("completed", 2, 2, 0)
    assert held(segment) == {"anna": 40, "ben": 40, "carl": 40, "dora": 40}
    with pytest.raises(UploadConflict, match="Nobody"):
        top_up(actor=actor, segment=segment)


def test_a_top_up_brings_back_nobody_who_left_or_whose_day_has_passed(
    segment: Segment, api: Client, actor: Actor
) -> None:
    deliver(api, segment, "anna", "ben", "carl")
    age(segment, anna=3, ben=3, carl=-1)
    answer = upload(api, segment, "user_agent_id\nben\n", "?mode=remove")
    assert answer.status_code == 201
    made = top_up(actor=actor, segment=segment)
    settle(made[0])
    delivery = made[0].deliveries.get()
    assert (delivery.status, delivery.renewed, delivery.adds) == ("completed", 1, 0)
    assert held(segment) == {"anna": 40}


def test_a_second_click_does_not_top_up_twice(segment: Segment, api: Client, actor: Actor) -> None:
    deliver(api, segment, "anna")
    age(segment, anna=2)
    top_up(actor=actor, segment=segment)
    with pytest.raises(UploadConflict, match="under way"):
        top_up(actor=actor, segment=segment)
    assert Upload.objects.filter(origin__has_key="renew_within_days").count() == 1


def test_the_window_can_be_chosen_over_rest(segment: Segment, api: Client, stranger_api: Client) -> None:
    deliver(api, segment, "anna", "ben")
    age(segment, anna=20)
    path = f"{BASE}/segment/{segment.pk}/membership/top-up"
    assert api.get(path).json()["results"] == []
    listed = api.get(f"{path}?withinDays=30").json()["results"]
    assert [(row["members"], row["days"]) for row in listed] == [(1, 20)]
    assert api.post(path, {}, content_type="application/json").status_code == 409
    assert stranger_api.post(path, {}, content_type="application/json").status_code == 404
    assert api.post(path, {"withinDays": 0}, content_type="application/json").status_code == 400
    answer = api.post(path, {"withinDays": 30}, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert [row["mode"] for row in answer.json()["uploads"]] == ["add"]
    settle(Upload.objects.get(pk=answer.json()["uploads"][0]["id"]))
    assert held(segment) == {"anna": 40, "ben": 40}


def test_an_upload_is_undone_after_a_look(segment: Segment, api: Client, actor: Actor, box: Sandbox) -> None:
    deliver(api, segment, "anna", "ben")
    changed = deliver(api, segment, "ben", "carl")
    made = undo_begin(actor=actor, upload=changed, hold=True)
    settle(made, "ready")
    cell = made.preview["destinations"][0]
    assert (cell["adds"], cell["removes"], cell["unchanged"], cell["before"]) == (1, 1, 1, 2)
    assert set(held(segment)) == {"ben", "carl"}
    upload_go(actor=actor, upload=made)
    settle(made)
    assert set(held(segment)) == {"anna", "ben"}
    remote = segment.destinations.get().remote_id
    assert set(box.vendors["mediarithmics"].control("members", {"segment": remote})) == {"anna", "ben"}


def test_undoing_the_first_upload_leaves_nobody(segment: Segment, api: Client) -> None:
    first = deliver(api, segment, "anna", "ben")
    answer = api.post(f"{BASE}/segment/{segment.pk}/membership/upload/{first.pk}/undo")
    assert answer.status_code == 201, answer.content
    settle(Upload.objects.get(pk=answer.json()["id"]))
    assert held(segment) == {}


def test_an_upload_that_is_not_the_last_cannot_be_undone(segment: Segment, api: Client, actor: Actor) -> None:
    first = deliver(api, segment, "anna")
    deliver(api, segment, "ben")
    assert [row.reason for row in undo_choices(first)] == ["A later delivery has changed it since."]
    with pytest.raises(UploadConflict, match="later delivery"):
        undo_begin(actor=actor, upload=first, hold=True)


def test_without_the_membership_of_before_nothing_is_undone(segment: Segment, api: Client, actor: Actor) -> None:
    deliver(api, segment, "anna")
    second = deliver(api, segment, "ben")
    Snapshot.objects.filter(superseded_at__isnull=False).delete()
    with pytest.raises(UploadConflict, match="no longer kept"):
        undo_begin(actor=actor, upload=second, hold=True)


def test_a_marketer_undoes_only_what_is_their_own(
    segment: Segment, api: Client, marketer: User, company: Company, stranger_api: Client
) -> None:
    made = deliver(api, segment, "anna")
    with pytest.raises(NotAllowed):
        undo_begin(actor=make_actor(marketer, company), upload=made, hold=True)
    path = f"{BASE}/segment/{segment.pk}/membership/upload/{made.pk}/undo"
    assert stranger_api.post(path).status_code == 404


def test_a_destination_without_an_end_is_never_topped_up(api: Client, box: Sandbox, actor: Actor) -> None:
    connect(box, actor, "anonymised")
    made = make_segment(api)
    answer = upload(api, made, "provider_id\nanna\n")
    assert answer.status_code == 201
    settle(Upload.objects.get(pk=answer.json()["id"]))
    assert Destination.objects.get().snapshots.get(superseded_at__isnull=True).ends == {
        "days": {},
        "later": 0,
        "never": 1,
    }
    assert api.get(f"{BASE}/segment/{made['id']}/membership/top-up").json()["results"] == []


def test_what_a_top_up_sent_goes_with_the_originals(
    segment: Segment, api: Client, actor: Actor, company: Company
) -> None:
    deliver(api, segment, "anna", "ben")
    age(segment, anna=3)
    made = settle(top_up(actor=actor, segment=segment)[0])
    changes = made.deliveries.get().changes_file
    assert files.exists(changes)
    long_ago = timezone.now() - dt.timedelta(days=company.keep_originals_days + 1)
    Upload.objects.update(created_at=long_ago)
    Delivery.objects.update(uploaded_at=long_ago)
    enforce_retention()
    assert not files.exists(changes)
    assert (made.deliveries.get().changes_file, Upload.objects.get(pk=made.pk).original_gone_at) == ("", None)
