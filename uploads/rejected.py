"""Everything of an upload that somebody did not take, row by row: the file's own check, and each destination.

The reports are read as streams; nothing of them is gathered.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

from audsync_web.people import audit
from audsync_web.people.actors import Actor

from . import files
from .models import Delivery, Upload
from .planning import delivery_folder
from .settling import newest_deliveries

COLUMNS = ("line", "vendor", "code", "reason", "what_to_do", "value")
REFUSED = "refused_by_vendor"
REFUSED_FIX = "Correct the value at its source, or leave it out."

Row = tuple[str, str, str, str, str, str]


def rejected_rows(upload: Upload) -> Iterator[Row]:
    """Rows that the file's check rejected, then those held back from or refused by each destination (`COLUMNS`).

    The line is known for the file's own rows only; `vendor` is empty for them. Raises nothing for reports that are
    gone: retention has deleted them, and `upload.report_gone_at` says so.
    """
    for row in _report(upload.report):
        yield row["line"], "", row["code"], row["reason"], row["what_to_do"], row["value"]
    for delivery in newest_deliveries(upload):
        yield from _of_delivery(delivery)


def _of_delivery(delivery: Delivery) -> Iterator[Row]:
    name = delivery.destination.vendor_account.name
    for row in _report(delivery.held_report):
        yield "", name, row["code"], row["reason"], row["what_to_do"], row["value"]
    if not delivery.refused:
        return
    for number in delivery.parts.filter(refused__gt=0).order_by("number").values_list("number", flat=True):
        for value, reason in _lines(f"{delivery_folder(delivery)}/refused-{number}.csv.gz"):
            yield "", name, REFUSED, reason, REFUSED_FIX, value


def _report(name: str) -> Iterator[dict[str, str]]:
    if not files.exists(name):
        return
    with files.local_file(name) as path, _text(path) as stream:
        yield from csv.DictReader(stream)


def _lines(name: str) -> Iterator[list[str]]:
    if not files.exists(name):
        return
    with files.local_file(name) as path, _text(path) as stream:
        yield from csv.reader(stream)


def _text(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8", newline="")


def rejections_audit(*, actor: Actor, upload: Upload) -> None:
    """Write down who took rejected rows with them: they hold identifiers of people."""
    audit.record(actor, "upload.rejections_download", upload, name=str(upload), rejected=upload.rejected)
