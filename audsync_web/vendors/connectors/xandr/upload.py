"""The two effectful steps of a batch upload and what the upload host says to them (spec sections 3.3 and 10.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from audsync_web.vendors.connectors.base import Clock, PartPayload
from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.errors import Permanent, QuotaExceeded, TooLarge, Transient, UnknownOutcome

from .api import THROTTLE_PAUSE, Api, one_line, upload_error, uploaded_job, word
from .jobs import jobs_of

MOST_FILE_BYTES = 500_000_000
"""0.5 GB, read as decimal and kept for the wire and the unpacked file alike (register, U16)."""
START_BY = timedelta(minutes=4, seconds=30)
ABORT_AFTER = timedelta(minutes=85)
QUOTA_PATIENCE = timedelta(hours=24)
DEAD_ADDRESS = {404, 410}
TOO_SLOW = "maximum upload time exceeded"
HALF_FILE = "Lower “Largest part” of the vendor account, so that a file is sent sooner."


@dataclass(frozen=True)
class OpenJob:
    """A job and its address, which is used once or never, and not stored."""

    job_id: str
    url: str
    opened_at: datetime


def open_job(api: Api, member_id: int, clock: Clock) -> OpenJob:
    """Step 1, an empty POST. Effectful, though a job without a file changes nothing and ends by itself."""
    opened_at = clock.now()
    envelope = api.change("POST", "/batch-segment", {"member_id": member_id})
    for job in jobs_of(envelope):
        url = job.get("upload_url")
        if isinstance(url, str) and url:
            return OpenJob(word(job["job_id"]), url, opened_at)
    raise UnknownOutcome("Xandr opened a job without telling where its file goes.", code="no_upload_url")


def require_upload_host(url: str, suffixes: Sequence[str], *, allow_plain: bool) -> None:
    """Refuse an address that is not https or not of the vendor's hosts: it comes from a remote party (rule 21)."""
    try:
        # The parser that will open the connection, so that both read the same host.
        parsed = parse_url(url)
    except LocationParseError:
        parsed = None
    host = (parsed.host or "").lower() if parsed else ""
    named = any(host == suffix.lower().lstrip(".") or host.endswith(_dotted(suffix)) for suffix in suffixes)
    plain = parsed is None or parsed.scheme != "https"
    odd = "\\" in url or parsed is None or parsed.auth is not None or (urlsplit(url).hostname or "") != host
    if odd or not named or (plain and not (allow_plain and parsed and parsed.scheme == "http")):
        raise Permanent(
            "Xandr gave an upload address outside its known hosts, or one that is not https.",
            code="upload_host_refused",
            next_step="If the host is right, add it to “Upload hosts” of the vendor account.",
        )


def _dotted(suffix: str) -> str:
    return "." + suffix.lower().lstrip(".")


def send_file(api: Api, job: OpenJob, part: PartPayload, clock: Clock, alive: Callable[[], None]) -> Reply:
    """Step 2, once: the file from disk. Stops by itself at 85 minutes, before the vendor's 90."""
    if clock.now() - job.opened_at > START_BY:
        raise Transient("The upload address grew too old before the file was sent.", code="upload_url_stale")
    ends_by = clock.now() + ABORT_AFTER

    def on_block() -> None:
        alive()
        if clock.now() > ends_by:
            raise TooLarge("The upload took longer than Xandr allows.", code="upload_too_slow", next_step=HALF_FILE)

    with part.open() as source:
        return api.upload(job.url, source, part.bytes, on_block)


def judge_upload(reply: Reply, job: OpenJob, gate: str, pause: float) -> str:
    """Nothing wrong: an empty text, or a warning when another job was named. Else raises what the refusal means."""
    success, code, said = upload_error(reply)
    if not success:
        # The address is a secret that an error text may repeat; it goes first, while it still stands there whole.
        said = one_line(said.replace(job.url.rsplit("/", 1)[-1], "…"))
        raise _refusal(reply, code, said, gate, pause)
    return "" if uploaded_job(reply) == job.job_id else "Xandr's answer to the upload named another job"


def patience(memory: Mapping[str, Any], now: datetime, used_up: QuotaExceeded) -> str:
    """Since when this part has met a used-up quota, "" when it has not.

    Raises `Permanent` once that is a day (section 12, rule 30).
    """
    if used_up.code == "throttled":
        return str(memory.get("quota_since") or "")
    since = str(memory.get("quota_since") or now.isoformat())
    if now - datetime.fromisoformat(since) >= QUOTA_PATIENCE:
        raise Permanent(
            "The member's upload quota at Xandr has left no room for this file for a day.",
            code="quota_too_small",
            next_step="Ask Xandr for a higher quota, or lower “Largest part” of the vendor account; then retry.",
            vendor_text=used_up.vendor_text,
            status=used_up.status,
        )
    return since


def _refusal(reply: Reply, code: str, said: str, gate: str, pause: float) -> Exception:
    context: dict[str, Any] = {"vendor_text": f"{code} {said}".strip(), "status": reply.status}
    if code == "FILESIZE_LIMIT_EXCEEDED" or reply.status == 413:
        return TooLarge("Xandr says that the file is too large.", next_step=HALF_FILE, **context)
    if code == "RATE_LIMIT_EXCEEDED" and said.lower() == TOO_SLOW:
        return TooLarge(
            "The upload took longer than Xandr allows.", code="upload_too_slow", next_step=HALF_FILE, **context
        )
    if code == "RATE_LIMIT_EXCEEDED":
        return QuotaExceeded("The member's upload quota at Xandr is used up.", gate=gate, retry_after=pause, **context)
    if code.startswith("UPLOAD_URL") or reply.status in DEAD_ADDRESS:
        # Refused before anything was read: a new job has a new address (register, U13).
        return Transient("Xandr did not take the upload address any more.", code="upload_url_dead", **context)
    if reply.status in {408, 429} or code == "RATE_EXCEEDED":
        wait = reply.retry_after() or THROTTLE_PAUSE
        return QuotaExceeded("Xandr asks us to slow down.", gate=gate, retry_after=wait, code="throttled", **context)
    if not code or reply.status >= 500:
        # No word of the upload host's own: only the job's phase can tell what became of the file.
        return UnknownOutcome("Xandr's upload host did not say what became of the file.", code="answer_lost", **context)
    # The codes of this host are not all published: any refusal is a failure that a new job may mend (register, U13).
    return Transient("Xandr refused the file.", code="upload_refused", **context)
