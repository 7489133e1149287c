"""A segmentation that was built in Synerise is browsed, and delivered to other vendors as an upload."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from audsync_web.people.actors import Actor, NotAllowed
from audsync_web.people.models import Company, User
from audsync_web.sandbox.server import Sandbox
from audsync_web.sandbox.synerise import DEMO_SEGMENTATION
from audsync_web.vendors.connectors.errors import Transient
from audsync_web.vendors.connectors.synerise import SyneriseConnector
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from segments.services import DestinationWish, segment_archive, segment_create, segment_publish
from tests.api_world import BASE, bearer_client
from tests.factories import make_actor
from tests.jobs_helper import run_until, run_until_quiet
from tests.sandbox_accounts import connect
from tests.uploads.kit import settled
from uploads import files
from uploads.intake import sources
from uploads.intake.sources import pull_begin, pull_cancel
from uploads.models import PullStatus, PullWay, SourcePull, Upload

pytestmark = pytest.mark.django_db(transaction=True)

EVERYBODY = {f"demo-crm-{number:06d}" for number in range(1, 251)}
KINDS = ("uploads.source",)


@pytest.fixture
def synerise(box: Sandbox, actor: Actor) -> VendorAccount:
    return connect(box, actor, "synerise")


@pytest.fixture
def segment(box: Sandbox, actor: Actor, synerise: VendorAccount) -> Segment:
    """A segment at Anonymised, to which Synerise's members are to go."""
    target = connect(box, actor, "anonymised", minSecondsBetweenUploads=0)
    made = segment_create(actor=actor, name="Loyal buyers", destinations=[DestinationWish(target)])
    run_until_quiet()
    return made


def members(box: Sandbox, segment: Segment) -> set[str]:
    remote = segment.destinations.get().remote_id
    return set(box.vendors["anonymised"].control("members", {"segment": remote}))


def ended(pull: SourcePull) -> SourcePull:
    def has_ended() -> bool:
        pull.refresh_from_db()
        return pull.has_ended

    run_until(
        has_ended, lambda: f"{pull.status}: {pull.details} {pull.error_text}", lambda: run_until_quiet(kinds=KINDS)
    )
    return pull


def delivered(pull: SourcePull) -> Upload:
    return settled(Upload.objects.get(pk=pull.upload_key))


def chunks(pull: SourcePull) -> list[str]:
    folder = default_storage.path(f"company-{pull.company_id}/pull-{pull.pk}")
    return sorted(path.name for path in Path(folder).glob("*"))


def post(api: Client, account: VendorAccount, body: dict[str, Any], uuid: str = DEMO_SEGMENTATION) -> Any:
    path = f"{BASE}/vendor-accounts/{account.pk}/segmentations/{uuid}/uploads"
    return api.post(path, body, content_type="application/json")


def test_a_segmentation_is_browsed_page_by_page(api: Client, synerise: VendorAccount) -> None:
    url: str | None = f"{BASE}/vendor-accounts/{synerise.pk}/segmentations/{DEMO_SEGMENTATION}/profiles?limit=100"
    seen: set[str] = set()
    pages = 0
    while url:
        page = api.get(url).json()
        seen |= {row["identifiers"]["custom_id"] for row in page["results"]}
        assert page["matching"] == 250
        url, pages = page["next"], pages + 1
    assert (seen, pages) == (EVERYBODY, 3)


@pytest.mark.parametrize(
    ("fault", "value", "status"),
    [
        ("address_refused", "9", "needs_attention"),
        ("missing_permissions", "CRM_LIST_FROM_SEGMENTATION_CLIENT_READ", "ok"),
    ],
)
def test_a_key_that_is_rejected_at_a_look_is_shown_on_the_account_and_a_lacking_right_is_not(
    api: Client, synerise: VendorAccount, box: Sandbox, fault: str, value: str, status: str
) -> None:
    box.context.faults.set(f"synerise.{fault}", value)
    path = f"{BASE}/vendor-accounts/{synerise.pk}/segmentations/{DEMO_SEGMENTATION}/profiles"
    assert api.get(path).status_code == 502
    synerise.refresh_from_db()
    assert synerise.status == status


def test_the_pages_of_a_segmentation_are_as_long_as_those_of_any_list(api: Client, synerise: VendorAccount) -> None:
    path = f"{BASE}/vendor-accounts/{synerise.pk}/segmentations/{DEMO_SEGMENTATION}/profiles"
    first = api.get(path, {"limit": "20"}).json()
    second = api.get(first["next"]).json()
    assert "cursor=" in first["next"]
    assert (len(first["results"]), len(second["results"])) == (20, 20)
    assert not {row["profileId"] for row in first["results"]} & {row["profileId"] for row in second["results"]}
    for wrong in ("x", "-1", "1e9", "9" * 30):
        answer = api.get(path, {"cursor": wrong})
        assert (answer.status_code, "cursor" in answer.json()["error"]) == (400, True)


def test_a_segmentation_becomes_the_membership_at_another_vendor(
    api: Client, synerise: VendorAccount, segment: Segment, box: Sandbox
) -> None:
    answer = post(api, synerise, {"segmentId": segment.pk, "mode": "replace"})
    assert answer.status_code == 202, answer.content
    pull = ended(SourcePull.objects.get(pk=answer.json()["id"]))
    assert (pull.status, pull.rows, pull.missing, pull.way) == ("completed", 250, 0, "export")
    assert chunks(pull) == []
    upload = delivered(pull)
    assert (upload.status, upload.members, upload.kind) == ("completed", 250, "provider_id")
    assert members(box, segment) == EVERYBODY
    shown = api.get(answer.headers["Location"]).json()
    assert (shown["status"], shown["uploadId"]) == ("completed", str(upload.pk))


def test_a_segmentation_of_numbers_is_xandrs_membership(actor: Actor, synerise: VendorAccount, box: Sandbox) -> None:
    numbers = {str(7_000_000_000_000_000 + number) for number in range(130)}
    wanted = "22222222-3333-4444-8555-666666666666"
    profiles = [{"customId": number, "tags": ["xandr-people"]} for number in sorted(numbers)]
    box.vendors["synerise"].control("profiles", {"profiles": profiles})
    box.vendors["synerise"].control("segmentation", {"uuid": wanted, "name": "Numbers", "tags": ["xandr-people"]})
    seat = connect(box, actor, "xandr", minSecondsBetweenUploads=0, newSegmentWaitMinutes=0, identifier="xandr_id")
    made = segment_create(actor=actor, name="Numbers", destinations=[DestinationWish(seat)])
    segment_publish(actor=actor, segment=made)
    run_until_quiet()
    # Xandr knows a new segment only after some minutes.
    box.context.clock.advance(3600)
    pull = ended(pull_begin(actor=actor, account=synerise, segmentation=wanted, segment=made))
    assert pull.kind == "provider_id"
    upload = delivered(pull)
    assert upload.status == "completed", upload.details
    remote = made.destinations.get().remote_id
    assert set(box.vendors["xandr"].control("members", {"segment": remote})) == numbers


@pytest.mark.parametrize("way", [PullWay.MATERIALISE, PullWay.PAGES])
def test_every_way_of_reading_finds_everybody(
    actor: Actor, synerise: VendorAccount, segment: Segment, way: PullWay
) -> None:
    pull = ended(pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment, way=way))
    assert (pull.status, pull.rows, pull.offset) == ("completed", 250, 250)
    with files.local_file(Upload.objects.get(pk=pull.upload_key).original) as path:
        assert set(path.read_text().split()[1:]) == EVERYBODY


def test_a_killed_worker_costs_one_page(
    actor: Actor, synerise: VendorAccount, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is stored and the cursor not yet moved when it dies: the same page is read and written again."""
    pull = pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment, way=PullWay.PAGES)
    real = sources._write_chunk

    def die_after_the_second(pull: SourcePull, number: int, values: list[str]) -> None:
        real(pull, number, values)
        if number == 2:
            raise SystemExit

    monkeypatch.setattr(sources, "_write_chunk", die_after_the_second)
    with pytest.raises(SystemExit):
        run_until_quiet(kinds=KINDS)
    monkeypatch.setattr(sources, "_write_chunk", real)
    pull.refresh_from_db()
    assert (pull.offset, pull.chunks, len(chunks(pull))) == (100, 1, 2)
    SourcePull.objects.update(next_action_at=timezone.now())
    assert (ended(pull).rows, pull.chunks) == (250, 3)


def test_a_frozen_copy_that_ended_is_made_anew_once(
    actor: Actor, synerise: VendorAccount, segment: Segment, box: Sandbox
) -> None:
    pull = pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment)
    old = {"id": "1", "columns": [], "ends_at": (timezone.now() - timedelta(minutes=1)).isoformat()}
    SourcePull.objects.update(memory=old, offset=100, chunks=1, rows=100)
    assert (ended(pull).status, pull.rows, pull.restarts) == ("completed", 250, 1)
    again = pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment)
    SourcePull.objects.filter(pk=again.pk).update(memory=old, restarts=1)
    assert ended(again).status == PullStatus.FAILED
    assert "twice" in again.details


def test_an_unknown_unconfirmed_path_falls_back_to_pages(
    actor: Actor, synerise: VendorAccount, segment: Segment, box: Sandbox
) -> None:
    box.context.faults.set("synerise.unconfirmed_absent", "1")
    pull = ended(pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment))
    assert (pull.status, pull.way, pull.rows) == ("completed", "pages", 250)


def test_trouble_at_the_vendor_is_tried_again(
    actor: Actor, synerise: VendorAccount, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = SyneriseConnector.segmentation_page

    def fails_once(self: SyneriseConnector, *args: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise Transient("Synerise does not answer.", retry_after=0.01)
        return real(self, *args, **named)

    monkeypatch.setattr(SyneriseConnector, "segmentation_page", fails_once)
    pull = pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment, way=PullWay.PAGES)
    assert ended(pull).status == "completed"
    assert pull.error_text == ""


def test_frozen_copies_need_the_accounts_switch(actor: Actor, segment: Segment, synerise: VendorAccount) -> None:
    synerise.settings["unconfirmedEndpoints"] = False
    synerise.save()
    with pytest.raises(ValidationError, match="switched on"):
        pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment, way=PullWay.EXPORT)
    pull = pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment)
    assert pull.way == PullWay.PAGES


def test_a_segmentation_of_nobody_is_no_upload(
    actor: Actor, synerise: VendorAccount, segment: Segment, box: Sandbox
) -> None:
    empty = "11111111-2222-4333-8444-555555555555"
    box.vendors["synerise"].control("segmentation", {"uuid": empty, "name": "Empty", "tags": ["nobody-has-it"]})
    pull = ended(pull_begin(actor=actor, account=synerise, segmentation=empty, segment=segment, way=PullWay.PAGES))
    assert pull.status == PullStatus.FAILED
    assert "Nobody" in pull.details
    assert not Upload.objects.exists()


def test_stopping_leaves_nothing_behind(actor: Actor, synerise: VendorAccount, segment: Segment) -> None:
    pull = pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment)
    pull_cancel(actor=actor, pull=pull)
    assert ended(pull).status == PullStatus.CANCELLED
    assert chunks(pull) == []
    assert not Upload.objects.exists()


def test_a_segment_that_was_archived_meanwhile_is_given_nothing(
    actor: Actor, synerise: VendorAccount, segment: Segment
) -> None:
    pull = pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment)
    segment_archive(actor=actor, segment=segment)
    assert ended(pull).status == PullStatus.FAILED
    assert "archived" in pull.details
    assert not Upload.objects.exists()


def test_a_used_up_quota_delays_a_pull_and_what_was_read_is_not_read_again(
    actor: Actor, synerise: VendorAccount, segment: Segment, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    Company.objects.filter(pk=company.pk).update(max_stored_bytes=10)
    pull = pull_begin(actor=actor, account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment, way=PullWay.PAGES)
    run_until_quiet(kinds=KINDS)
    pull.refresh_from_db()
    assert (pull.status, "quota" in pull.details) == ("running", True)
    assert not Upload.objects.exists()
    assert not default_storage.exists(f"company-{company.pk}/upload-{pull.upload_key}/original")
    monkeypatch.delattr(SyneriseConnector, "segmentation_page")
    Company.objects.filter(pk=company.pk).update(max_stored_bytes=None)
    SourcePull.objects.update(next_action_at=timezone.now())
    assert ended(pull).status == "completed"
    assert (pull.rows, pull.details) == (250, "")


def test_wrong_wishes_are_told(api: Client, synerise: VendorAccount, segment: Segment) -> None:
    assert post(api, synerise, {"segmentId": segment.pk, "mode": "replace"}, "not-a-uuid").status_code == 400
    assert post(api, synerise, {"segmentId": segment.pk, "mode": "sideways"}).status_code == 400
    assert post(api, synerise, {"segmentId": 999_999, "mode": "add"}).status_code == 404
    other = segment.destinations.get().vendor_account
    assert post(api, other, {"segmentId": segment.pk, "mode": "add"}).status_code == 400
    unknown = f"{BASE}/vendor-accounts/{synerise.pk}/segmentations/00000000-0000-4000-8000-000000000000/profiles"
    assert api.get(unknown).status_code == 404


def test_sources_are_for_managers_of_the_company(
    marketer: User,
    company: Company,
    marketer_api: Client,
    stranger_api: Client,
    api: Client,
    synerise: VendorAccount,
    segment: Segment,
) -> None:
    body = {"segmentId": segment.pk, "mode": "replace"}
    profiles = f"{BASE}/vendor-accounts/{synerise.pk}/segmentations/{DEMO_SEGMENTATION}/profiles"
    assert post(marketer_api, synerise, body).status_code == 403
    assert marketer_api.get(profiles).status_code == 403
    assert post(stranger_api, synerise, body).status_code == 404
    assert stranger_api.get(profiles).status_code == 404
    with pytest.raises(NotAllowed):
        pull_begin(
            actor=make_actor(marketer, company), account=synerise, segmentation=DEMO_SEGMENTATION, segment=segment
        )
    made = post(api, synerise, body).json()
    assert stranger_api.get(f"{BASE}/source-pulls/{made['id']}").status_code == 404
    assert bearer_client(marketer, company).get(f"{BASE}/source-pulls/{made['id']}").status_code == 403
