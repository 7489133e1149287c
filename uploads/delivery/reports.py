"""The private files that hold what was not taken at a delivery's vendor: their names, and the vendor's own to download.

A vendor's error file is given on byte for byte: nobody promises what it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from audsync_web.people import audit
from audsync_web.people.actors import Actor
from uploads import files
from uploads.models import Delivery

from .planning import delivery_folder

BLOCK_BYTES = 1024 * 1024

_REFUSED = re.compile(r"refused-(\d+)\.csv\.gz")
_VENDORS_OWN = re.compile(r"vendor-report-(\d+)")


def refused_name(delivery: Delivery, number: int) -> str:
    """Where the identifiers lie that a vendor named as refused in a part."""
    return f"{delivery_folder(delivery)}/refused-{number}.csv.gz"


def vendor_report_name(delivery: Delivery, number: int) -> str:
    """Where a vendor's own error file for a part lies."""
    return f"{delivery_folder(delivery)}/vendor-report-{number}"


def report_names(delivery: Delivery) -> list[str]:
    """Every report that a delivery has, those of single parts included, however these have ended."""
    own = [delivery.held_report] if delivery.held_report else []
    return own + _reports_of_parts(delivery, _REFUSED) + _reports_of_parts(delivery, _VENDORS_OWN)


def vendor_report_blocks(delivery: Delivery) -> Iterator[bytes]:
    """The vendor's error files of a delivery, one after the other in the order of its parts, as they came."""
    for name in _reports_of_parts(delivery, _VENDORS_OWN):
        with files.local_file(name) as path, path.open("rb") as source:
            while block := source.read(BLOCK_BYTES):
                yield block


def _reports_of_parts(delivery: Delivery, kind: re.Pattern[str]) -> list[str]:
    """The reports of a kind that lie in the delivery's folder, in the order of their parts."""
    folder = delivery_folder(delivery)
    found = [match for name in files.names_in(folder) if (match := kind.fullmatch(name))]
    return [f"{folder}/{match[0]}" for match in sorted(found, key=lambda match: int(match[1]))]


def vendor_report_audit(*, actor: Actor, delivery: Delivery) -> None:
    """Write down who took a vendor's error file with them: it may hold identifiers of people."""
    upload = delivery.upload
    audit.record(actor, "upload.vendor_report_download", upload, name=str(upload), delivery=delivery.pk)
