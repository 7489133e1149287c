"""The main job with real processes: a file becomes the vendor's membership, once, whatever dies on the way."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from .stack import EMAIL, PASSWORD, Stack, is_alive, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]


def ids(count: int, first: int = 0) -> list[str]:
    return [f"acme-{number:07d}" for number in range(first, first + count)]


def records_at_vendor(stack: Stack, remote_id: str) -> int:
    uploads = stack.box.vendors["anonymised"].state()["jobs"]
    return sum(1 for upload in uploads if str(upload["segmentId"]) == remote_id)


def test_a_file_becomes_the_membership_and_the_next_one_replaces_it(stack: Stack) -> None:
    segment = stack.segment()
    remote = segment["destinations"][0]["remoteId"]
    first = stack.ended(stack.upload(segment["id"], ids(2000)))
    assert first["status"] == "completed", first
    assert stack.members("anonymised", remote) == set(ids(2000))
    second = stack.ended(stack.upload(segment["id"], ids(2000, 1000)))
    assert (second["deliveries"][0]["adds"], second["deliveries"][0]["removes"]) == (1000, 1000)
    assert stack.members("anonymised", remote) == set(ids(2000, 1000))
    added = stack.ended(stack.upload(segment["id"], ids(10), mode="add"))
    removed = stack.ended(stack.upload(segment["id"], ids(5, 1000), mode="remove"))
    assert (added["status"], removed["status"]) == ("completed", "completed")
    assert stack.members("anonymised", remote) == (set(ids(2000, 1000)) | set(ids(10))) - set(ids(5, 1000))
    active = stack.call("GET", f"/segment/{segment['id']}/membership").json()
    assert active["activeMembershipUploadId"] == removed["id"]


def test_a_worker_killed_while_it_sends_loses_nothing_and_doubles_nothing(stack: Stack) -> None:
    segment = stack.segment("Killed while sending")
    remote = segment["destinations"][0]["remoteId"]
    stack.box.context.faults.set("anonymised.slow_body", "1.5")
    upload = stack.upload(segment["id"], ids(20_000))
    wait_for(lambda: records_at_vendor(stack, remote) == 1, "the vendor to have the file", stack.log)
    for worker in stack.workers():
        worker.kill()
    stack.box.context.faults.set("anonymised.slow_body", None)
    ended = stack.ended(upload)
    assert ended["status"] == "completed", ended
    assert stack.members("anonymised", remote) == set(ids(20_000))
    assert records_at_vendor(stack, remote) == 1


def test_a_lost_answer_is_looked_into_and_not_sent_twice(stack: Stack) -> None:
    segment = stack.segment("Lost answer")
    remote = segment["destinations"][0]["remoteId"]
    stack.box.context.faults.set("anonymised.drop_after_send", "1x")
    ended = stack.ended(stack.upload(segment["id"], ids(500)))
    assert ended["status"] == "completed", ended
    assert records_at_vendor(stack, remote) == 1
    assert stack.members("anonymised", remote) == set(ids(500))


def test_a_send_that_never_arrived_is_made_again_after_two_looks(stack: Stack) -> None:
    segment = stack.segment("Never arrived")
    remote = segment["destinations"][0]["remoteId"]
    stack.box.context.faults.set("anonymised.drop_before_send", "1x")
    began = time.monotonic()
    ended = stack.ended(stack.upload(segment["id"], ids(300)))
    assert ended["status"] == "completed", ended
    assert time.monotonic() - began >= 5
    assert records_at_vendor(stack, remote) == 1


def test_a_dead_child_is_started_again(stack: Stack) -> None:
    before = {worker.pid for worker in stack.workers()}
    for worker in stack.workers():
        worker.kill()
    wait_for(lambda: bool({one.pid for one in stack.workers()} - before), "a new worker", stack.log)


def test_a_scheduler_that_hangs_keeps_no_upload_from_its_end(stack: Stack) -> None:
    known = {"minSecondsBetweenUploads": 0}
    stack.provision([stack.account("anonymised", **known, pollFirstSeconds=4, pollMaxSeconds=4)])
    segment = stack.segment("Without ticks")
    scheduler = stack.scheduler()
    scheduler.suspend()
    try:
        assert stack.ended(stack.upload(segment["id"], ids(100)))["status"] == "completed"
    finally:
        scheduler.resume()
        stack.provision([stack.account("anonymised", **known)])


def test_the_vendors_own_curl_commands_drive_audsync(stack: Stack, tmp_path: Path) -> None:
    base = f"{stack.url}/api/public/v3"
    (tmp_path / "membership.csv").write_text("provider_id\nuser123\nuser456\nuser789\n")

    def curl(*words: str) -> str:
        done = subprocess.run(
            ["curl", "-sS", "-w", "\n%{http_code}", *words], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        return done.stdout

    login = curl(
        *("--location", f"{base}/login", "--header", "Content-Type: application/json"),
        *("--header", "Accept: application/json", "--header", "Origin: https://account.anonymised.io"),
        *("--data-raw", f'{{"email": "{EMAIL}", "password": "{PASSWORD}"}}'),
    )
    assert login.endswith("200")
    token = login.split('"')[3]
    bearer = ("--header", f"Authorization: Bearer {token}")
    created = curl(
        *("--location", f"{base}/segment", "--header", "Content-Type: application/json", *bearer),
        *("--data", '{"name": "Test Segment", "durationDays": 365, "type": "core"}'),
    )
    assert created.endswith("201"), created
    segment = created.split('"id":')[1].split(",")[0].strip()
    published = curl("--location", "--request", "POST", f"{base}/segment/{segment}/publish", *bearer)
    assert published.endswith(("200", "202")), published
    md5 = subprocess.run(
        ["md5sum", "membership.csv"], capture_output=True, text=True, cwd=tmp_path, check=True
    ).stdout.split()[0]
    uploaded = curl(
        *("-X", "POST", f"{base}/segment/{segment}/membership/upload", "-H", f"Authorization: Bearer {token}"),
        *("-H", "Content-Type: text/csv", "-H", f"X-Content-MD5: {md5}", "--data-binary", "@membership.csv"),
    )
    assert uploaded.endswith("201"), uploaded
    listed = curl("-X", "GET", f"{base}/segment/{segment}/membership/upload", "-H", f"Authorization: Bearer {token}")
    assert listed.endswith("200")
    assert md5 in listed


def test_stopping_leaves_no_process_behind(running: Stack) -> None:
    tree = running.tree()
    assert running.workers()
    assert all("celery" not in " ".join(one.cmdline()) for one in tree if "granian" in " ".join(one.cmdline()))
    running.stop()
    assert not any(is_alive(one) for one in tree)
    running.start()


def test_a_supervisor_that_is_killed_leaves_no_process_that_the_next_one_would_meet(running: Stack) -> None:
    tree = running.tree()
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    wait_for(lambda: not any(is_alive(one) for one in tree), "every process to be gone")
    running.start()
