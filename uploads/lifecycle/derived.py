"""Uploads that no file brought: AudSync's own deliveries, made from an acknowledged membership."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.people import audit
from audsync_web.people.actors import Actor
from segments.models import Destination
from uploads.models import Delivery, Mode, Snapshot, Upload, UploadStatus


class NothingToSend(Exception):
    """The destination has no acknowledged members that could be sent."""


def new_upload(
    *, actor: Actor, destination: Destination, mode: Mode, name: str, members: int, origin: dict[str, Any]
) -> Upload:
    """An upload of the kind that a destination takes, not stored yet; nothing of it is left to inspect.

    `origin` says what it is for; the upload stands in the history like any other.
    """
    now = timezone.now()
    return Upload(
        company=actor.company,
        segment=destination.segment,
        uploaded_by=actor.user,
        via=actor.via,
        origin=origin,
        file_name=name[:255],
        status=UploadStatus.DELIVERING,
        mode=mode,
        kind=destination.identifier,
        checked=True,
        records=members,
        members=members,
        duplicates=0,
        lane="inspection",
        accepted_at=now,
        started_at=now,
    )


def begin_delivery(upload: Upload, destination: Destination, source: Snapshot | None = None) -> None:
    """Let an upload of ours go to a destination at once."""
    made = Delivery.objects.create(
        company=upload.company,
        upload=upload,
        destination=destination,
        source_snapshot=source,
        mode=upload.mode,
        lane=destination.vendor_account.lane,
        next_action_at=timezone.now(),
    )
    wake("uploads.delivery", made.pk)


def upload_from_snapshot(
    *,
    actor: Actor,
    snapshot: Snapshot,
    destinations: list[Destination],
    mode: Mode,
    name: str,
    **origin: Any,
) -> Upload:
    """Deliver the members of an acknowledged snapshot to some destinations of the same segment.

    `origin` is `emptying`, `refresh_all` or `undo`.
    """
    perhaps = snapshot.uncertain if "emptying" in origin else 0
    if not snapshot.file or not snapshot.members + perhaps:
        raise NothingToSend("Nobody is in this segment there, so there is nothing to send.")
    upload = new_upload(
        actor=actor,
        destination=snapshot.destination,
        mode=mode,
        name=name,
        members=snapshot.members,
        origin={"snapshot": snapshot.pk, **origin},
    )
    with transaction.atomic():
        upload.save(force_insert=True)
        for destination in destinations:
            begin_delivery(upload, destination, snapshot)
        audit.record(actor, "upload.derive", upload, name=name, mode=mode)
    return upload
