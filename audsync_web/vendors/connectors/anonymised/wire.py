"""What the vendor's JSON means: segments, uploads, statuses, times (spec sections 4 and 6). No calls here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audsync_web.vendors.connectors.base import RemoteSegment, RemoteState, RemoteStatus, SegmentState
from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.reading import impersonal, utc_moment, whole

LONGEST_WORD = 60
LONGEST_TEXT = 500

# Both vocabularies of the page; either may come, even mixed within one list (spec section 6).
STATUSES = {
    "pending": RemoteStatus.QUEUED,
    "processing": RemoteStatus.RUNNING,
    "completed": RemoteStatus.SUCCEEDED,
    "processed": RemoteStatus.SUCCEEDED,
    "failed": RemoteStatus.FAILED,
    "processing_failed": RemoteStatus.FAILED,
}
REMOVALS = {"deletion", "deleted", "deletion_failed"}
"""The vendor takes an upload away, or has. What that means for ours, only the active membership tells."""

_SEGMENT_STATES = {"created": SegmentState.CREATED, "published": SegmentState.PUBLISHED}


@dataclass(frozen=True)
class UploadObject:
    """One upload as E4, E5 and E6 show it; everything but the id may be missing."""

    id: str
    word: str
    bytes: int | None
    records: int | None
    md5: str
    details: str | None
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def read(cls, value: Any) -> UploadObject | None:
        """The upload in a piece of JSON; None when there is none. Unknown fields do not matter."""
        if not isinstance(value, dict) or not _text(value.get("id")):
            return None
        return cls(
            _text(value.get("id")),
            _text(value.get("status"), LONGEST_WORD),
            whole(value.get("uploadedBytes")),
            whole(value.get("recordsCount")),
            _text(value.get("fileMD5")).lower(),
            impersonal(_text(value.get("details"))) or None,
            utc_moment(value.get("createdAt")),
            utc_moment(value.get("updatedAt")),
        )

    @property
    def normal_word(self) -> str:
        """The status without its spelling: trimmed, lower case, underscores."""
        return self.word.strip().lower().replace("-", "_").replace(" ", "_")

    @property
    def status(self) -> RemoteStatus:
        """The status in our words. A removal is UNKNOWN here: see `REMOVALS`."""
        return STATUSES.get(self.normal_word, RemoteStatus.UNKNOWN)

    @property
    def is_removal(self) -> bool:
        """Whether the vendor is taking it away or has done so."""
        return self.normal_word in REMOVALS

    def differs_from(self, *, lines: int, size: int, md5: str) -> str:
        """Where the vendor's figures are not ours, in words (spec section 10, rule 12); empty when they agree."""
        found = []
        if self.records is not None and self.records != lines:
            found.append(f"the vendor counts {self.records:,} rows where {lines:,} were sent")
        if self.bytes is not None and self.bytes != size:
            found.append(f"the vendor received {self.bytes:,} bytes where {size:,} were sent")
        if self.md5 and self.md5 != md5.lower():
            found.append("the vendor's MD5 is not that of the file sent")
        return "; ".join(found)

    def figures(self) -> dict[str, Any]:
        """The vendor's own figures, to be shown as they are (rule 26)."""
        known = {"recordsCount": self.records, "uploadedBytes": self.bytes, "fileMD5": self.md5 or None}
        return {name: value for name, value in known.items() if value is not None}

    def state(self, suspect: str = "") -> RemoteState:
        """The upload as a remote state. The vendor tells no accepted or refused members (A-U26)."""
        return RemoteState(
            self.status,
            self.word,
            self.id,
            details=self.details if self.status is RemoteStatus.FAILED else None,
            next_step="Mend what the details say, then retry." if self.status is RemoteStatus.FAILED else "",
            suspect=suspect,
            counters=self.figures(),
            memory={"seen": self.status.value},
        )


def describe(reply: Reply) -> str:
    """The vendor's words in an error answer: one text, else the start of the body (A-U11)."""
    said = reply.object().get("error")
    return impersonal(said if isinstance(said, str) else reply.opening)


def segment(value: Mapping[str, Any]) -> RemoteSegment | None:
    """The segment in an answer; None when it holds no usable id. Only `id` and `status` are ever needed."""
    remote_id = whole(value.get("id"))
    if remote_id is None or remote_id < 0:
        return None
    word = _text(value.get("status"), LONGEST_WORD)
    return RemoteSegment(
        str(remote_id),
        _SEGMENT_STATES.get(word.strip().lower(), SegmentState.UNKNOWN),
        word,
        _text(value.get("name"), LONGEST_TEXT),
        _text(value.get("publicName"), LONGEST_TEXT),
        _text(value.get("externalId"), LONGEST_WORD),
        whole(value.get("size")),
        utc_moment(value.get("createdAt")),
    )


def _text(value: Any, longest: int = LONGEST_TEXT) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:longest]
