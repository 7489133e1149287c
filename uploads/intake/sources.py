"""Audiences that live at a vendor: browsed page by page, and pulled over to become an upload of one of our segments.

A pull freezes the segmentation where the account allows it (an export, else a materialisation), reads it page by page,
stores every page as a file of its own and moves its cursor after it, and makes the upload of them at the end. A worker
that dies costs one page. A frozen copy lives two hours: one that ends too early is made anew, once.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import cast

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.jobs.leases import Lease
from audsync_web.jobs.models import cleared_error
from audsync_web.people import audit
from audsync_web.people.actors import Actor, Via
from audsync_web.people.models import Role
from audsync_web.vendors.asking import asking
from audsync_web.vendors.connectors.errors import ConnectorError, NotSupported, Permanent, UnknownOutcome
from audsync_web.vendors.connectors.identifiers import KINDS, UUID
from audsync_web.vendors.connectors.source import (
    ExportTask,
    Materialisation,
    SnapshotExpired,
    SourceConnector,
    SourcePage,
)
from audsync_web.vendors.faults import attention_fields, due_in, error_fields, judge
from audsync_web.vendors.models import VendorAccount
from audsync_web.vendors.runtime import connector_for
from audsync_web.vendors.services import account_needs_attention
from segments.models import Destination, Segment
from uploads import files
from uploads.engine.refusal import FileRefused
from uploads.models import Mode, PullStatus, PullWay, SourcePull
from uploads.rules import destinations_for_upload, require_taker, takes
from uploads.services import UploadConflict, UploadWish, require_uploadable, upload_accept_unchecked, upload_folder

SLICE_SECONDS = 8.0
PAGE_ROWS = 10_000
MOST_RESTARTS = 1
# In `memory`: the last page lies safe, so that what keeps it from becoming an upload needs no vendor any more.
READ_WHOLE = "read whole"
# Fields of profiles that can be read as identifiers.
IDENTIFIERS = ("custom_id", "email", "phone", "uuid")


def source_page(account: VendorAccount, segmentation: str, *, limit: int = 100, offset: int = 0) -> SourcePage:
    """A page of a segmentation as it is now. Asks the vendor; raises the connector's errors."""
    _require_source(account)
    with asking(account) as connector:
        return cast("SourceConnector", connector).segmentation_page(segmentation, limit=limit, offset=offset)


def _require_source(account: VendorAccount) -> None:
    if not account.connector.capabilities.sources:
        raise NotSupported(f"{account.connector.label} has no segmentations that could be read.")


def ways_of(account: VendorAccount) -> list[PullWay]:
    """How the account's segmentations can be read; freezing first where its calls may be used."""
    frozen = [] if _freezing_needs(account) else [PullWay.EXPORT, PullWay.MATERIALISE]
    return [*frozen, PullWay.PAGES]


def _freezing_needs(account: VendorAccount) -> str:
    return cast("type[SourceConnector]", account.connector).freezing_needs(account.settings)


def pull_begin(
    *,
    actor: Actor,
    account: VendorAccount,
    segmentation: str,
    segment: Segment,
    mode: Mode = Mode.REPLACE,
    identifier: str = "",
    way: PullWay | None = None,
    hold: bool = False,
) -> SourcePull:
    """Start to bring a segmentation to a segment. Managers only.

    Without `identifier` the account's own kind is read. Values that not every destination takes as that kind, but that
    are plain ids, are passed byte for byte. Raises `ValidationError`, `UploadConflict`, or `FileRefused` when no
    destination can take them.
    """
    actor.require_manager()
    _require_source(account)
    require_uploadable(segment)
    field = identifier or str(account.settings.get("identifier", ""))
    way = way or ways_of(account)[0]
    _refuse_faults(account, segmentation, field, way)
    destinations = destinations_for_upload(segment)
    kind = _kind_of_file(field, destinations)
    require_taker(destinations, kind)
    with transaction.atomic():
        pull = SourcePull.objects.create(
            company=actor.company,
            vendor_account=account,
            segment=segment,
            asked_by=actor.user,
            via=actor.via,
            segmentation=segmentation.strip().lower(),
            identifier=field,
            kind=kind,
            mode=mode,
            hold=hold,
            way=way,
            lane=account.lane,
            next_action_at=timezone.now(),
        )
        detail = {"segment": segment.name, "segmentation": pull.segmentation, "mode": mode, "identifier": field}
        audit.record(actor, "source.pull", account, **detail)
        wake("uploads.source", pull.pk)
    return pull


def _refuse_faults(account: VendorAccount, segmentation: str, field: str, way: PullWay) -> None:
    faults = {}
    if not UUID.accepts(segmentation.strip()):
        faults["segmentation"] = "is not a segmentation's UUID"
    if field not in IDENTIFIERS:
        faults["identifier"] = f"must be one of {', '.join(IDENTIFIERS)}"
    if way not in ways_of(account):
        faults["way"] = _freezing_needs(account)
    if faults:
        raise ValidationError(faults)


def _kind_of_file(field: str, destinations: list[Destination]) -> str:
    """What the upload's column says. Plain ids that some destination knows by another name pass as they are."""
    plain = field in {"custom_id", "uuid"}
    return "provider_id" if plain and not all(takes(row, field) for row in destinations) else field


def pull_cancel(*, actor: Actor, pull: SourcePull) -> SourcePull:
    """Stop a pull; what was read of it is deleted. Raises `UploadConflict` when it has ended."""
    actor.require_manager()
    now = timezone.now()
    with transaction.atomic():
        rows = SourcePull.objects.filter(pk=pull.pk, finished_at__isnull=True)
        if not rows.update(cancel_requested_at=now, next_action_at=now):
            raise UploadConflict("This pull has ended; there is nothing left to stop.")
        audit.record(actor, "source.cancel", pull)
        wake("uploads.source", pull.pk)
    pull.refresh_from_db()
    return pull


# --- the job ---------------------------------------------------------------------------------------------------------


def advance(lease: Lease) -> None:
    """One slice of a pull."""
    pull = SourcePull.objects.select_related("vendor_account", "segment__company", "company", "asked_by").get(
        pk=lease.pk
    )
    if pull.has_ended:
        lease.update(next_action_at=None)
        return
    if pull.cancel_requested_at:
        _end(lease, pull, PullStatus.CANCELLED, "Stopped by a person.")
        return
    try:
        with connector_for(pull.vendor_account) as connector:
            _read(lease, pull, connector)
    except SnapshotExpired as gone:
        _begin_again(lease, pull, gone)
    except ConnectorError as error:
        _apply_fault(lease, pull, error)
    except files.StorageFull as full:
        lease.update(details=full.text, **due_in(60.0))
    except (UploadConflict, FileRefused) as refusal:
        _end(lease, pull, PullStatus.FAILED, str(refusal))


def _read(lease: Lease, pull: SourcePull, connector: SourceConnector) -> None:
    lease.update(status=PullStatus.RUNNING, started_at=pull.started_at or timezone.now())
    if not pull.memory and pull.way != PullWay.PAGES:
        _freeze(lease, pull, connector)
    deadline = time.monotonic() + SLICE_SECONDS
    while time.monotonic() < deadline:
        if not pull.memory.get(READ_WHOLE):
            _store(lease, pull, _page(pull, connector))
        if pull.memory.get(READ_WHOLE):
            _finish(lease, pull)
            return
        if SourcePull.objects.filter(pk=pull.pk, cancel_requested_at__isnull=False).exists():
            break
    lease.update(next_action_at=timezone.now())


def _freeze(lease: Lease, pull: SourcePull, connector: SourceConnector) -> None:
    """Make the frozen copy. One whose answer was lost is left to end by itself: nothing depends on it."""
    lease.update(intent={"step": pull.way})
    if pull.way == PullWay.EXPORT:
        task = connector.start_export(pull.segmentation, [pull.identifier], name=f"AudSync {pull.pk}")
        memory = {"id": task.task_id, "columns": list(task.columns), "ends_at": task.ends_at.isoformat()}
        expected = task.estimated
    else:
        made = connector.materialise(pull.segmentation)
        memory = {"id": made.materialisation_id, "ends_at": made.ends_at.isoformat()}
        expected = made.count
    pull.memory, pull.expected = memory, expected
    lease.update(memory=memory, expected=expected, intent=None)


def _page(pull: SourcePull, connector: SourceConnector) -> SourcePage:
    """The page at the cursor."""
    if pull.way == PullWay.PAGES:
        return connector.segmentation_page(pull.segmentation, limit=PAGE_ROWS, offset=pull.offset)
    ends_at = datetime.fromisoformat(pull.memory["ends_at"])
    if pull.way == PullWay.MATERIALISE:
        frozen = Materialisation(pull.memory["id"], pull.expected, ends_at)
        return connector.read_materialisation(frozen, offset=pull.offset)
    task = ExportTask(pull.memory["id"], pull.memory["columns"], pull.expected, ends_at)
    return connector.read_export(task, limit=PAGE_ROWS, offset=pull.offset)


def _store(lease: Lease, pull: SourcePull, page: SourcePage) -> None:
    """Keep a page, then move the cursor behind it: a page found without its cursor is written again."""
    values = [value for row in page.profiles if (value := row.identifiers.get(pull.identifier, ""))]
    lease.check()
    if values:
        _write_chunk(pull, pull.chunks + 1, values)
        pull.chunks += 1
    pull.offset += len(page.profiles)
    pull.rows += len(values)
    pull.missing += len(page.profiles) - len(values)
    pull.expected = page.matching if page.matching is not None else pull.expected
    pull.memory = pull.memory | {READ_WHOLE: True} if page.last else pull.memory
    names = ("chunks", "offset", "rows", "missing", "expected", "memory")
    lease.update(**{name: getattr(pull, name) for name in names}, details="", **cleared_error())


def _write_chunk(pull: SourcePull, number: int, values: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([value] for value in values)
    name = _chunk(pull, number)
    if not files.is_local():
        files.delete(name)
    with files.new_file(name) as path:
        path.touch(mode=0o600)
        path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _chunk(pull: SourcePull, number: int) -> str:
    return f"company-{pull.company_id}/pull-{pull.pk}/page-{number:07d}"


def _finish(lease: Lease, pull: SourcePull) -> None:
    """Put the pages together as a file of one column, and let it go on as an upload."""
    if not pull.rows:
        label = KINDS[pull.identifier].label
        _end(lease, pull, PullStatus.FAILED, f"Nobody in this segmentation has an identifier of the kind “{label}”.")
        return
    require_uploadable(pull.segment)
    original = f"{upload_folder(pull.company_id, pull.upload_key)}/original"
    size = _join(pull, original)
    now = timezone.now()
    # A pull that was taken over meanwhile may have become the upload already, and the file is that one's.
    lease.update(details="")
    with _dropped_without_room(original), transaction.atomic():
        upload = upload_accept_unchecked(
            actor=_actor_of(pull),
            segment=pull.segment,
            upload_id=pull.upload_key,
            original=original,
            size=size,
            wish=UploadWish(
                mode=Mode(pull.mode),
                hold=pull.hold,
                file_name=f"{pull.vendor_account.connector.short_label} segmentation {pull.segmentation[:8]}",
                origin={"source": {"pull": str(pull.pk), "account": pull.vendor_account_id}},
            ),
        )
        lease.update(status=PullStatus.COMPLETED, upload=upload, finished_at=now, next_action_at=None, details="")
    _drop_chunks(pull)


@contextmanager
def _dropped_without_room(original: str) -> Iterator[None]:
    try:
        yield
    except files.StorageFull:
        files.delete(original)
        raise


def _join(pull: SourcePull, original: str) -> int:
    if not files.is_local():
        files.delete(original)
    size = 0
    with files.new_file(original) as path:
        path.touch(mode=0o600)
        with path.open("wb") as out:
            size += out.write(f"{pull.kind}\n".encode())
            for block in _chunk_blocks(pull):
                size += out.write(block)
    return size


def chunk_names(pull: SourcePull) -> list[str]:
    """The stored files that hold what was read so far."""
    return [_chunk(pull, number) for number in range(1, pull.chunks + 1)]


def _chunk_blocks(pull: SourcePull) -> Iterator[bytes]:
    for name in chunk_names(pull):
        with files.local_file(name) as path:
            yield path.read_bytes()


def _drop_chunks(pull: SourcePull) -> None:
    # One more than is known: a page that was written and not noted.
    for number in range(1, pull.chunks + 2):
        files.delete(_chunk(pull, number))


def _actor_of(pull: SourcePull) -> Actor:
    # Whoever asked was a manager when they did; the pull acts for them.
    return Actor(company=pull.company, role=Role.MANAGER, user=pull.asked_by, via=cast("Via", pull.via))


def _begin_again(lease: Lease, pull: SourcePull, gone: SnapshotExpired) -> None:
    if pull.restarts >= MOST_RESTARTS:
        _end(lease, pull, PullStatus.FAILED, "The frozen copy at the vendor ended twice before it was read to its end.")
        return
    _drop_chunks(pull)
    lease.update(
        memory={},
        offset=0,
        chunks=0,
        rows=0,
        missing=0,
        restarts=pull.restarts + 1,
        details=f"{gone.text} Reading starts again, once.",
        next_action_at=timezone.now(),
    )


def _apply_fault(lease: Lease, pull: SourcePull, error: ConnectorError) -> None:
    """What a vendor's error means for the pull: every call may be made again, so only refusals stop it."""
    if isinstance(error, Permanent) and error.code == "endpoint_unconfirmed" and not pull.memory:
        lease.update(way=PullWay.PAGES, details=f"{error.text} It is read page by page instead.", **due_in(0.0))
        return
    verdict = judge(error, pull.attempts)
    told = error_fields(error)
    if verdict.move == "later":
        lease.update(**due_in(verdict.seconds), details=error.text)
    elif verdict.move == "retry" or isinstance(error, UnknownOutcome):
        lease.update(attempts=pull.attempts + 1, **due_in(max(verdict.seconds, 2.0)), **told)
    elif verdict.move in {"account", "attention"}:
        if verdict.move == "account":
            account_needs_attention(pull.vendor_account, error)
        seconds = verdict.seconds if verdict.move == "attention" else 0.0
        fields = {"status": PullStatus.NEEDS_ATTENTION, "attempts": pull.attempts + 1}
        lease.update(**fields, **due_in(seconds), **told, **attention_fields(pull))
    else:
        lease.update(**told)
        _end(lease, pull, PullStatus.FAILED, error.text)


def _end(lease: Lease, pull: SourcePull, status: PullStatus, details: str) -> None:
    _drop_chunks(pull)
    lease.update(status=status, details=details, finished_at=timezone.now(), next_action_at=None, intent=None)


def crashed(lease: Lease, reference: str) -> None:
    """A fault of ours: the pull fails and shows the reference; nothing was sent anywhere."""
    pull = SourcePull.objects.get(pk=lease.pk)
    lease.update(error_code="internal_error")
    text = f"Stopped because of a fault in AudSync (reference {reference}). Nothing was sent."
    _end(lease, pull, PullStatus.FAILED, text)
