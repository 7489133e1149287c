"""The `batch_segment_upload_job` object and what its figures mean for a part (spec sections 4, 5 and 10.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from audsync_web.vendors.connectors.base import HistoryEntry, RemoteState, RemoteStatus
from audsync_web.vendors.connectors.reading import whole

from .api import Envelope, moment, word

Job = Mapping[str, Any]

PHASES = {
    "starting": RemoteStatus.QUEUED,
    "uploading": RemoteStatus.RUNNING,
    "validating": RemoteStatus.RUNNING,
    "processing": RemoteStatus.RUNNING,
    "completed": RemoteStatus.SUCCEEDED,
    "error": RemoteStatus.FAILED,
}
SPANS = {"uploading": (0.0, 0.1), "validating": (0.1, 0.5), "processing": (0.5, 0.95)}
"""Where a phase lies on the whole way; 100 % of a phase is never the end (section 12, rule 33)."""
LINE_FAULTS = ("num_invalid_user", "num_invalid_format", "num_invalid_timestamp")
SEGMENT_FAULTS = {
    "num_invalid_segment": "Xandr does not know the segment, or did not yet when the file came",
    "num_unauth_segment": "the member may not write the segment",
    "num_inactive_segment": "the segment is inactive",
}
FIGURES = (*LINE_FAULTS, *SEGMENT_FAULTS, "num_valid", "num_valid_user", "num_past_expiration", "num_other_error")
TIMES = ("created_on", "start_time", "uploaded_time", "validated_time", "completed_time", "last_modified")
MOST_REPORT = 20 * 1024 * 1024
LONGEST_LOG = 20_000
PAIR = re.compile(r"(\d+)[:-](\d+)")


def jobs_of(envelope: Envelope) -> list[Job]:
    """Jobs of an answer: an object (Console, step 1 of both hosts) or an array (Impbus, history)."""
    found = envelope.get("batch_segment_upload_job")
    rows = [found] if isinstance(found, dict) else found
    return [row for row in rows if isinstance(row, dict) and row.get("job_id")] if isinstance(rows, list) else []


def phase_of(job: Job) -> str:
    """The vendor's own word."""
    return word(job.get("phase"))


def is_waiting(job: Job, now: datetime) -> bool:
    """Whether it counts towards the most that may wait: not ended, and no address left unused (section 12, rule 25)."""
    phase = phase_of(job)
    if phase == "starting":
        made = moment(job.get("created_on")) or moment(job.get("last_modified"))
        return made is not None and (now - made).total_seconds() <= 300
    return phase not in {"completed", "error", ""}


def forward(job: Job, seen: str) -> Job:
    """The job with the furthest of its phase and one seen before: an apparent move back is ignored (section 5)."""
    order = list(PHASES)
    phase = phase_of(job)
    back = phase in order and seen in order and order.index(phase) < order.index(seen)
    return {**job, "phase": seen, "percent_complete": None} if back else job


@dataclass(frozen=True)
class SegmentLog:
    """Users added and removed by segment id, as the vendor counts them; at most 200 segments by default."""

    added: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)


def read_segment_log(text: Any) -> SegmentLog | None:
    """Any of the three grammars of `segment_log_lines` (section 4); None when it is none of them, never a guess."""
    spaced = re.sub(r"(added:|removed:)", r" \1 ", str(text or ""))
    kept: dict[str, dict[str, int]] = {"added:": {}, "removed:": {}}
    current = kept["added:"]
    for token in spaced.split():
        if token in kept:
            current = kept[token]
            continue
        pair = PAIR.fullmatch(token)
        if pair is None:
            return None
        current[pair[1]] = int(pair[2])
    return SegmentLog(kept["added:"], kept["removed:"])


def read_error_log(text: Any) -> dict[str, int]:
    """How many lines of `error_log_lines` fall to each counter: a sample for diagnosis, never the whole."""
    counts: dict[str, int] = {}
    for line in str(text or "").splitlines():
        counter, found, _ = line.strip().partition("-")
        if found and counter.startswith("num_"):
            counts[counter[:40]] = counts.get(counter[:40], 0) + 1
    return counts


def match_rate(job: Job) -> float | None:
    """Share of users that the vendor knows, from 0 to 1 (section 4); None when it judged none."""
    valid, invalid = whole(job.get("num_valid_user")), whole(job.get("num_invalid_user"))
    total = (valid or 0) + (invalid or 0)
    return (valid or 0) / total if valid is not None and total else None


def counters_of(job: Job) -> dict[str, Any]:
    """The object for our own keeping, because the vendor forgets it after 30 days; without lines and addresses."""
    kept: dict[str, Any] = {
        name: word(job.get(name)) for name in (*TIMES, "phase", "error_code", "id") if job.get(name)
    }
    kept["percent_complete"] = whole(job.get("percent_complete"))
    if phase_of(job) != "completed":
        # Figures before the end mean nothing and are not kept (section 12, rule 34).
        return kept
    kept |= {name: whole(job.get(name)) for name in FIGURES}
    kept["time_to_process"] = word(job.get("time_to_process"))
    kept["match_rate"] = match_rate(job)
    log = read_segment_log(job.get("segment_log_lines"))
    kept["segment_log"] = str(job.get("segment_log_lines") or "")[:LONGEST_LOG]
    kept |= {"added": dict(log.added), "removed": dict(log.removed)} if log else {}
    kept["error_sample"] = read_error_log(job.get("error_log_lines"))
    return kept


def state_of(job: Job, lines: int | None = None, floor: float | None = None) -> RemoteState:
    """A job as a part's state. `lines` is what we sent, `floor` the operator's least match rate in percent."""
    phase = phase_of(job)
    if phase == "completed":
        return _completed(job, lines, floor)
    if phase == "error":
        return _failed(job)
    begin, end = SPANS.get(phase, (0.0, 0.0))
    percent = min(100, max(0, whole(job.get("percent_complete")) or 0))
    return RemoteState(
        PHASES.get(phase, RemoteStatus.UNKNOWN),
        raw=phase or "not told",
        job_id=word(job.get("job_id")),
        progress=begin + (end - begin) * percent / 100 if phase in PHASES else None,
        counters=counters_of(job),
    )


def _completed(job: Job, lines: int | None, floor: float | None) -> RemoteState:
    accepted, refused, mismatch = balance(job, lines)
    faults = [text for name, text in SEGMENT_FAULTS.items() if whole(job.get(name))]
    # A file of ours names one segment: when that is refused, nothing of the file was done.
    status = RemoteStatus.FAILED if faults and not accepted else RemoteStatus.SUCCEEDED
    rate = match_rate(job)
    low = floor is not None and rate is not None and rate * 100 < floor
    warnings = [mismatch, f"the match rate of {rate:.1%} is under the floor of {floor:g} %" if low else "", *faults]
    suspect = "; ".join(text for text in warnings if text)
    report = str(job.get("error_log_lines") or "").strip().encode()[:MOST_REPORT]
    return RemoteState(
        status,
        raw="completed",
        job_id=word(job.get("job_id")),
        accepted=accepted,
        refused=refused,
        details=_details(job, rate, faults),
        next_step="Look at the segment at Xandr, then send again." if faults else "",
        progress=1.0,
        report=report or None,
        suspect=suspect[:1].upper() + suspect[1:],
        counters=counters_of(job),
    )


def balance(job: Job, lines: int | None) -> tuple[int | None, int | None, str]:
    """Lines accepted and refused, and a sentence when the vendor's figures do not add up to what we sent.

    A line of ours is one user and one segment, so `num_valid` counts lines, and the user, format and timestamp faults
    are of one line each. Refused is what those faults name or what `num_valid` leaves over, whichever is more;
    accepted is the rest of the lines sent, so both together are always the lines sent. Where the vendor's own figures
    do not add up to them, the sentence says so.
    """
    valid = whole(job.get("num_valid"))
    faulty = sum(whole(job.get(name)) or 0 for name in LINE_FAULTS)
    if lines is None:
        return valid, faulty if valid is not None else None, ""
    if valid is None:
        return None, None, "Xandr tells no figures for the finished job"
    refused = min(lines, max(faulty, lines - valid))
    explained = any(whole(job.get(name)) for name in (*SEGMENT_FAULTS, "num_past_expiration"))
    if valid + faulty == lines or (explained and valid + faulty < lines):
        return lines - refused, refused, ""
    return lines - refused, refused, f"Xandr counts {valid + faulty} lines where {lines} were sent"


def _details(job: Job, rate: float | None, faults: list[str]) -> str:
    parts = [f"Xandr knows {rate:.1%} of the users (match rate)"] if rate is not None else []
    for name, text in (
        ("num_invalid_user", "users unknown or invalid"),
        ("num_invalid_format", "lines with format faults or repeated"),
        ("num_invalid_timestamp", "bad timestamps"),
        ("num_past_expiration", "segments with memberships already ended"),
    ):
        if count := whole(job.get(name)):
            parts.append(f"{count} {text}")
    parts += faults
    if read_segment_log(job.get("segment_log_lines")) is None:
        parts.append("per-segment counts unavailable")
    return "; ".join(parts)


def _failed(job: Job) -> RemoteState:
    code = word(job.get("error_code"))
    uploaded = moment(job.get("uploaded_time")) is not None
    where = (
        "after it had the file; some lines may have been applied" if uploaded else "in the upload; nothing was applied"
    )
    return RemoteState(
        RemoteStatus.FAILED,
        raw="error",
        job_id=word(job.get("job_id")),
        details=f"Xandr ended the job {where} (error code {code or 'not told'}).",
        next_step="Send again; if it fails again, give the job id to Xandr.",
        report=str(job.get("error_log_lines") or "").strip().encode()[:MOST_REPORT] or None,
        counters={**counters_of(job), "may_be_applied": uploaded},
        perhaps=uploaded,
    )


def history_entry(job: Job) -> HistoryEntry:
    """A job of the vendor's list. A file of ours names one segment, so its log tells which."""
    log = read_segment_log(job.get("segment_log_lines")) or SegmentLog()
    named = {*log.added, *log.removed}
    return HistoryEntry(
        job_id=word(job.get("job_id")),
        state=state_of(job),
        created_at=moment(job.get("created_on")),
        updated_at=moment(job.get("last_modified")),
        segment_id=named.pop() if len(named) == 1 else "",
    )
