"""Segments and uploads, and how they move with the clock (spec sections 4, 6 and 7)."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from tempfile import SpooledTemporaryFile
from typing import Any

from .csvbody import members


class Phase(StrEnum):
    """Where an upload stands; the words of the wire are in `WORDS`."""

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"
    DELETION = "deletion"
    DELETED = "deleted"
    DELETION_FAILED = "deletion_failed"


WORDS = {
    "short": {Phase.SUCCESS: "completed", Phase.FAILURE: "failed"},
    "long": {Phase.SUCCESS: "processed", Phase.FAILURE: "processing_failed"},
}


@dataclass(frozen=True)
class Fate:
    """What will become of an upload, fixed when it arrives; times in seconds."""

    pending: float = 1.0
    processing: float = 2.0
    deletion: float = 2.0
    activation: float = 0.0
    fails_with: str = ""
    removed_unprocessed: bool = False
    stuck: bool = False
    vocabulary: str = "short"
    odd_word: str = ""
    """Shown instead of `processing`."""


@dataclass
class Upload:
    """One membership upload."""

    number: int
    id: str
    segment_id: int
    size: int
    records: int
    md5: str
    created_at: datetime
    fate: Fate
    content: SpooledTemporaryFile[bytes] | None
    phase: Phase = Phase.PENDING
    since: datetime = field(init=False)
    ends_as: Phase = Phase.DELETED
    """How a deletion of it ends."""

    def __post_init__(self) -> None:
        self.since = self.created_at

    @property
    def running(self) -> bool:
        """Whether the vendor is not done with it."""
        return self.phase in {Phase.PENDING, Phase.PROCESSING}

    def next_move(self) -> tuple[datetime, Phase] | None:
        """When it moves on, and to what; None when it does not by itself."""
        if self.phase is Phase.PENDING:
            to = Phase.DELETION if self.fate.removed_unprocessed else Phase.PROCESSING
            return self.since + timedelta(seconds=self.fate.pending), to
        if self.phase is Phase.PROCESSING and not self.fate.stuck:
            to = Phase.FAILURE if self.fate.fails_with else Phase.SUCCESS
            return self.since + timedelta(seconds=self.fate.processing), to
        if self.phase is Phase.DELETION:
            return self.since + timedelta(seconds=self.fate.deletion), self.ends_as
        return None

    def word(self) -> str:
        """Its status on the wire."""
        if self.phase is Phase.PROCESSING and self.fate.odd_word:
            return self.fate.odd_word
        vocabulary = self.fate.vocabulary
        if vocabulary == "mixed":
            vocabulary = "long" if self.number % 2 else "short"
        return WORDS[vocabulary].get(self.phase, self.phase.value)

    def shown(self, *, details: bool, md5: bool = True) -> dict[str, Any]:
        """The upload object; `details` only where one upload is asked for."""
        failed = self.phase in {Phase.FAILURE, Phase.DELETION_FAILED}
        reason = self.fate.fails_with if self.phase is Phase.FAILURE else "the data could not be removed"
        return {
            "id": self.id,
            "segmentId": self.segment_id,
            "status": self.word(),
            "uploadedBytes": self.size,
            "recordsCount": self.records,
            **({"fileMD5": self.md5} if md5 else {}),
            **({"details": reason if failed else None} if details else {}),
            "createdAt": seconds(self.created_at),
            "updatedAt": seconds(self.since),
        }

    def forget_content(self) -> None:
        """Let the member list go."""
        if self.content is not None:
            self.content.close()
            self.content = None


@dataclass
class Segment:
    """One segment with its uploads, oldest first."""

    id: int
    company_id: int
    name: str
    days: int
    created_at: datetime
    published_at: datetime | None = None
    uploads: dict[str, Upload] = field(default_factory=dict)
    active: Upload | None = None
    active_since: datetime | None = None
    staged: Upload | None = None
    publish_answer_lost: bool = False
    upload_answer_lost: bool = False

    def shown(self, *, fresh: bool) -> dict[str, Any]:
        """The segment object after create (`fresh`) or after publish."""
        status = "published" if self.published_at else "created"
        return {
            "id": self.id,
            **({"activatedAt": micros(self.published_at)} if self.published_at else {}),
            "companyId": self.company_id,
            "createdAt": micros(self.created_at),
            "durationDays": self.days,
            "name": self.name,
            "publicName": f"ANON-DEMO-{self.company_id}-{self.id:05}" if self.published_at else "",
            **({"size": 0} if fresh else {}),
            "status": status,
            "type": "core",
            **({"externalId": str(self.id + 861)} if self.published_at else {}),
        }

    def publish(self, now: datetime) -> None:
        """Make it live; what was held becomes active."""
        if self.published_at is None:
            self.published_at = now
            if self.staged is not None:
                held, self.staged = self.staged, None
                self._activate(held, now)

    def advance(self, now: datetime, superseded: str) -> None:
        """Let every upload move to where it stands now, in the order of time."""
        while True:
            moves = [(move, upload) for upload in self.uploads.values() if (move := upload.next_move())]
            due = [(move, upload) for move, upload in moves if move[0] <= now]
            if not due:
                return
            (when, to), upload = min(due, key=lambda pair: (pair[0][0], pair[1].number))
            upload.phase, upload.since = to, when
            self._moved(upload, when, superseded)

    def _moved(self, upload: Upload, when: datetime, superseded: str) -> None:
        if upload.phase is Phase.SUCCESS:
            self._loaded(upload, when, superseded)
        elif upload.phase in {Phase.FAILURE, Phase.DELETED, Phase.DELETION_FAILED}:
            upload.forget_content()

    def _loaded(self, upload: Upload, when: datetime, superseded: str) -> None:
        end = Phase.DELETION_FAILED if superseded == "deletion_failed" else Phase.DELETED
        if self.published_at is None:
            if self.staged is not None:
                self._retire(self.staged, when, end, superseded)
            self.staged = upload
        else:
            before = self.active
            self._activate(upload, when + timedelta(seconds=upload.fate.activation))
            if before is not None:
                self._retire(before, when, end, superseded)

    def _activate(self, upload: Upload, when: datetime) -> None:
        self.active, self.active_since = upload, when

    def _retire(self, old: Upload, when: datetime, end: Phase, superseded: str) -> None:
        if superseded == "off":
            old.forget_content()
        else:
            old.phase, old.since, old.ends_as = Phase.DELETION, when, end

    def membership(self, now: datetime, *, show_staged: bool) -> tuple[Upload, datetime] | None:
        """The active upload and since when."""
        if self.active is not None and self.active_since is not None and self.active_since <= now:
            return self.active, self.active_since
        if show_staged and self.staged is not None:
            return self.staged, self.staged.since
        return None

    def members(self) -> list[str]:
        """Ids of the active members, or of the held ones before publication."""
        upload = self.active or self.staged
        return members(upload.content) if upload is not None and upload.content is not None else []


class Store:
    """Every segment of every company."""

    def __init__(self) -> None:
        self.segments: dict[int, Segment] = {}
        self._segment_ids = itertools.count(24001)
        self._upload_numbers = itertools.count(1)

    def create(self, company_id: int, name: str, days: int, now: datetime) -> Segment:
        """A new segment."""
        segment = Segment(next(self._segment_ids), company_id, name, days, now)
        self.segments[segment.id] = segment
        return segment

    def add_upload(
        self,
        segment: Segment,
        size: int,
        records: int,
        md5: str,
        fate: Fate,
        content: SpooledTemporaryFile[bytes] | None,
        now: datetime,
    ) -> Upload:
        """A new upload, pending."""
        number = next(self._upload_numbers)
        upload = Upload(number, str(uuid.uuid4()), segment.id, size, records, md5, now, fate, content)
        segment.uploads[upload.id] = upload
        return upload


def micros(moment: datetime) -> str:
    """A segment's time on the wire."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(moment: datetime) -> str:
    """An upload's time on the wire."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
