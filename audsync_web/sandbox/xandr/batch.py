"""The Batch Segment Service on the API hosts: jobs, their phases, status and history (spec sections 3.3 to 5 and 13).

Job times are fixed when the upload ends; what has happened by now follows from the clock.
"""

from __future__ import annotations

import random
import secrets
from datetime import datetime, timedelta
from typing import Any

from audsync_web.sandbox.framework import Request, Response

from .files import COUNTERS, Verdict, apply
from .model import (
    HISTORY_DAYS,
    MOST_WAITING,
    PAGE,
    WAITING_ERROR,
    Job,
    Refused,
    World,
    shown_time,
)
from .segments import page_of, sorted_by

ALIASES = ("01.data-api", "02.data-api", "data-api-gslb", "lax1.data-api")
UNENDED = ("starting", "uploading", "validating", "processing")


class BatchService:
    """Everything about jobs, on the API hosts and on the upload host."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.by_secret: dict[str, Job] = {}

    # --- step 1

    def open_job(self, request: Request, member_id: int) -> Response:
        """`POST /batch-segment`: a job and a fresh address for its file."""
        if request.read():
            request.violate("step 1 with a body")
            raise Refused("SYNTAX", "no body is expected")
        self.settle()
        now = self.world.now()
        waiting = sum(job.is_waiting(now) for job in self._jobs_of(member_id))
        if waiting >= self.world.number("most_waiting", MOST_WAITING):
            request.violate("a new job while the most allowed are waiting")
            raise Refused(WAITING_ERROR, "too many jobs are waiting to be processed")
        if any(held.answer_lost for held in self._jobs_of(member_id)):
            request.violate("a new job after a broken upload whose phase nobody has asked for")
        for held in self._jobs_of(member_id):
            held.answer_lost = False
            held.superseded = held.superseded or not held.used
        job = self._new_job(member_id, now)
        shown = {
            "id": job.id,
            "job_id": job.job_id,
            "member_id": member_id,
            "last_modified": shown_time(now),
            "upload_url": self._address(request, job),
        }
        return self._answer(id=job.id, count=1, batch_segment_upload_job=shown)

    def _new_job(self, member_id: int, now: datetime) -> Job:
        number = self.world.next_job
        self.world.next_job += 1
        # Every fourth id is a large negative one, as a public fixture shows.
        shown_id = number if number % 4 else -(2**62) - number
        job_id = secrets.token_hex(16) + str(int(now.timestamp()))
        job = Job(shown_id, job_id, member_id, secrets.token_urlsafe(24), now)
        self.world.jobs[job.job_id] = self.by_secret[job.secret] = job
        return job

    def past_job(self, member_id: int, moment: datetime) -> Job:
        """A job of the past that was completed at once; for tests of the history."""
        job = self._new_job(member_id, moment)
        job.used, job.lines = True, 1
        job.started_at = job.uploaded_at = job.validated_at = job.completed_at = moment
        job.counters = dict.fromkeys(COUNTERS, 0) | {"num_valid": 1, "num_valid_user": 1}
        return job

    def _address(self, request: Request, job: Job) -> str:
        if foreign := self.world.text("upload_url"):
            return foreign
        twice = "segment-upload/" if job.id % 2 else ""
        return f"{request.base_url}/{secrets.choice(ALIASES)}/{twice}segment-upload/{job.secret}"

    def _jobs_of(self, member_id: int) -> list[Job]:
        return [job for job in self.world.jobs.values() if job.member_id == member_id]

    # --- the way of a job through its phases

    def accept(self, job: Job, verdict: Verdict | None) -> None:
        """The file is here: fix when the job's phases end, and how. No verdict: the file is unreadable."""
        now = self.world.now()
        job.uploaded_at = now
        validated = now + timedelta(seconds=self.world.seconds("validating"))
        completed = validated + timedelta(seconds=self.world.seconds("processing"))
        stuck = self.world.text("stuck")
        job.validated_at = None if stuck == "validating" else validated
        job.completed_at = None if stuck in {"validating", "processing"} else completed
        if verdict is None or not verdict.lines:
            self._fail(job, "validating", validated, "unreadable-file")
            return
        job.counters = {name: verdict.counters[name] for name in COUNTERS}
        job.added, job.removed = dict(verdict.added), dict(verdict.removed)
        job.error_log = "\n".join(["", *verdict.log] if job.id % 2 else verdict.log)
        job.operations = verdict.operations
        if verdict.killed:
            self._fail(job, "processing", completed, "too-many-invalid-lines")
        elif self.world.take("fails_uploading"):
            self.break_off(job)
        elif self.world.take("fails_validating"):
            self._fail(job, "validating", validated, self._error_code())
        elif self.world.take("fails_processing"):
            # Half of the file is in by then: what a failure leaves behind is not undone.
            job.operations = job.operations[: len(job.operations) // 2]
            self._fail(job, "processing", completed, self._error_code())

    def _error_code(self) -> str | int:
        code = self.world.text("error_code", "processing-error")
        return int(code) if code.isdigit() else code

    def _fail(self, job: Job, phase: str, moment: datetime, code: str | int) -> None:
        job.fails_in, job.failed_at, job.error_code = phase, moment, code
        job.completed_at = None
        if phase == "validating":
            job.validated_at, job.operations = None, []

    def break_off(self, job: Job) -> None:
        """The upload failed: the job ends in `error` and nothing of its file counts."""
        with self.world.lock:
            job.uploaded_at, job.validated_at, job.completed_at = None, None, None
            job.operations = []
            job.fails_in, job.failed_at, job.error_code = "uploading", self.world.now(), "uploading-error"

    def settle(self) -> None:
        """Apply every file whose validation has ended by now, in that order."""
        with self.world.lock:
            now = self.world.now()
            due = [job for job in self.world.jobs.values() if job.operations and job.validated_at]
            for job in sorted(due, key=lambda job: job.validated_at or now):
                if job.validated_at and job.validated_at <= now:
                    apply(self.world, job.operations)
                    job.operations = []

    # --- step 3 and history

    def read(self, request: Request, member_id: int) -> Response:
        """`GET /batch-segment`: one job by `job_id`, else the member's last 30 days."""
        self.settle()
        now = self.world.now()
        recent = [job for job in self._jobs_of(member_id) if now - job.created_at <= timedelta(days=HISTORY_DAYS)]
        if not request.one("job_id"):
            return self._history(request, recent, now)
        found = [job for job in recent if job.job_id == request.one("job_id")]
        if not found:
            return self._unknown()
        found[0].answer_lost = False
        row = self.shown(found[0], now)
        return self._answer(count=1, batch_segment_upload_job=[row] if self.world.impbus else row)

    def _unknown(self) -> Response:
        form = self.world.text("unknown_job", "null")
        if form == "error":
            raise Refused("SYNTAX", "job not found", status=404)
        empty: dict[str, Any] = {"null": None, "object": {}, "array": []}
        return self._answer(count=0, batch_segment_upload_job=empty[form])

    def _history(self, request: Request, jobs: list[Job], now: datetime) -> Response:
        if not request.one("sort"):
            request.violate("history without sort")
        start, size = page_of(request)
        rows = [self.shown(job, now) for job in jobs]
        random.Random(7).shuffle(rows)
        rows = sorted_by(rows, request.one("sort"))
        count = None if self.world.on("null_count") else len(rows)
        picked = rows[start : start + size]
        return self._answer(count=count, start_element=start, num_elements=size, batch_segment_upload_job=picked)

    def shown(self, job: Job, now: datetime) -> dict[str, Any]:
        """A job as the API shows it at a moment: no figure before its end."""
        phase = job.phase(now)
        row: dict[str, Any] = {
            "id": job.id,
            "job_id": job.job_id,
            "member_id": job.member_id,
            "phase": "hibernating" if self.world.on("unknown_status") and phase in UNENDED else phase,
            "percent_complete": self._percent(job, phase, now),
            "error_code": None,
            "created_on": shown_time(job.created_at),
            "start_time": shown_time(job.started_at),
            "uploaded_time": shown_time(job.uploaded_at),
            "validated_time": shown_time(_past(job.validated_at, now)),
            "completed_time": shown_time(_past(job.completed_at, now)),
            "last_modified": shown_time(job.last_modified(now)),
            "upload_url": None,
            "is_beam_file": False,
            "field_of_a_later_release": 1,
        }
        if phase == "error":
            nothing = dict.fromkeys(COUNTERS, 0)
            return {**row, **nothing, "error_code": job.error_code, "error_log_lines": None, "segment_log_lines": None}
        if phase == "completed":
            row |= {**job.counters, **self._overrides()}
            row["error_log_lines"] = job.error_log or None
            row["segment_log_lines"] = self._segment_log(job)
            minutes = round(((job.completed_at or now) - (job.uploaded_at or now)).total_seconds() / 60, 2)
            row["time_to_process"] = minutes if self.world.impbus else f"{minutes:.2f}"
        return row

    def _overrides(self) -> dict[str, int | None]:
        """Figures set by the switch `counters`, as `num_valid:3,num_valid_user:none`."""
        pairs = (pair.partition(":") for pair in self.world.text("counters").split(",") if pair)
        return {name: None if value == "none" else int(value) for name, _, value in pairs}

    def _percent(self, job: Job, phase: str, now: datetime) -> int:
        if phase == "completed":
            return 100
        begins, ends = {
            "validating": (job.uploaded_at, job.validated_at),
            "processing": (job.validated_at, job.completed_at),
        }.get(phase, (None, None))
        if not begins or not ends or ends <= begins:
            return 0
        # A phase shows 100 for its last fifth, so a client that stops at 100 stops too early.
        return min(100, int(125 * (now - begins) / (ends - begins)))

    def _segment_log(self, job: Job) -> str | None:
        form = self.world.text("segment_log", "current")
        added, removed = (
            sorted(counts.items(), key=lambda pair: -pair[1])[: PAGE * 2] for counts in (job.added, job.removed)
        )
        if form == "lines":
            return "\n" + "\n".join(f"{number}:{count}" for number, count in added)
        if form == "dashes":
            return "\n".join(f"{number}-{count}" for number, count in added)
        if form == "garbage":
            return "see attachment"
        words = ["added:", *(f"{number}:{count}" for number, count in added)]
        words += ["removed:", *(f"{number}:{count}" for number, count in removed)] if removed else []
        return (" " if job.id % 2 else "\n").join(words)

    def _answer(self, **fields: Any) -> Response:
        body = {"status": "OK", "start_element": 0, "num_elements": PAGE, "dbg_info": {}, **fields}
        return Response.of({"response": body})


def _past(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment and moment <= now else None
