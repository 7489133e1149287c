"""Uploads that no file brought: AudSync's own deliveries, made from an acknowledged membership."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.people import audit
from audsync_web.people.actors import Actor
from segments.models import Destination

from .models import Delivery, Mode, Snapshot, Upload, UploadStatus


class NothingToSend(Exception):
    """The destination has no acknowledged members that could be sent."""


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

    `origin` says what it is for (`emptying`, `refresh_all`, `undo`); the upload stands in the history like any other.
    """
    perhaps = snapshot.uncertain if "emptying" in origin else 0
    if not snapshot.file or not snapshot.members + perhaps:
        raise NothingToSend("Nobody is in this segment there, so there is nothing to send.")
    now = timezone.now()
    with transaction.atomic():
        upload = Upload.objects.create(
            company=actor.company,
            segment=snapshot.destination.segment,
            uploaded_by=actor.user,
            via=actor.via,
            origin={"snapshot": snapshot.pk, **origin},
            file_name=name[:255],
            status=UploadStatus.DELIVERING,
            mode=mode,
            kind=snapshot.destination.identifier,
            checked=True,
            records=snapshot.members,
            members=snapshot.members,
            duplicates=0,
            lane="inspection",
            accepted_at=now,
            started_at=now,
        )
        for destination in destinations:
            made = Delivery.objects.create(
                company=actor.company,
                upload=upload,
                destination=destination,
                source_snapshot=snapshot,
                mode=mode,
                lane=destination.vendor_account.lane,
                next_action_at=now,
            )
            wake("uploads.delivery", made.pk)
        audit.record(actor, "upload.derive", upload, name=name, mode=mode)
    return upload
