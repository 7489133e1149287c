"""The rows of `bench history`: 400 days of one company's uploads and deliveries, written as quickly as can be."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, models, transaction

from audsync_web.people.models import Company, Membership, Role, User
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, DestinationStatus, Segment, SegmentStatus

from .models import UPLOAD_ENDED, Delivery, Mode, Part, PartStatus, Upload, UploadStatus

DAYS = 400
STARTS = datetime.now(UTC) - timedelta(days=DAYS)
ROWS_AT_ONCE = 5_000
ROWS_A_JOB = 100
SEGMENTS, ACCOUNTS, PEOPLE = 200, 4, 10
VENDORS = ("anonymised", "mediarithmics", "synerise", "xandr")
# Of a hundred; the rest is completed. What has not ended are the newest few.
ENDINGS = ((3, "failed"), (5, "partial"), (6, "cancelled"))
LIVE = 20


@dataclass(frozen=True)
class History:
    """Whose history it is, and by what it can be filtered."""

    company: Company
    people: list[User]
    idle_person: User
    accounts: list[VendorAccount]
    empty_account: VendorAccount
    segments: list[Segment]
    empty_segment: Segment


def make_history(rows: int) -> History:
    """So many uploads with a delivery each, and a vendor job for every hundredth."""
    company = Company.objects.create(slug="bench", name="Bench")
    people = [_person(company, number) for number in range(PEOPLE + 1)]
    accounts = [_account(company, number) for number in range(ACCOUNTS + 1)]
    segments = [_segment(company, number) for number in range(SEGMENTS + 1)]
    destinations = [[_destination(one, other) for other in accounts[:-1]] for one in segments[:-1]]
    _write_uploads(company, rows, segments, people)
    _write_deliveries(company, rows, destinations)
    _write_parts(rows)
    _analyse()
    return History(company, people[:-1], people[-1], accounts[:-1], accounts[-1], segments[:-1], segments[-1])


def _person(company: Company, number: int) -> User:
    user: User = User.objects.create_user(email=f"person-{number}@bench.example", password=None, name=f"P {number}")
    Membership.objects.create(user=user, company=company, role=Role.ADMIN)
    return user


def _account(company: Company, number: int) -> VendorAccount:
    vendor = VENDORS[number % len(VENDORS)]
    sealed: Any = {"password": "opens-nothing"}
    account: VendorAccount = VendorAccount.objects.create(
        company=company,
        vendor=vendor,
        name=f"account {number}",
        base_url="http://127.0.0.1:9",
        credentials=sealed,
        quota_scope=f"{vendor}:bench",
    )
    return account


def _segment(company: Company, number: int) -> Segment:
    segment: Segment = Segment.objects.create(
        company=company, name=f"Segment {number}", duration_days=30, status=SegmentStatus.PUBLISHED
    )
    return segment


def _destination(segment: Segment, account: VendorAccount) -> Destination:
    destination: Destination = Destination.objects.create(
        segment=segment,
        vendor_account=account,
        identifier="provider_id",
        status=DestinationStatus.PUBLISHED,
        remote_id=f"remote-{segment.pk}-{account.pk}",
        published_at=STARTS,
    )
    return destination


# --- many rows --------------------------------------------------------------------------------------------------------


def _write_uploads(company: Company, rows: int, segments: Sequence[Segment], people: Sequence[User]) -> None:
    template = Upload(company=company, segment=segments[0], mode=Mode.REPLACE, kind="provider_id", records=10)
    template.members, template.duplicates, template.rejected, template.bytes = 8, 1, 1, 370
    _write(template, (_upload(number, rows, segments, people) for number in range(rows)))


def _upload(number: int, rows: int, segments: Sequence[Segment], people: Sequence[User]) -> dict[str, Any]:
    status, moment = _status(number, rows), _moment(number, rows)
    ended = status in UPLOAD_ENDED
    return {
        "id": uuid.UUID(int=_scattered(number)),
        "segment_id": segments[_spread(number, SEGMENTS)].pk,
        "uploaded_by_id": people[_spread(number // SEGMENTS, PEOPLE)].pk,
        "file_name": f"rare-list-{number}.csv" if number == rows // 3 else f"members-{number}.csv",
        "status": status,
        "created_at": moment,
        "updated_at": moment,
        "finished_at": moment if ended else None,
    }


def _write_deliveries(company: Company, rows: int, destinations: Sequence[Sequence[Destination]]) -> None:
    template = Delivery(company=company, destination=destinations[0][0], upload_id=uuid.UUID(int=0), mode=Mode.REPLACE)
    template.members = template.adds = template.sent = template.accepted = 8
    template.planned_at, template.refused = STARTS, 0
    _write(template, (_delivery(number, rows, destinations) for number in range(rows)))


def _delivery(number: int, rows: int, destinations: Sequence[Sequence[Destination]]) -> dict[str, Any]:
    status, moment = _status(number, rows), _moment(number, rows)
    ended = status in UPLOAD_ENDED
    there = destinations[_spread(number, SEGMENTS)]
    return {
        "id": number + 1,
        "upload_id": uuid.UUID(int=_scattered(number)),
        "destination_id": there[_spread(number // (SEGMENTS * PEOPLE), ACCOUNTS)].pk,
        "status": status if ended else "queued",
        "created_at": moment,
        "updated_at": moment,
        "finished_at": moment if ended else None,
    }


def _write_parts(rows: int) -> None:
    template = Part(delivery_id=1, number=1, status=PartStatus.ACKNOWLEDGED, adds=8, lines=8, quota_scope="bench")
    jobs = range(0, rows, ROWS_A_JOB)
    _write(template, ({"id": n + 1, "delivery_id": n + 1, "job_id": f"job-{n + 1}"} for n in jobs))


def _status(number: int, rows: int) -> str:
    if number >= rows - LIVE:
        return UploadStatus.DELIVERING.value
    place = _scattered(number) % 100
    return next((word for share, word in ENDINGS if place < share), UploadStatus.COMPLETED.value)


def _moment(number: int, rows: int) -> datetime:
    return STARTS + timedelta(days=DAYS) * (number / rows)


def _spread(number: int, count: int) -> int:
    """A place of `count`, every one as often as the others."""
    return number % count


def _scattered(number: int) -> int:
    """A number of 128 bits, another for every one, in no order (an odd factor can be undone)."""
    return number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)


def _write(template: models.Model, rows: Iterator[Mapping[str, Any]]) -> None:
    """Rows that are like `template` but for the given columns, in blocks, past the making of a model for each."""
    by_name: dict[str, Any] = {field.attname: field for field in template._meta.concrete_fields}
    known = {name: field.get_db_prep_save(getattr(template, name), connection) for name, field in by_name.items()}
    quote = connection.ops.quote_name
    names = ", ".join(quote(field.column) for field in by_name.values())
    marks = ", ".join(["%s"] * len(by_name))
    insert = f"INSERT INTO {quote(template._meta.db_table)} ({names}) VALUES ({marks})"  # noqa: S608  # our own names
    with transaction.atomic(), connection.cursor() as cursor:
        while block := list(itertools.islice(rows, ROWS_AT_ONCE)):
            cursor.executemany(insert, [_values(known, by_name, row) for row in block])


def _values(known: Mapping[str, Any], columns: Mapping[str, Any], row: Mapping[str, Any]) -> list[Any]:
    own = {name: columns[name].get_db_prep_save(value, connection) for name, value in row.items()}
    return list({**known, **own}.values())


def _analyse() -> None:
    """As a database that has been in use for a year would have done by itself."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
