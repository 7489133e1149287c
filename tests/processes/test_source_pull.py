"""A segmentation is read with real processes: a worker that is killed in the middle costs one page and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audsync_web.sandbox.synerise import DEMO_SEGMENTATION

from .stack import Stack, started, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]

EVERYBODY = {f"demo-crm-{number:06d}" for number in range(1, 251)}


@pytest.fixture(scope="module")
def pulling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose Synerise gives ten profiles a page, two pages a second: there is a middle to be killed in."""
    folder: Path = tmp_path_factory.mktemp("pulling")
    with started(folder) as stack:
        source = stack.account("synerise", listPageSize=10, requestsPerSecond=2)
        stack.provision([stack.account("anonymised", minSecondsBetweenUploads=0), source])
        yield stack


def test_a_killed_worker_costs_one_page_of_a_segmentation(pulling: Stack) -> None:
    accounts = {row["vendor"]: row["id"] for row in pulling.call("GET", "/vendor-accounts").json()["results"]}
    segment = pulling.segment("Loyal buyers", destinations=[accounts["anonymised"]])
    path = f"/vendor-accounts/{accounts['synerise']}/segmentations/{DEMO_SEGMENTATION}/uploads"
    begun = pulling.call("POST", path, json={"segmentId": segment["id"], "mode": "replace", "way": "pages"})
    assert begun.status_code == 202, begun.text

    def pull() -> dict[str, Any]:
        found: dict[str, Any] = pulling.call("GET", f"/source-pulls/{begun.json()['id']}").json()
        return found

    wait_for(lambda: 20 <= pull()["rows"] < 200, "some pages to be read", pulling.log)
    for worker in pulling.workers():
        worker.kill()
    left = pull()
    assert left["status"] == "running", left
    wait_for(lambda: pull()["status"] == "completed", "the pull", pulling.log)
    assert pull()["rows"] == 250
    upload = {"segmentId": segment["id"], "id": pull()["uploadId"]}
    ended = pulling.ended(upload)
    assert (ended["status"], ended["uniqueCount"], ended["duplicateCount"]) == ("completed", 250, 0), ended
    assert pulling.members("anonymised", segment["destinations"][0]["remoteId"]) == EVERYBODY
