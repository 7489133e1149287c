"""True replace on vendors that only add: one file makes three vendors' memberships equal to it, whatever dies."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .stack import Stack, started, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]

VENDORS = ("anonymised", "xandr", "mediarithmics")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("three")
    with started(folder) as stack:
        stack.box.context.faults.set("xandr.propagation_seconds", "0")
        stack.box.context.faults.set("xandr.upload_interval_seconds", "0.9")
        stack.provision(
            [
                stack.account("anonymised", minSecondsBetweenUploads=0),
                stack.account("xandr", minSecondsBetweenUploads=1, newSegmentWaitMinutes=0, maxPartLines=2000),
                stack.account("mediarithmics", identifier="user_account_id", compartmentId="1042", maxPartLines=2000),
            ]
        )
        yield stack


def people(first: int, count: int) -> list[str]:
    return [str(7_314_159_265_358_900_000 + number) for number in range(first, first + count)]


def held(stack: Stack, segment: dict[str, object]) -> dict[str, set[str]]:
    destinations = segment["destinations"]
    assert isinstance(destinations, list)
    return {one["vendor"]: stack.members(one["vendor"], one["remoteId"]) for one in destinations}


def kill_a_worker(stack: Stack, after: float) -> None:
    time.sleep(after)
    for worker in stack.workers():
        worker.kill()


def test_replace_add_and_remove_with_a_worker_killed_in_each(three: Stack) -> None:
    segment = three.segment("Three vendors")
    chance = random.Random(7)
    truth: set[str] = set()
    steps = [
        ("replace", people(0, 6000)),
        ("replace", people(3000, 6000)),
        ("add", people(0, 500)),
        ("remove", people(3000, 1000)),
    ]
    for mode, ids in steps:
        upload = three.upload(segment["id"], chance.sample(ids, len(ids)), mode=mode)
        kill_a_worker(three, chance.uniform(0.3, 2.5))
        ended = three.ended(upload)
        assert ended["status"] == "completed", ended
        truth = {"replace": set(ids), "add": truth | set(ids), "remove": truth - set(ids)}[mode]
        for vendor, members in held(three, segment).items():
            assert members == truth, f"{vendor} after {mode}: {len(members)} members, {len(truth)} expected"
        for delivery in ended["deliveries"]:
            assert delivery["sent"] == delivery["adds"] + delivery["renewed"] + delivery["removes"]
            assert delivery["accepted"] + delivery["rejected"] == delivery["sent"], delivery


def test_no_vendor_saw_a_broken_rule(three: Stack) -> None:
    broken = {vendor: three.box.context.ledger.violations(vendor) for vendor in VENDORS}
    assert broken == {vendor: [] for vendor in VENDORS}


def test_one_vendors_outage_does_not_delay_the_others(three: Stack) -> None:
    segment = three.segment("Outage")
    three.box.context.faults.set("xandr.unavailable", "yes")
    upload = three.upload(segment["id"], people(0, 100))
    path = f"/segment/{segment['id']}/membership/upload/{upload['id']}"

    def done() -> set[str]:
        deliveries = three.call("GET", path).json()["deliveries"]
        return {one["vendor"] for one in deliveries if one["status"] == "completed"}

    wait_for(lambda: done() == {"anonymised", "mediarithmics"}, "the two healthy vendors", three.log)
    three.box.context.faults.set("xandr.unavailable", None)
    assert three.ended(upload)["status"] == "completed"
