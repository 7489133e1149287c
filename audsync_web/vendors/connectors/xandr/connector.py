"""The connector itself: what the engine asks of a vendor, answered by the calls of this package."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from audsync_web.vendors.connectors.base import (
    LEAVE,
    AccountCheck,
    Capabilities,
    Connector,
    DeliveryContext,
    Estimate,
    Finding,
    Found,
    Gate,
    HistoryEntry,
    Intent,
    Journal,
    Level,
    Nothing,
    PartPayload,
    PartRef,
    Publishing,
    ReleaseChoice,
    RemoteSegment,
    RemoteState,
    RemoteStatus,
    SegmentRef,
    SegmentSpec,
    SegmentState,
    Services,
    Totals,
)
from audsync_web.vendors.connectors.errors import (
    AuthenticationFailed,
    NotSupported,
    NotYet,
    Permanent,
    QuotaExceeded,
    RemoteMissing,
    TooLarge,
    Transient,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.fields import AccountConfig
from audsync_web.vendors.connectors.formats import LineFormat, Op, PartRules, Wrap
from audsync_web.vendors.connectors.identifiers import IdentifierRule
from audsync_web.vendors.connectors.lifetimes import counted_from, minutes_left

from .api import Api, moment, word
from .jobs import PHASES, Job, forward, history_entry, jobs_of, phase_of, state_of
from .layout import LONGEST_MINUTES, REMOVED, RULES, TYPE_CODES, UNCONFIRMED_TYPES, Layout, require_layout
from .queue import UploadQueue
from .segments import Segments, no_older_than, remote_segment, require_writable
from .settings import CONSOLE_HOST, FIELDS, IMPBUS_HOST
from .upload import MOST_FILE_BYTES, OpenJob, judge_upload, open_job, patience, require_upload_host, send_file

DEACTIVATE = ReleaseChoice("deactivate", "Deactivate the segment at Xandr")
EMPTY = ReleaseChoice("empty", "Remove all of our members, then leave the segment")
UPLOADING_LOOK = 30.0
NOT_SHOWN = timedelta(minutes=1)
CREATE_SPAN = timedelta(minutes=2)
YOUNG_JOB = timedelta(minutes=15)
LOOKS_FOR_MISSING = 3
OVERDUE = timedelta(hours=24)
GZIP_SHARE = 0.55
"""Size of random identifiers after gzip, as a share; the block around them packs to almost nothing."""
UPLOAD_BYTES_PER_SECOND = 5_000_000


class XandrConnector(Connector):
    """One member seat at Xandr."""

    vendor = "xandr"
    label = "Xandr"
    short_label = "Xandr"
    summary = "Segments of a seat, fed with batch files within its quotas."
    publishing = Publishing(
        "The segment is set active at Xandr, and an upload that is held for it is sent then.", is_final=False
    )
    default_base_url = f"https://{CONSOLE_HOST}"
    capabilities = Capabilities(
        publish="call",
        uploads_before_publish=False,
        longest_days=180,
        expires=True,
        links_existing=True,
        releases=(LEAVE, DEACTIVATE, EMPTY),
        history=True,
    )
    identifier_rules = RULES
    identifier_encoding = "latin-1"
    fields = FIELDS

    def __init__(self, config: AccountConfig, services: Services) -> None:
        super().__init__(config, services)
        self._member = int(config.settings["memberId"])
        self._layout = Layout.of(config.settings)
        self._api = Api(config, services, self.quota_scope)
        self._segments = Segments(self._api, self._member, impbus=self._is_impbus)
        self._queue = UploadQueue(self._api, config, services, self.quota_scope)

    def close(self) -> None:
        """Close pooled connections."""
        self._api.close()

    # --- account (sections 1 and 3.1)

    @property
    def quota_scope(self) -> str:
        """Limits belong to the member; the vendor's two API hosts are ways into one platform (section 1)."""
        host = CONSOLE_HOST if self.config.host == IMPBUS_HOST else self.config.host
        return f"xandr:{host}:{self.config.settings['memberId']}"

    @property
    def _is_impbus(self) -> bool:
        style = self.config.settings["hostStyle"]
        return bool(style == "impbus" or (style == "auto" and self.config.host == IMPBUS_HOST))

    @classmethod
    def validate(cls, config: AccountConfig) -> None:
        """Separators, fields and identifier types must be such that Xandr can read the files."""
        require_layout(config)

    def check(self) -> AccountCheck:
        """Log in and read what the work needs: the member's segments and its batch jobs."""
        facts = {"Member": str(self._member), "Host": "Impbus" if self._is_impbus else "Console"}
        missing = []
        for name, call in (("segments", self._any_segment), ("batch uploads", self._any_job)):
            try:
                call()
            except Permanent as error:
                if error.code != "rights_missing":
                    raise
                missing.append(f"The right to read {name} of member {self._member}.")
        if len(missing) == 2:
            raise AuthenticationFailed(
                f"This user has no rights in member {self._member}.",
                code="rights_missing",
                next_step="Check the member id, or ask Xandr for the rights.",
            )
        return AccountCheck(f"Xandr accepts this user for member {self._member}.", missing=missing, facts=facts)

    def _any_segment(self) -> None:
        next(self._segments.listed())

    def _any_job(self) -> None:
        next(self._queue.pages())

    # --- segments (section 3.2)

    def create_segment(self, spec: SegmentSpec) -> RemoteSegment:
        """Look up by code, else create it inactive; publishing activates it."""
        existing = self.find_segment(spec)
        if existing is not None:
            return existing
        try:
            row = self._segments.create(spec)
        except Permanent as refused:
            # The code of a double is not published (register, U7): the look-up tells.
            existing = self.find_segment(spec) if refused.code in {"xandr_syntax", "xandr_integrity"} else None
            if existing is None:
                raise
            return existing
        return remote_segment(row, self.services.clock.now())

    def find_segment(self, spec: SegmentSpec) -> RemoteSegment | None:
        """The segment whose code is our technical name."""
        row = self._segments.find(spec.technical_name)
        return None if row is None else remote_segment(row, no_older_than(row, self.services.clock.now()))

    def reconcile_segment(self, spec: SegmentSpec, intent: Intent) -> Found[RemoteSegment] | Nothing:
        """Codes are unique in a member, so the look-up decides."""
        row = self._segments.find(spec.technical_name)
        if row is None:
            return Nothing()
        # By our clock, and late rather than early: files wait for a segment's age (section 12, rule 8).
        return Found(remote_segment(row, min(self.services.clock.now(), intent.at + CREATE_SPAN)))

    def read_segment(self, remote_id: str) -> RemoteSegment:
        """An existing segment of the member; its age is taken from its latest change, which is no earlier."""
        require_writable(remote_id.strip())
        row = self._segments.get(remote_id.strip())
        return remote_segment(row, no_older_than(row, self.services.clock.now()))

    def publish_segment(self, segment: SegmentRef) -> RemoteSegment:
        """Activate it."""
        return remote_segment(self._segments.set_state(segment.remote_id, "active"), segment.created_at)

    def reconcile_publish(self, segment: SegmentRef, intent: Intent) -> Found[RemoteSegment] | Nothing:
        """Its state decides."""
        found = remote_segment(self._segments.get(segment.remote_id), segment.created_at)
        return Found(found) if found.state is SegmentState.PUBLISHED else Nothing()

    def rename_segment(self, segment: SegmentRef, name: str) -> None:
        """Change the display name; the code stays."""
        self._segments.change(segment.remote_id, {"short_name": name[:255]})

    def release_segment(self, segment: SegmentRef, choice: str) -> None:
        """Deactivation is reversible; segments are never deleted from here (section 12, rule 10)."""
        if choice == DEACTIVATE.key:
            self._segments.set_state(segment.remote_id, "inactive")
        elif choice not in {LEAVE.key, EMPTY.key}:
            raise NotSupported(f"{self.label} cannot do “{choice}”.")

    # --- planning (section 7)

    def rule_for(self, identifier: str) -> IdentifierRule:
        """The kind's rule; one of free form may not hold this account's separators."""
        super().rule_for(identifier)
        return self._layout.rule(identifier)

    def part_rules(self, delivery: DeliveryContext) -> PartRules:
        """0.5 GB at most, on the wire and unpacked; by default 300 MB, the top of what the vendor recommends."""
        settings = self.config.settings
        return PartRules(
            max_lines=settings["maxPartLines"],
            max_bytes=min(int(settings["maxPartBytes"]), MOST_FILE_BYTES),
            max_wire_bytes=MOST_FILE_BYTES,
        )

    def line_format(self, delivery: DeliveryContext) -> LineFormat:
        """One user and one segment a line, gzip, Latin-1, LF."""
        require_writable(delivery.segment.remote_id)
        target = self._layout.target(delivery.segment)
        starts, type_code = int(counted_from(delivery).timestamp()), TYPE_CODES[delivery.identifier]

        def wrap(op: Op, held_by: int) -> Wrap:
            minutes = REMOVED if op is Op.REMOVE else min(minutes_left(delivery), LONGEST_MINUTES)
            return Wrap(b"", self._layout.tail(target, minutes, starts, type_code))

        return LineFormat(wrap, encoding=self.identifier_encoding, gzip=True, content_type="application/octet-stream")

    def estimate(self, delivery: DeliveryContext, totals: Totals, mean_bytes: float) -> Estimate:
        """Parts under the size rules, a minute apart; the vendor's own work comes on top and is not promised."""
        rules, settings = self.part_rules(delivery), self.config.settings
        tail = len(self.line_format(delivery).wrap(Op.ADD, 0).suffix) + 1
        unpacked = totals.sent * (mean_bytes + tail)
        by_size = math.ceil(unpacked / (rules.max_bytes or MOST_FILE_BYTES))
        parts = max(by_size, math.ceil(totals.sent / rules.max_lines) if rules.max_lines else 0)
        wire = math.ceil(totals.sent * (mean_bytes * GZIP_SHARE + 2))
        apart = max(float(settings["minSecondsBetweenUploads"]), wire / max(parts, 1) / UPLOAD_BYTES_PER_SECOND)
        seconds = self._youth(delivery.segment) + parts * apart + float(settings["pollFirstSeconds"]) + 1
        return Estimate(
            parts=parts,
            bytes=wire,
            lines=totals.sent,
            calls=parts * 5,
            seconds=seconds if parts else 0.0,
            notes=("Xandr allows itself up to 24 hours to process a file; usually it needs minutes.",) if parts else (),
        )

    def preflight(self, segment: SegmentRef, identifier: str, totals: Totals | None) -> Sequence[Finding]:
        """The segment's state and age, the identifier type, the member's queue and pauses."""
        findings = list(self._segment_findings(segment)) if segment.remote_id else []
        if identifier in UNCONFIRMED_TYPES:
            findings.append(
                Finding(
                    "identifier", Level.WARNING, "This identifier type is documented for bidders only.", "Ask Xandr."
                )
            )
        if youth := self._youth(segment):
            minutes = math.ceil(youth / 60)
            wait = "1 more minute" if minutes == 1 else f"{minutes} more minutes"
            text = f"The segment is new: Xandr wants {wait} before it is fed."
            findings.append(Finding("age", Level.WARNING, text, "Nothing: the delivery waits by itself."))
        return [*findings, self._queue.finding()]

    def _segment_findings(self, segment: SegmentRef) -> Iterator[Finding]:
        try:
            row = self._segments.get(segment.remote_id)
        except RemoteMissing as error:
            yield Finding("segment", Level.BLOCKED, error.text, "Give the destination another remote segment.")
            return
        if segment.published and remote_segment(row, None).state is not SegmentState.PUBLISHED:
            text = "The segment is inactive at Xandr: it takes no members."
            yield Finding("segment", Level.BLOCKED, text, "Activate it at Xandr.")
        else:
            yield Finding("segment", Level.OK, "The segment exists at Xandr.")
        if word(row.get("expire_minutes")) == "0":
            text = "The segment keeps users whom others add for one ad call only (expire_minutes 0 at Xandr)."
            fix = "Nothing for this file, whose members have a day of their own; else change it at Xandr."
            yield Finding("lifetime", Level.WARNING, text, fix)

    # --- sending (sections 3.3, 6 and 12, rules 18 to 30)

    def gates(self, delivery: DeliveryContext) -> Sequence[Gate]:
        """One address and one upload at a time, a minute apart, at most 200 jobs waiting: all by member."""
        return (self._queue.gate,)

    def send_part(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> RemoteState:
        """Step 1, then step 2 at once. The file is finished before, and the address is used once and forgotten.

        The intent of step 2 stands until the answer's state is stored, so that nothing can be lost in between.
        """
        self._require_sendable(delivery, part)
        journal.intend("job")
        job = self._open_job()
        journal.settle(part={"job_id": job.job_id})
        require_upload_host(job.url, self.config.settings["uploadHosts"], allow_plain=self.services.allow_private_hosts)
        self._queue.keep_distance()
        journal.intend("upload", job_id=job.job_id)
        reply = send_file(self._api, job, part, self.services.clock, journal.alive)
        pause = float(self.config.settings["quotaPauseMinutes"]) * 60
        try:
            warning = judge_upload(reply, job, self._queue.gate.key, pause)
        except QuotaExceeded as used_up:
            since = patience(part.memory, self.services.clock.now(), used_up)
            journal.settle(part={"quota_since": since})
            raise
        return RemoteState(RemoteStatus.QUEUED, raw="uploaded", job_id=job.job_id, suspect=warning)

    def _require_sendable(self, delivery: DeliveryContext, part: PartPayload) -> None:
        if not part.lines or not part.bytes:
            raise Permanent("An empty file is never sent to Xandr.", code="empty_part")
        if part.bytes > MOST_FILE_BYTES:
            raise TooLarge("The file is larger than Xandr takes (500,000,000 bytes).")
        require_writable(delivery.segment.remote_id)
        if youth := self._youth(delivery.segment):
            raise NotYet("The segment is new: Xandr wants about 20 minutes before it is fed.", retry_after=youth)
        self._queue.require_room()

    def _youth(self, segment: SegmentRef) -> float:
        """Seconds until the segment is old enough to be fed (section 12, rule 8); 0 when it is."""
        if segment.created_at is None:
            return 0.0
        wait = float(self.config.settings["newSegmentWaitMinutes"]) * 60
        return max(0.0, wait - (self.services.clock.now() - segment.created_at).total_seconds())

    def _open_job(self) -> OpenJob:
        try:
            return open_job(self._api, self._member, self.services.clock)
        except UnknownOutcome as lost:
            # A job that gets no file changes nothing, so a new one may be opened, ever more slowly.
            raise lost.as_transient() from None
        except Permanent as refused:
            if refused.code == "xandr_limit":
                raise self._queue.is_full(refused.vendor_text) from None
            raise

    def reconcile_part(
        self, delivery: DeliveryContext, part: PartPayload, intent: Intent, claimed: frozenset[str]
    ) -> Found[RemoteState] | Nothing:
        """By the job's phase. A job without a file changes nothing, so only a lost answer to step 2 matters (29)."""
        job_id = str(intent.detail.get("job_id") or "")
        if intent.step != "upload" or not job_id or job_id in claimed:
            return Nothing()
        job = self._job(job_id)
        phase = phase_of(job) if job else ""
        if job is None and self.services.clock.now() - intent.at < NOT_SHOWN:
            raise NotYet("Xandr does not show the job yet.", retry_after=UPLOADING_LOOK)
        if job is None or phase == "starting" or (phase == "error" and moment(job.get("uploaded_time")) is None):
            # No file arrived, or not the whole of it: a new job may be opened.
            return Nothing()
        if phase == "uploading":
            raise NotYet("Xandr is still receiving, or has not yet noticed the end.", retry_after=UPLOADING_LOOK)
        return Found(self._state(job, part.lines, part.memory))

    # --- looking (sections 4, 5 and 12, rules 31 to 39)

    def poll_part(self, delivery: DeliveryContext, part: PartRef) -> RemoteState:
        """Step 3. A job that Xandr does not show yet is looked for again; an overdue one is stalled, not failed."""
        job = self._job(part.job_id)
        age = self.services.clock.now() - part.sent_at if part.sent_at else timedelta(0)
        if job is None and age < YOUNG_JOB:
            raise Transient("Xandr does not show the job yet.", code="job_not_shown")
        if job is None:
            return self._missing(part)
        state = self._state(job, part.lines, part.memory)
        if state.status.is_final or age < OVERDUE:
            return state
        return RemoteState(
            RemoteStatus.STALLED,
            raw=state.raw,
            job_id=part.job_id,
            progress=state.progress,
            counters=state.counters,
            details="Xandr has had the file for more than the 24 hours that it allows itself.",
            next_step=f"Ask Xandr about job {part.job_id}.",
        )

    def _missing(self, part: PartRef) -> RemoteState:
        """One odd answer does not end a job: only when it is missing again and again is it gone."""
        times = int(part.memory.get("missing", 0)) + 1
        if times < LOOKS_FOR_MISSING:
            return RemoteState(RemoteStatus.UNKNOWN, raw="not shown", job_id=part.job_id, memory={"missing": times})
        raise RemoteMissing("Xandr does not know the job any more.", next_step="Send again, or ask Xandr by job id.")

    def next_poll(self, waited: float, polls: int) -> float:
        """With the defaults every minute for 15 minutes, every 5 to six hours, then every 15 (rule 32)."""
        first = float(self.config.settings["pollFirstSeconds"])
        factor = 1 if waited < 15 * 60 else 5 if waited < 6 * 3600 else 15
        return min(first * factor, float(self.config.settings["pollMaxSeconds"]))

    def _state(self, job: Job, lines: int, memory: Mapping[str, Any]) -> RemoteState:
        floor = self.config.settings["matchRateFloor"]
        state = state_of(forward(job, word(memory.get("phase"))), lines, None if floor is None else float(floor))
        if phase_of(job) == "error" and not memory.get("resent"):
            # The same lines under a new job change no membership twice, and heal one that was half done (rule 29).
            return replace(state, resend=True, memory={"resent": True, "phase": "", "perhaps": state.perhaps})
        if state.status is RemoteStatus.FAILED and memory.get("perhaps"):
            # What the first job has done stays, however the second one failed.
            state = replace(state, perhaps=True)
        return replace(state, memory={"phase": state.raw, "missing": 0}) if state.raw in PHASES else state

    def _job(self, job_id: str) -> Job | None:
        """One job; null, an empty object, an empty array and an error all mean that there is none (register, U27)."""
        try:
            envelope = self._api.read("/batch-segment", {"member_id": self._member, "job_id": job_id})
        except Permanent as error:
            if isinstance(error, RemoteMissing) or error.code in {"xandr_syntax", "xandr_integrity"}:
                return None
            raise
        return next((job for job in jobs_of(envelope) if str(job["job_id"]) == job_id), None)

    def history(self, segment: SegmentRef | None) -> Iterator[HistoryEntry]:
        """The member's jobs of the last 30 days; with a segment those whose log names it and no other."""
        before: frozenset[str] = frozenset()
        for page in self._queue.pages():
            # A job that changes while pages are read slides onto the next one.
            for job in page:
                entry = history_entry(job)
                if entry.job_id not in before and (segment is None or entry.segment_id == segment.remote_id):
                    yield entry
            before = frozenset(str(job["job_id"]) for job in page)
