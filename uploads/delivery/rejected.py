"""Everything of an upload that somebody did not take, row by row: the file's own check, and each destination.

The reports are read as streams. Of those whom vendors did not take, so many are gathered to be found in the file.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from audsync_web.people import audit
from audsync_web.people.actors import Actor
from audsync_web.vendors.connectors.identifiers import KINDS
from uploads import files
from uploads.engine.locating import locate
from uploads.engine.reading import CheckOptions
from uploads.engine.refusal import FileRefused
from uploads.models import Delivery, Upload
from uploads.services import check_options_of
from uploads.settling import newest_deliveries

from .reports import refused_name

COLUMNS = ("line", "vendor", "code", "reason", "what_to_do", "value")
# So many values are looked up in the file; the lines of further ones stay empty.
MOST_LOCATED = 50_000
REFUSED = "refused_by_vendor"
REFUSED_FIX = "Correct the value at its source, or leave it out."

Row = tuple[str, str, str, str, str, str]


def rejected_rows(upload: Upload) -> Iterator[Row]:
    """Rows that the file's check rejected, then those held back from or refused by each destination (`COLUMNS`).

    `vendor` is empty for the file's own rows. The line of the others is looked up in the file while it is kept; it is
    empty where the vendor was sent something else than what stands there, such as a hash. Raises nothing for reports
    that are gone: retention has deleted them, and `upload.report_gone_at` says so.
    """
    for row in _report(upload.report):
        yield row["line"], "", row["code"], row["reason"], row["what_to_do"], row["value"]
    deliveries = newest_deliveries(upload)
    lines = _lines_in_file(upload, deliveries)
    for delivery in deliveries:
        for _, name, code, reason, fix, value in _of_delivery(delivery):
            yield str(lines.get(value, "")), name, code, reason, fix, value


def _lines_in_file(upload: Upload, deliveries: Sequence[Delivery]) -> Mapping[str, int]:
    """The first line of each value that was held back or refused, in one pass over the file."""
    values = (row[-1] for delivery in deliveries for row in _of_delivery(delivery))
    wanted = frozenset(itertools.islice(values, MOST_LOCATED))
    if not wanted or not files.exists(upload.original):
        return {}
    options = CheckOptions(**check_options_of(upload.check_options))
    try:
        with files.local_file(upload.original) as path, path.open("rb") as source:
            return locate(source, options, KINDS[upload.kind].rule, wanted)
    except FileRefused:
        return {}  # a file that is read in another way than it was taken tells no lines


def _of_delivery(delivery: Delivery) -> Iterator[Row]:
    name = delivery.destination.vendor_account.name
    for row in _report(delivery.held_report):
        yield "", name, row["code"], row["reason"], row["what_to_do"], row["value"]
    if not delivery.refused:
        return
    for number in delivery.parts.filter(refused__gt=0).order_by("number").values_list("number", flat=True):
        for value, reason in _lines(refused_name(delivery, number)):
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
