"""Executions in our words: status, counts, and what may be done next (spec section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from audsync_web.vendors.connectors.base import HistoryEntry, PartPayload, PartRef, RemoteState, RemoteStatus
from audsync_web.vendors.connectors.reading import whole

from .api import cut, identifier, moment, text

STATUSES: Mapping[str, RemoteStatus] = {
    "WAITING_DEPENDENT_JOB": RemoteStatus.QUEUED,
    "SCHEDULED": RemoteStatus.QUEUED,
    "PENDING": RemoteStatus.QUEUED,
    "RUNNING": RemoteStatus.RUNNING,
    "SUCCEEDED": RemoteStatus.SUCCEEDED,
    "SUCCESS": RemoteStatus.SUCCEEDED,
    "FAILED": RemoteStatus.FAILED,
    "CANCELED": RemoteStatus.CANCELLED,
    "CANCELLED": RemoteStatus.CANCELLED,
    "LOST": RemoteStatus.FAILED,
    "EXECUTOR_NOT_RESPONDING": RemoteStatus.STALLED,
}


@dataclass(frozen=True)
class Sent:
    """What we know of a part when its execution is read."""

    lines: int
    adds: int
    executions: Sequence[str]
    """Every execution that this part was sent as, the newest last."""
    stalled_since: datetime | None
    now: datetime
    longest_stall: timedelta

    @classmethod
    def of(
        cls,
        part: PartPayload | PartRef,
        memory: Mapping[str, Any],
        job_id: str,
        now: datetime,
        longest_stall: timedelta,
    ) -> Sent:
        """From a part (payload or reference) and its memory; `job_id` counts as sent even if memory lacks it."""
        known = [str(number) for number in memory.get("executions", ())]
        since = memory.get("stalled_since")
        return cls(
            part.lines,
            part.adds,
            known if not job_id or job_id in known else [*known, job_id],
            datetime.fromisoformat(since) if since else None,
            now,
            longest_stall,
        )


def execution_state(found: Mapping[str, Any], sent: Sent) -> RemoteState:
    """One execution of M4 to M6.

    A success with failed lines is PARTIAL with both counts. Failed lines cannot be told apart (M-U27), and a repeated
    line does no harm, so `resend` asks for the whole part once more; the second time it is false, and the counts stand:
    `accepted` lines are in, `refused` ones the vendor took and turned down.
    """
    raw = cut(text(found.get("status")), 60)
    status = STATUSES.get(_word(raw), RemoteStatus.UNKNOWN)
    if status is RemoteStatus.SUCCEEDED:
        return _ended_well(found, raw, sent)
    if status is RemoteStatus.STALLED:
        return _stalled(found, raw, sent)
    details, next_step = _trouble(found, raw, status)
    counts = _counts(found) if status.is_final else (None, None)
    # A job that broke off may have worked some of its lines; which ones, nobody tells.
    perhaps = status is RemoteStatus.FAILED and (counts[0] != 0 or _word(raw) == "LOST")
    return _state(found, raw, status, counts, details, next_step, _forget_stall(sent), perhaps=perhaps)


def _word(raw: str) -> str:
    """A status without its spelling; the vendor's own stays beside ours."""
    return raw.strip().upper()


def _ended_well(found: Mapping[str, Any], raw: str, sent: Sent) -> RemoteState:
    success, failure = _counts(found)
    memory = _forget_stall(sent)
    suspect = ""
    if success is not None and failure is not None and success + failure != sent.lines:
        suspect = f"The vendor counted {success + failure} lines, {sent.lines} were sent."  # M-U26
    if not failure:
        return _state(found, raw, RemoteStatus.SUCCEEDED, (success, failure), None, "", memory, suspect=suspect)
    first = len(sent.executions) < 2
    if not sent.adds and not first:
        # M-U21: a DELETE of somebody who is not in the segment may count as a failure, and leaves what was wanted.
        warning = f"The vendor counted {failure} of {sent.lines} removals as failed; they may have left before."
        return _state(found, raw, RemoteStatus.SUCCEEDED, (sent.lines, 0), None, "", memory, suspect=warning)
    details = f"{failure} of {sent.lines} lines failed{'' if first else ' again'}.{_message(found)}"
    step = "It is sent once more by itself." if first else "Read the vendor's error file, and correct the data."
    return _state(
        found, raw, RemoteStatus.PARTIAL, (success, failure), details, step, memory, suspect=suspect, resend=first
    )


def _stalled(found: Mapping[str, Any], raw: str, sent: Sent) -> RemoteState:
    """M-U24: a job whose executor does not respond may come back; after two hours in that state it counts as failed."""
    since = sent.stalled_since or sent.now
    memory = {"stalled_since": since.isoformat()}
    if sent.now - since < sent.longest_stall:
        details = "The vendor's executor does not respond."
        return _state(found, raw, RemoteStatus.STALLED, (None, None), details, "Nothing to do: it may recover.", memory)
    details = "The vendor's executor did not respond any more."
    step = "Try again, or ask the vendor."
    return _state(found, raw, RemoteStatus.FAILED, (None, None), details, step, memory, perhaps=True)


def _trouble(found: Mapping[str, Any], raw: str, status: RemoteStatus) -> tuple[str | None, str]:
    if _word(raw) == "LOST":
        return "Lost by the vendor." + _message(found), "Try again."
    if status is RemoteStatus.FAILED:
        return "The vendor failed to import the file." + _message(found), "Read the vendor's words, then try again."
    if status is RemoteStatus.CANCELLED:
        return "Cancelled at the vendor; nothing of it was applied.", ""
    if status is RemoteStatus.UNKNOWN:
        return "The vendor uses a word for this job that we do not know.", ""
    return None, ""


def _state(
    found: Mapping[str, Any],
    raw: str,
    status: RemoteStatus,
    counts: tuple[int | None, int | None],
    details: str | None,
    next_step: str,
    memory: Mapping[str, Any],
    *,
    suspect: str = "",
    resend: bool = False,
    perhaps: bool = False,
) -> RemoteState:
    return RemoteState(
        status,
        raw=raw,
        job_id=identifier(found.get("id")),
        accepted=counts[0],
        refused=counts[1],
        details=details,
        next_step=next_step,
        progress=_progress(found),
        suspect=suspect,
        counters=_counters(found),
        resend=resend,
        perhaps=perhaps,
        memory=memory,
    )


def _forget_stall(sent: Sent) -> dict[str, Any]:
    return {"stalled_since": None} if sent.stalled_since else {}


def _result(found: Mapping[str, Any]) -> Mapping[str, Any]:
    result = found.get("result")
    return result if isinstance(result, dict) else {}


def _counts(found: Mapping[str, Any]) -> tuple[int | None, int | None]:
    result = _result(found)
    return whole(result.get("total_success")), whole(result.get("total_failure"))


def _message(found: Mapping[str, Any]) -> str:
    """The vendor's own sentence, which may accompany a success as well."""
    error = found.get("error")
    said = text(error.get("message")) if isinstance(error, dict) else text(error)
    return f" The vendor says: “{said}”." if said else ""


def _progress(found: Mapping[str, Any]) -> float | None:
    """Completed of all tasks; 0 where the vendor does not tell how many there are."""
    tasks, done = whole(found.get("num_tasks")), whole(found.get("completed_tasks"))
    return min(1.0, (done or 0) / tasks) if tasks and tasks > 0 else 0.0


def _counters(found: Mapping[str, Any]) -> dict[str, Any]:
    """The vendor's figures as they are, and when the job began and ended (end = start + duration)."""
    success, failure = _counts(found)
    started, ended = moment(found.get("start_date")), ended_at(found)
    figures: dict[str, Any] = {
        "total_success": success,
        "total_failure": failure,
        **{name: whole(found.get(name)) for name in ("num_tasks", "completed_tasks", "erroneous_tasks")},
        "started": started.isoformat() if started else None,
        "ended": ended.isoformat() if ended else None,
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def created_at(found: Mapping[str, Any]) -> datetime | None:
    """When the execution was created, where the vendor tells."""
    return moment(found.get("creation_date"))


def ended_at(found: Mapping[str, Any]) -> datetime | None:
    """When the execution ended, where the vendor tells."""
    started, duration = moment(found.get("start_date")), whole(found.get("duration"))
    return None if started is None or duration is None else started + timedelta(milliseconds=duration)


def error_file_uri(found: Mapping[str, Any]) -> str:
    """Where the failed lines are, empty where none failed (rule 19). Opaque, never parsed (M-U11)."""
    uri = _result(found).get("error_file_uri")
    return uri if isinstance(uri, str) and _counts(found)[1] else ""


def history_entry(found: Mapping[str, Any], segment_id: str, now: datetime) -> HistoryEntry:
    """One execution in the vendor's list; of foreign ones we know no line count but the vendor's."""
    success, failure = _counts(found)
    lines = None if success is None and failure is None else (success or 0) + (failure or 0)
    state = execution_state(found, Sent(lines or 0, lines or 0, (), None, now, timedelta.max))
    return HistoryEntry(
        state.job_id,
        replace(state, resend=False, next_step=""),
        created_at(found),
        updated_at=ended_at(found),
        lines=lines,
        segment_id=segment_id,
    )
