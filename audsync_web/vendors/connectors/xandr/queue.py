"""A member's one way for files: its gate, the waiting jobs, the distance between uploads (section 6)."""

from __future__ import annotations

from collections.abc import Iterator

from audsync_web.vendors.connectors.base import Finding, Gate, Level, Services
from audsync_web.vendors.connectors.errors import NotYet, QuotaExceeded
from audsync_web.vendors.connectors.fields import AccountConfig

from .api import Api
from .jobs import Job, is_waiting, jobs_of

WAITING_PAUSE = 300.0
CROWDED_SHARE = 0.75
"""From this share of the most that may wait, uploads slow down to one in five minutes (section 12, rule 25)."""


class UploadQueue:
    """What holds for all uploads of a member, whoever makes them."""

    def __init__(self, api: Api, config: AccountConfig, services: Services, scope: str) -> None:
        self._api = api
        self._member = int(config.settings["memberId"])
        self._most = int(config.settings["maxWaitingJobs"])
        self._apart = float(config.settings["minSecondsBetweenUploads"])
        self._services = services
        self._scope = scope
        # Only one address is valid at a time, so step 1 and step 2 of one part let nobody between (rule 23).
        self.gate = Gate(f"{scope}:upload", interval=self._apart, exclusive="call", most_waiting=self._most)

    def pages(self) -> Iterator[list[Job]]:
        """The member's jobs of the last 30 days, newest first; the vendor's own order is not known (register, U28)."""
        query = {"member_id": self._member, "sort": "last_modified.desc"}
        return self._api.pages("/batch-segment", query, jobs_of, "batch_segment_upload_job")

    def waiting(self) -> int:
        """Jobs that have not ended, other systems' included. Newest first, so a page without one ends the look."""
        now, waiting = self._services.clock.now(), 0
        for page in self.pages():
            found = sum(is_waiting(job, now) for job in page)
            waiting += found
            if not found or waiting >= self._most:
                break
        return waiting

    def require_room(self) -> None:
        """Refuse to start while the most allowed are waiting, and slow down when they are nearly so many (rule 25)."""
        waiting = self.waiting()
        if waiting >= self._most:
            raise self.is_full()
        if waiting >= self._most * CROWDED_SHARE:
            self._services.pacer.take(f"{self._scope}:crowded", per_second=1 / WAITING_PAUSE)

    def is_full(self, said: str = "") -> QuotaExceeded:
        """The refusal, ours or the vendor's."""
        return QuotaExceeded(
            "Xandr has as many jobs of this member waiting as it takes.",
            gate=self.gate.key,
            retry_after=WAITING_PAUSE,
            code="too_many_waiting",
            vendor_text=said,
        )

    def keep_distance(self) -> None:
        """Keep two uploads exactly apart: the gate was passed before step 1, whose time varies (rule 24)."""
        if self._apart > 0:
            self._services.pacer.take(f"{self._scope}:distance", per_second=1 / self._apart)

    def finding(self) -> Finding:
        """How the queue stands, for the preflight."""
        try:
            self._services.pacer.check(self.gate.key)
        except NotYet as paused:
            return Finding("queue", Level.WARNING, paused.text, "Nothing: the delivery waits by itself.")
        waiting = self.waiting()
        level = Level.OK if waiting < self._most * CROWDED_SHARE else Level.WARNING
        return Finding("queue", level, f"{waiting} of at most {self._most} jobs of the member are waiting at Xandr.")
