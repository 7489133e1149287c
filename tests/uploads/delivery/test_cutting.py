"""Into which parts a delivery is cut: no line too large for one, and none without a line, however often it is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from audsync_web.jobs.kinds import kind_named
from audsync_web.jobs.leases import seize
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from segments.services import segment_create
from tests.api_world import delivered
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads import files
from uploads.delivery.planning import delivery_folder
from uploads.delivery.run import Run
from uploads.delivery.splitting import split_part
from uploads.engine.difference import difference
from uploads.engine.ending import write_members
from uploads.membership.snapshots import planning_connector
from uploads.models import Delivery, Part

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def segment(box: Sandbox, actor: Actor) -> Segment:
    """A segment at Synerise, which takes additions and removals in batches of their own."""
    connect(box, actor, "synerise", identifier="custom_id", sampleSize=0, graceMinutes=0)
    made = segment_create(actor=actor, name="Lapsed buyers", duration_days=40)
    run_until_quiet()
    return made


def deliver(api: Client, segment: Segment, *members: str) -> Delivery:
    return delivered(api, segment, "custom_id", *members)


def test_a_part_that_is_cut_again_and_again_is_cut_by_its_own_lines(tmp_path: Path, company: Company) -> None:
    destination = make_destination(make_segment(company), "synerise", "custom_id")
    made = make_delivery(make_upload(destination.segment, "delivering"), destination, "sending", is_live=True)
    made.changes_file = f"{delivery_folder(made)}/changes"
    write_members([f"crm-{number}" for number in range(3, 9)], tmp_path / "before")
    write_members(["crm-1", "crm-2", "crm-91", "crm-92"], tmp_path / "now")
    with files.new_file(made.changes_file) as changes:
        difference(tmp_path / "now", tmp_path / "before", mode="replace", today=1, out=changes)
    Part.objects.create(delivery=made, number=1, first_row=0, last_row=9, ops=[Op.ADD, Op.RENEW], adds=4, lines=4)
    lease = seize(kind_named("uploads.delivery"), made.pk)
    assert lease is not None
    run = Run(lease, made, planning_connector(destination))
    while largest := made.parts.filter(lines__gt=1).first():
        assert split_part(run, largest)
    parts = made.parts.order_by("first_row")
    assert list(parts.values_list("first_row", "last_row", "adds")) == [(0, 0, 1), (1, 1, 1), (2, 8, 1), (9, 9, 1)]
    assert not split_part(run, parts[0])


def test_a_line_that_is_larger_than_a_part_may_be_is_told_and_is_no_fault_of_ours(
    api: Client, segment: Segment
) -> None:
    account = VendorAccount.objects.get()
    account.settings["maxPartBytes"] = 200
    account.save()
    made = deliver(api, segment, *(f"crm-{number}" for number in range(9)), "z" * 200)
    assert (made.status, made.error_code) == ("failed", "too_large"), made.error_text
    assert "A single line is larger" in made.error_text
    assert (made.parts_done, made.parts_total) == (0, 0)
