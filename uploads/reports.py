"""The private files that hold what was not taken at a delivery's vendor: their names, and the vendor's own to download.

A vendor's error file is given on byte for byte: nobody promises what it looks like.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Q

from audsync_web.people import audit
from audsync_web.people.actors import Actor

from . import files
from .models import Delivery, PartStatus
from .planning import delivery_folder

BLOCK_BYTES = 1024 * 1024

_MAY_HAVE_REPORTS = Q(refused__gt=0) | Q(status=PartStatus.FAILED) | Q(resends__gt=0)


def refused_name(delivery: Delivery, number: int) -> str:
    """Where the identifiers lie that a vendor named as refused in a part."""
    return f"{delivery_folder(delivery)}/refused-{number}.csv.gz"


def vendor_report_name(delivery: Delivery, number: int) -> str:
    """Where a vendor's own error file for a part lies."""
    return f"{delivery_folder(delivery)}/vendor-report-{number}"


def report_names(delivery: Delivery) -> list[str]:
    """Every report that a delivery may have, those of single parts included; some of them may not exist."""
    of_parts = [
        name
        for number in _part_numbers(delivery)
        for name in (refused_name(delivery, number), vendor_report_name(delivery, number))
    ]
    return [delivery.held_report, delivery.vendor_report, *of_parts]


def vendor_report_blocks(delivery: Delivery) -> Iterator[bytes]:
    """The vendor's error files of a delivery, one after the other in the order of its parts, as they came."""
    for number in _part_numbers(delivery):
        name = vendor_report_name(delivery, number)
        if not files.exists(name):
            continue
        with files.local_file(name) as path, path.open("rb") as source:
            while block := source.read(BLOCK_BYTES):
                yield block


def _part_numbers(delivery: Delivery) -> list[int]:
    parts = delivery.parts.filter(_MAY_HAVE_REPORTS).order_by("number")
    return list(parts.values_list("number", flat=True))


def vendor_report_audit(*, actor: Actor, delivery: Delivery) -> None:
    """Write down who took a vendor's error file with them: it may hold identifiers of people."""
    upload = delivery.upload
    audit.record(actor, "upload.vendor_report_download", upload, name=str(upload), delivery=delivery.pk)
