"""The inner half of `bench synerise`: deliveries by the real job, in a process and a database of their own."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from django.core.management import call_command
from django.utils import timezone

from audsync_web.jobs.engine import run_slice
from audsync_web.people.actors import system_actor
from audsync_web.people.models import Company
from audsync_web.vendors.models import VendorAccount
from audsync_web.vendors.runtime import connector_for
from audsync_web.vendors.services import account_connect
from segments.models import Destination, DestinationStatus, Segment
from uploads import files
from uploads.delivery import job as delivery
from uploads.delivery.payload import PartMaker
from uploads.engine.benchmark_stages import peak_memory
from uploads.engine.members import build_members
from uploads.engine.reading import CheckOptions
from uploads.models import Delivery, DeliveryStatus, Mode, Upload, UploadStatus
from uploads.services import upload_folder

from . import loop
from .sink import BATCH, LOGIN, PREFIX

KIND = "custom_id"
# Quick where a vendor's pace would make it slow, and done with the last batch: nothing of that is bookkeeping.
BATCH_ROWS = 1_000
SETTINGS = {"identifier": KIND, "requestsPerSecond": 10_000, "graceMinutes": 0, "sampleSize": 0}


def run(folder: Path, origin: str, rows: str, repetitions: str) -> dict[str, Any]:
    """Seconds of every delivery and of every plain loop, in turn, and the peak memory of this process in bytes.

    `origin`: where the sandbox is, or a sink that has its paths.
    """
    call_command("prepare_data", verbosity=0)
    call_command("migrate", verbosity=0)
    company = Company.objects.create(slug="bench", name="Bench")
    key = requests.get(f"{origin}/_control/demo", timeout=30).json()["synerise"]["credentials"]
    # A worker has done this before; what it loads for its first delivery is no part of the next.
    _deliver(_queued(_connect(company, origin, key, "bench warm"), BATCH_ROWS))
    ours, theirs = [], []
    for number in range(int(repetitions)):
        sending = _queued(_connect(company, origin, key, f"bench {number}"), int(rows))
        before = _taken(origin)
        ours.append(_deliver(sending))
        _require_taken(origin, before + sending.sent)
        _keep_bodies(sending, folder / "bodies")
        theirs.append(_plain_loop(origin, key, folder / "bodies"))
        _require_taken(origin, before + sending.sent + int(rows))
    return {"ours": ours, "theirs": theirs, "peak_memory": peak_memory()}


def _connect(company: Company, origin: str, key: dict[str, str], workspace: str) -> VendorAccount:
    """An account of a workspace of its own: the members of another segment there would be named with each batch."""
    return account_connect(
        actor=system_actor(company),
        vendor="synerise",
        name=workspace,
        base_url=origin + PREFIX,
        credentials=key,
        settings={**SETTINGS, "workspace": workspace},
    )


def _queued(account: VendorAccount, rows: int) -> Delivery:
    """A delivery of so many members to a new segment, due now."""
    segment = Segment.objects.create(company=account.company, name=account.name, duration_days=30)
    destination = Destination(segment=segment, vendor_account=account, identifier=KIND)
    with connector_for(account) as connector:
        made = connector.create_segment(destination.spec())
    destination.status, destination.remote_id = DestinationStatus.CREATED, made.remote_id
    destination.memory = dict(made.memory)
    destination.save()
    upload = _inspected(segment, rows)
    return Delivery.objects.create(
        company=account.company,
        upload=upload,
        destination=destination,
        mode=upload.mode,
        lane=account.quota_scope[:160],
        next_action_at=timezone.now(),
    )


def _inspected(segment: Segment, rows: int) -> Upload:
    upload = Upload(
        company=segment.company,
        segment=segment,
        status=UploadStatus.DELIVERING,
        mode=Mode.REPLACE,
        kind=KIND,
        records=rows,
        members=rows,
        duplicates=0,
    )
    upload.members_file = f"{upload_folder(segment.company_id, upload.pk)}/members"
    source = b"\n".join([KIND.encode(), *(b"crm-%08d" % row for row in range(rows)), b""])
    with files.new_file(upload.members_file) as out, files.spill_folder() as spill:
        build_members(lambda: io.BytesIO(source), CheckOptions(), KIND, out, spill)
    upload.save()
    return upload


def _deliver(sending: Delivery) -> float:
    """Seconds from the first claim until the delivery has ended."""
    start = time.perf_counter()
    while not sending.has_ended:
        run_slice("uploads.delivery", sending.pk, delivery.advance, delivery.crashed)
        sending.refresh_from_db(fields=["status"])
    seconds = time.perf_counter() - start
    sending.refresh_from_db()
    if sending.status != DeliveryStatus.COMPLETED:
        raise RuntimeError(f"the delivery ended as {sending.status}: {sending.error_text}")
    return seconds


def _keep_bodies(sending: Delivery, folder: Path) -> None:
    """The bodies of the delivery as files, for the plain loop."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for name, body in _bodies(sending):
        (folder / name).write_bytes(body)


def _bodies(sending: Delivery) -> Iterator[tuple[str, bytes]]:
    with (
        connector_for(sending.destination.vendor_account) as connector,
        PartMaker(sending, sending.destination, connector) as maker,
    ):
        for part in sending.parts.order_by("number"):
            yield f"{part.number:08d}", maker.make(part).content


def _plain_loop(origin: str, key: dict[str, str], bodies: Path) -> float:
    login = requests.post(origin + PREFIX + LOGIN, json=key, timeout=30)
    done = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-m", loop.__name__, origin + PREFIX + BATCH, str(bodies)],
        input=login.json()["token"],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def _taken(origin: str) -> int:
    """How many members the vendor's stand-in has taken so far."""
    return int(requests.post(f"{origin}/_control{PREFIX}/taken", timeout=30).json())


def _require_taken(origin: str, wanted: int) -> None:
    if (taken := _taken(origin)) != wanted:
        raise RuntimeError(f"{taken} members were taken instead of {wanted}")
