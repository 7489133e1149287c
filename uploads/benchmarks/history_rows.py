"""The rows of `bench history`: 400 days of one company's uploads and deliveries, written as quickly as can be."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, models

from audsync_web.people.models import AuditEntry, Company, Membership, Role, User
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, DestinationStatus, Segment, SegmentStatus
from uploads.models import Delivery, DeliveryStatus, Mode, Part, PartStatus, Snapshot, Upload, UploadStatus

DAYS = 400
STARTS = datetime.now(UTC) - timedelta(days=DAYS)
ROWS_A_JOB = 100
# Entries of the audit trail that the making of the company wrote come before.
AUDIT_STARTS = 1_000_000
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
    """So many uploads with a delivery, a membership and an audit entry each, and a vendor job for every hundredth."""
    company = Company.objects.create(slug="bench", name="Bench")
    people = [_person(company, number) for number in range(PEOPLE + 1)]
    accounts = [_account(company, number) for number in range(ACCOUNTS + 1)]
    segments = [_segment(company, number) for number in range(SEGMENTS + 1)]
    destinations = [[_destination(one, other) for other in accounts[:-1]] for one in segments[:-1]]
    _write_uploads(company, rows, segments, people)
    _write_deliveries(company, rows, destinations[0][0], people)
    _write_parts(rows)
    _write_snapshots(rows, destinations[0][0])
    _write_audit(company, rows, people)
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
    template.original = "company-1/upload-1/original"
    kept = f"n >= {rows - rows // 10}"
    own = _moments(rows, UploadStatus.DELIVERING) | {
        "id": _identifier(),
        "segment_id": f"{segments[0].pk} + n % {SEGMENTS}",
        "uploaded_by_id": f"{people[0].pk} + n / {SEGMENTS} % {PEOPLE}",
        "file_name": f"CASE WHEN n = {rows // 3} THEN 'rare-list-' ELSE 'members-' END || n || '.csv'",
        "original": f"CASE WHEN {kept} THEN 'company-1/upload-1/original' ELSE '' END",
    }
    _write(template, rows, own)


def _write_deliveries(company: Company, rows: int, first: Destination, people: Sequence[User]) -> None:
    template = Delivery(company=company, destination=first, upload_id=uuid.UUID(int=0), mode=Mode.REPLACE)
    template.members = template.adds = template.sent = template.accepted = 8
    template.planned_at, template.refused = STARTS, 0
    own = _moments(rows, DeliveryStatus.QUEUED) | {
        "id": "n + 1",
        "upload_id": _identifier(),
        "destination_id": f"{first.pk} + {ACCOUNTS} * (n % {SEGMENTS}) + {_account_number()}",
        "segment_id": f"{first.segment_id} + n % {SEGMENTS}",
        "vendor_account_id": f"{first.vendor_account_id} + {_account_number()}",
        "uploaded_by_id": f"{people[0].pk} + n / {SEGMENTS} % {PEOPLE}",
        "uploaded_at": _moment("n", rows),
    }
    _write(template, rows, own)


def _account_number() -> str:
    return f"n / {SEGMENTS * PEOPLE} % {ACCOUNTS}"


def _write_parts(rows: int) -> None:
    template = Part(delivery_id=1, number=1, status=PartStatus.ACKNOWLEDGED, adds=8, lines=8, quota_scope="bench")
    job = f"n * {ROWS_A_JOB} + 1"
    _write(template, rows // ROWS_A_JOB, {"id": job, "delivery_id": job, "job_id": f"'job-' || ({job})"})


def _write_snapshots(rows: int, first: Destination) -> None:
    """What each delivery brought; the next one of its destination supersedes it."""
    template = Snapshot(destination=first, members=8)
    own = {
        "id": "n + 1",
        "delivery_id": "n + 1",
        "destination_id": f"{first.pk} + {ACCOUNTS} * (n % {SEGMENTS}) + {_account_number()}",
        "created_at": _moment("n", rows),
        "superseded_at": _moment(f"n + {SEGMENTS}", rows),
    }
    _write(template, max(0, rows - SEGMENTS), own)


def _write_audit(company: Company, rows: int, people: Sequence[User]) -> None:
    template = AuditEntry(company=company, who="somebody@bench.example", via="page", address="127.0.0.1")
    template.object_type, template.detail = "upload", {"mode": "replace", "bytes": 370}
    own = {
        "id": f"{AUDIT_STARTS} + n",
        "at": _moment("n", rows),
        "user_id": f"{people[0].pk} + n / {SEGMENTS} % {PEOPLE}",
        "action": "CASE WHEN n % 10 = 0 THEN 'upload.cancel' ELSE 'upload.accept' END",
        "object_id": _identifier("-") if connection.vendor == "sqlite" else f"{_identifier()}::text",
        "object_name": "'members-' || n || '.csv'",
    }
    _write(template, rows, own)


def _moments(rows: int, live: str) -> dict[str, str]:
    """Status and times of row `n`."""
    shares = " ".join(f"WHEN {_scattered()} % 100 < {share} THEN '{word}'" for share, word in ENDINGS)
    moment, is_live = _moment("n", rows), f"n >= {rows - LIVE}"
    return {
        "status": f"CASE WHEN {is_live} THEN '{live}' {shares} ELSE '{UploadStatus.COMPLETED}' END",
        "created_at": moment,
        "updated_at": moment,
        "finished_at": f"CASE WHEN {is_live} THEN NULL ELSE {moment} END",
    }


def _moment(number: str, rows: int) -> str:
    """The moment of a row as SQL, in whole seconds."""
    seconds = f"{int(STARTS.timestamp())} + ({number}) * {DAYS * 86_400} / {rows}"
    form = "datetime(%s, 'unixepoch')" if connection.vendor == "sqlite" else "to_timestamp(%s)"
    return form % seconds


def _scattered() -> str:
    """A number of 32 bits as SQL, another for every `n`, in no order (an odd factor can be undone)."""
    return "(n * 2654435761 % 4294967296)"


def _identifier(hyphen: str = "") -> str:
    """A UUID as SQL, another for every `n`, in no order; in SQLite a text with or without hyphens."""
    if connection.vendor == "sqlite":
        form = hyphen.join(("%08x", "0000", "0000", "0000", "%012x"))
        return f"printf('{form}', {_scattered()}, n)"
    return f"(lpad(to_hex({_scattered()}), 8, '0') || lpad(to_hex(n), 24, '0'))::uuid"


def _write(template: models.Model, rows: int, own: Mapping[str, str]) -> None:
    """So many rows that are like `template` but for its `own` columns: SQL over their number `n`, from 0."""
    fields: dict[str, Any] = {field.attname: field for field in template._meta.concrete_fields}
    if template.pk is None:
        fields = {name: field for name, field in fields.items() if name in own or not field.primary_key}
    known = {
        name: field.get_db_prep_save(getattr(template, name), connection)
        for name, field in fields.items()
        if name not in own
    }
    quote = connection.ops.quote_name
    names = ", ".join(quote(field.column) for field in fields.values())
    values = ", ".join(own[name].replace("%", "%%") if name in own else "%s" for name in fields)
    numbers = f"SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows - 1}"  # noqa: S608
    insert = (
        f"INSERT INTO {quote(template._meta.db_table)} ({names}) "  # noqa: S608  # our own names
        f"WITH RECURSIVE numbers(n) AS ({numbers}) SELECT {values} FROM numbers"
    )
    if rows > 0:
        with connection.cursor() as cursor, _without_indexes(cursor, template._meta.db_table):
            cursor.execute(insert, list(known.values()))


@contextmanager
def _without_indexes(cursor: Any, table: str) -> Iterator[None]:
    """Build a table's indexes once, after its rows: a tenth of the time of keeping them up row by row."""
    if connection.vendor == "sqlite":
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = %s AND sql > ''", [table]
        )
    else:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname NOT IN"
            " (SELECT conname FROM pg_constraint)",
            [table],
        )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f"DROP INDEX {connection.ops.quote_name(name)}")
    yield
    for _, statement in found:
        cursor.execute(statement)


def _analyse() -> None:
    """As a database that has been in use for a year would have done by itself."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
