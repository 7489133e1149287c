"""The same product with servers in place of the embedded parts: PostgreSQL, Redis, RabbitMQ."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postgres import database
from tests.reachable import RABBITMQ_URL, REDIS_URL

from .stack import started, wait_for
from .test_main_job import ids, records_at_vendor

__all__ = ["database"]

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]


def run_main_job(folder: Path, *, broker: str = "", database: str = "") -> None:
    """A file is delivered, a worker dies while the second is sent, and the vendor ends with the right members."""
    with started(folder, broker=broker, database=database) as stack:
        stack.provision([stack.account("anonymised", minSecondsBetweenUploads=0)])
        segment = stack.segment()
        remote = segment["destinations"][0]["remoteId"]
        assert stack.ended(stack.upload(segment["id"], ids(1000)))["status"] == "completed"
        stack.box.context.faults.set("anonymised.slow_body", "1.5")
        upload = stack.upload(segment["id"], ids(1000, 500))
        wait_for(lambda: records_at_vendor(stack, remote) == 2, "the vendor to have the file", stack.log)
        for worker in stack.workers():
            worker.kill()
        stack.box.context.faults.set("anonymised.slow_body", None)
        assert stack.ended(upload)["status"] == "completed"
        assert stack.members("anonymised", remote) == set(ids(1000, 500))
        assert records_at_vendor(stack, remote) == 2


@pytest.mark.postgres
@pytest.mark.redis
def test_the_main_job_runs_on_postgresql_and_redis(tmp_path: Path, database: str) -> None:
    run_main_job(tmp_path, broker=REDIS_URL, database=database)


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_the_main_job_runs_on_postgresql_and_rabbitmq(tmp_path: Path, database: str) -> None:
    run_main_job(tmp_path, broker=RABBITMQ_URL, database=database)


@pytest.mark.postgres
@pytest.mark.redis
def test_a_resumable_upload_arrives_on_postgresql(tmp_path: Path, database: str) -> None:
    tus, content = {"Tus-Resumable": "1.0.0"}, "\n".join(["provider_id", *ids(50), ""]).encode()
    piece = {**tus, "Content-Type": "application/offset+octet-stream"}
    with started(tmp_path, broker=REDIS_URL, database=database) as stack:
        stack.provision([stack.account("anonymised", minSecondsBetweenUploads=0)])
        segment = stack.segment()
        path = f"/segment/{segment['id']}/membership/tus"
        made = stack.call("POST", path, headers={**tus, "Upload-Length": str(len(content))})
        place = f"{path}/{made.headers['Location'].rpartition('/')[2]}"
        stack.call("PATCH", place, data=content[:20], headers={**piece, "Upload-Offset": "0"})
        last = stack.call("PATCH", place, data=content[20:], headers={**piece, "Upload-Offset": "20"})
        assert last.status_code == 204, last.text
        upload = {"id": last.headers["Upload-Id"], "segmentId": segment["id"]}
        assert stack.ended(upload)["status"] == "completed"
