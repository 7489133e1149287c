"""What the mediarithmics sandbox keeps: organisations' tokens, data marts, segments, imports and executions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any

from .commands import Command

TERMINAL = frozenset({"SUCCEEDED", "SUCCESS", "FAILED", "CANCELED", "LOST"})


def millis(moment: datetime) -> int:
    """Epoch milliseconds, the vendor's form of a moment."""
    return int(moment.timestamp() * 1000)


@dataclass
class Grant:
    """What a token may do: one organisation and its data marts."""

    organisation_id: str
    datamarts: frozenset[str]


@dataclass
class Segment:
    """An audience segment. `members` maps a user's key to the epoch second of leaving, 0 for never."""

    id: str
    datamart_id: str
    organisation_id: str
    created_at: datetime
    values: dict[str, Any]
    members: dict[str, float] = field(default_factory=dict)
    next_end: float = inf
    """No member leaves before this epoch second, so that a look at a large segment need not go through all of them."""

    def shown(self) -> dict[str, Any]:
        """The segment as M8 to M10 answer it."""
        return {
            **self.values,
            "id": self.id,
            "datamart_id": self.datamart_id,
            "organisation_id": self.organisation_id,
            "creation_ts": millis(self.created_at),
            "user_points_count": len(self.members),
        }

    def expire(self, now: float) -> None:
        """Drop the members whose time has passed (emulator rule 16)."""
        if now < self.next_end:
            return
        self.members = {key: end for key, end in self.members.items() if not end or end > now}
        self.next_end = min((end for end in self.members.values() if end), default=inf)

    def put(self, key: str, end: float) -> None:
        """Put a user in, or refresh one who is; `end` 0 is for ever."""
        self.members[key] = end
        if end:
            self.next_end = min(self.next_end, end)


@dataclass
class Import:
    """A document import: a definition that files are posted against."""

    id: str
    datamart_id: str
    values: dict[str, Any]
    executions: list[Execution] = field(default_factory=list)
    answer_lost: bool = False
    """The answer to a posted file never arrived, and nobody has listed the executions since."""

    def shown(self) -> dict[str, Any]:
        """The import as M1 to M3 answer it."""
        return {"id": self.id, "datamart_id": self.datamart_id, "datafarm_key": "DF_SANDBOX", **self.values}


@dataclass
class Plan:
    """How an execution will go, fixed when it is created: the words it passes through and its times in seconds."""

    begin: str = "PENDING"
    middle: str = "RUNNING"
    end: str = "SUCCEEDED"
    queue_seconds: float = 2.0
    run_seconds: float = 3.0
    message: str = ""


@dataclass
class Execution:
    """One file on its way through the vendor."""

    id: str
    document_import: Import
    organisation_id: str
    created_at: datetime
    plan: Plan
    lines: int
    commands: list[Command]
    bad: list[tuple[int, str, str]]
    """Line number, reason and text of lines that failed the checks."""
    status: str
    success: int = 0
    failure: int = 0
    applied: bool = False
    ended_at: datetime | None = None
    started_at: datetime | None = None
    done_share: float = 0.0
    input_uri: str = ""
    error_uri: str = ""
    error_file: bytes = b""

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL

    def shown(self, *, tasks: str = "") -> dict[str, Any]:
        """The execution as M4 to M6 answer it; `tasks` is `null` or `text` to send the counters in that form."""
        duration = millis(self.ended_at) - millis(self.started_at) if self.ended_at and self.started_at else None
        numbers: tuple[Any, Any] = (4, int(4 * self.done_share)) if self.started_at else (None, None)
        if tasks == "null":
            numbers = (None, None)
        elif tasks == "text" and self.started_at:
            numbers = (str(numbers[0]), str(numbers[1]))
        return {
            "id": self.id,
            "status": self.status,
            "creation_date": millis(self.created_at),
            "start_date": millis(self.started_at) if self.started_at else None,
            "duration": duration,
            "organisation_id": self.organisation_id,
            "user_id": "2044",
            "num_tasks": numbers[0],
            "completed_tasks": numbers[1],
            "erroneous_tasks": 0 if self.started_at else None,
            "parameters": {
                "datamart_id": int(self.document_import.datamart_id),
                "document_import_id": int(self.document_import.id),
                "document_type": self.document_import.values["document_type"],
                "file_uri": self.input_uri,
            },
            "result": self._result(),
            "error": self._error(),
        }

    def _result(self) -> dict[str, Any] | None:
        if self.status not in {"SUCCEEDED", "SUCCESS"} and not self.error_uri:
            return None
        return {
            "total_success": self.success,
            "total_failure": self.failure,
            "input_file_uri": self.input_uri,
            "input_file_name": f"execution-{self.id}",
            "error_file_uri": self.error_uri or None,
        }

    def _error(self) -> dict[str, str] | None:
        if self.plan.message and self.status in {"FAILED", "LOST"}:
            return {"message": self.plan.message}
        if self.is_final and self.failure:
            return {"message": f"{self.failure} lines could not be imported"}
        return None


@dataclass
class Datamart:
    """A data mart of an organisation."""

    id: str
    organisation_id: str
    compartments: list[dict[str, Any]]
    imports: dict[str, Import] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)

    @property
    def default_compartment(self) -> str:
        """The compartment of an account id that names none (emulator rule 17)."""
        return next(str(c["compartment_id"]) for c in self.compartments if c["default"])

    def executions(self) -> list[Execution]:
        """Every execution, oldest first within an import."""
        return [execution for found in self.imports.values() for execution in found.executions]
