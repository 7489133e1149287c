"""The upload host: it takes a job's file and judges it (spec sections 3.3 step 2, 10.2 and 13, points 12 to 20)."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from datetime import datetime
from typing import BinaryIO

from audsync_web.sandbox.framework import DropConnection, Request, Response

from .batch import BatchService
from .files import FileCheck, TooLong, Unreadable, Verdict
from .model import (
    BAD_MEDIA_STATUS,
    DEAD_URL_STATUS,
    MOST_FILE_BYTES,
    UPLOAD_MINUTES,
    URL_SECONDS,
    Job,
    MemberConfig,
    World,
)

QUOTAS = (
    ("daily_byte_limit", "day", "bytes", "Member exceeds maximum allowed bytes per day"),
    ("hourly_byte_limit", "hour", "bytes", "Member exceeds maximum allowed bytes per hour"),
    ("daily_num_lines_limit", "day", "lines", "Member exceeds maximum allowed number of lines per day"),
    ("hourly_num_lines_limit", "hour", "lines", "Member exceeds maximum allowed number of lines per hour"),
)
FILE_TOO_LARGE = "Member exceeds maximum byte size allowed for a file"
TOO_SLOW = "Maximum upload time exceeded"


class UploadRefused(Exception):
    """An error answer of the upload host (spec section 10.2). `breaks` puts the job into `error`."""

    def __init__(self, code: str, text: str, *, status: int = 400, breaks: bool = True) -> None:
        super().__init__(text)
        self.breaks = breaks
        self.answer = Response.of({"response": {"status": "ERROR", "error_code": code, "errors": [text]}}, status)


class UploadHost:
    """Step 2: files, their limits and quotas."""

    def __init__(self, world: World, batch: BatchService) -> None:
        self.world = world
        self.batch = batch
        self._running: Counter[int] = Counter()
        self._last_upload: dict[int, datetime] = {}
        self._used: Counter[tuple[int, str, str]] = Counter()

    def lose(self, request: Request) -> None:
        """The answer to this upload will not arrive."""
        job = self.batch.by_secret.get(request.segments()[-1])
        if job is not None:
            job.answer_lost = True

    def receive(self, request: Request) -> Response:
        """`POST <upload_url>`: take the file and start its way."""
        job = self.batch.by_secret.get(request.segments()[-1])
        request.shown_path = "/…/segment-upload/…"
        try:
            with self.world.lock:
                job = self._usable(request, job)
            return self._receive(request, job)
        except UploadRefused as refused:
            if refused.breaks and job is not None:
                self.batch.break_off(job)
            return refused.answer

    def _usable(self, request: Request, job: Job | None) -> Job:
        if request.method != "POST":
            request.violate("upload by anything but POST")
            raise UploadRefused("METHOD_NOT_ALLOWED", "only POST is allowed", status=405, breaks=False)
        trouble = self._dead(job)
        if job is None or trouble:
            code, text = trouble or ("UPLOAD_URL_INVALID", "The upload address is not known")
            request.violate(f"upload to a dead address: {code}")
            raise UploadRefused(code, text, status=DEAD_URL_STATUS, breaks=False)
        job.used, job.started_at = True, self.world.now()
        self._require_form(request)
        self._require_pace(request, job.member_id)
        self._running[job.member_id] += 1
        return job

    def _dead(self, job: Job | None) -> tuple[str, str] | None:
        if job is None:
            return None
        if job.used:
            return "UPLOAD_URL_USED", "The upload address was used before"
        if job.superseded:
            return "UPLOAD_URL_INVALID", "A newer upload address was asked for"
        if (self.world.now() - job.created_at).total_seconds() > URL_SECONDS:
            return "UPLOAD_URL_EXPIRED", "The upload did not begin in time"
        return None

    def _require_form(self, request: Request) -> None:
        if request.media_type != "application/octet-stream":
            request.violate("upload without Content-Type: application/octet-stream")
            raise UploadRefused("INVALID_CONTENT_TYPE", "the file cannot be processed", status=BAD_MEDIA_STATUS)
        if request.length is None:
            request.violate("upload without Content-Length")
        if request.header("content-encoding"):
            request.violate("upload with Content-Encoding")

    def _require_pace(self, request: Request, member_id: int) -> None:
        if self._running[member_id] >= self.world.configs[member_id].max_concurrent_uploads:
            request.violate("more uploads at once than the member may")
            raise UploadRefused("RATE_LIMIT_EXCEEDED", "Member exceeds maximum number of concurrent uploads")
        now, before = self.world.now(), self._last_upload.get(member_id)
        self._last_upload[member_id] = now
        if before and (now - before).total_seconds() < self.world.seconds("upload_interval"):
            request.violate("uploads closer together than the vendor allows")
            if self.world.strict:
                raise UploadRefused("RATE_LIMIT_EXCEEDED", "Member exceeds maximum number of uploads per minute")

    def _receive(self, request: Request, job: Job) -> Response:
        try:
            with tempfile.TemporaryFile(prefix="xandr-sandbox-") as file:
                self._store(request, job, file)
                self._refuse_by_switch()
                verdict = self._check(request, job, file)
            with self.world.lock:
                self.batch.accept(job, verdict)
        finally:
            self._running[job.member_id] -= 1
        shown_id = "f" * 32 if self.world.take("wrong_job_id") else job.job_id
        return Response.of({"response": {"segment_upload": {"job_id": shown_id}, "status": "OK"}})

    def _store(self, request: Request, job: Job, file: BinaryIO) -> None:
        digest, started = hashlib.sha256(), self.world.now()
        most = min(MOST_FILE_BYTES, self.world.number("most_file_bytes", MOST_FILE_BYTES))
        try:
            for block in request.blocks():
                if self.world.take("drop_during_upload"):
                    raise DropConnection
                digest.update(block)
                file.write(block)
                if request.received > most:
                    raise UploadRefused("FILESIZE_LIMIT_EXCEEDED", FILE_TOO_LARGE)
        except (ConnectionError, DropConnection):
            self.batch.break_off(job)
            job.answer_lost = True
            raise
        minutes = (self.world.now() - started).total_seconds() / 60
        if max(minutes, self.world.number("upload_minutes", 0)) > UPLOAD_MINUTES:
            raise UploadRefused("RATE_LIMIT_EXCEEDED", TOO_SLOW)
        job.wire_bytes, job.sha256 = request.received, digest.hexdigest()

    def _refuse_by_switch(self) -> None:
        if self.world.take("file_too_large"):
            raise UploadRefused("FILESIZE_LIMIT_EXCEEDED", FILE_TOO_LARGE)
        if code := self.world.text("upload_code"):
            raise UploadRefused(code, "refused by a switch", status=400)
        for limit, _, _, text in QUOTAS:
            if self.world.take(limit):
                raise UploadRefused("RATE_LIMIT_EXCEEDED", text)

    def _check(self, request: Request, job: Job, file: BinaryIO) -> Verdict | None:
        """The verdict on the file, None for an unreadable one; its quotas are charged."""
        config = self.world.configs[job.member_id]
        try:
            verdict = FileCheck(self.world, config, self.world.now()).run(file)
        except TooLong:
            raise UploadRefused("FILESIZE_LIMIT_EXCEEDED", FILE_TOO_LARGE) from None
        except Unreadable:
            request.violate("a file that is neither text nor sound gzip")
            return None
        if not verdict.lines:
            request.violate("an empty file")
        for fault, count in verdict.faults.items():
            request.violate(f"{fault} ({count} lines)")
        self._charge(request, job, config, verdict.lines)
        return verdict

    def _charge(self, request: Request, job: Job, config: MemberConfig, lines: int) -> None:
        now = self.world.now()
        windows = {"day": now.strftime("%Y-%m-%d"), "hour": now.strftime("%Y-%m-%d %H")}
        amounts = {"bytes": job.wire_bytes, "lines": lines}
        with self.world.lock:
            for limit, window, unit, text in QUOTAS:
                key = (job.member_id, windows[window], unit)
                if self._used[key] + amounts[unit] > getattr(config, limit):
                    raise UploadRefused("RATE_LIMIT_EXCEEDED", text)
            for window in windows.values():
                for unit, amount in amounts.items():
                    self._used[(job.member_id, window, unit)] += amount
        job.lines = lines
