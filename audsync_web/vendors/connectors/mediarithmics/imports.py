"""Document imports and their executions: the calls M1 to M7 of the spec, and their reading in our words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from audsync_web.vendors.connectors.base import (
    Clock,
    DeliveryContext,
    Journal,
    PartPayload,
    PartRef,
    RemoteState,
    RemoteStatus,
)
from audsync_web.vendors.connectors.errors import (
    AuthenticationFailed,
    ConnectorError,
    Permanent,
    Transient,
    UnknownOutcome,
    unreadable,
)
from audsync_web.vendors.connectors.fields import AccountConfig
from audsync_web.vendors.connectors.streams import SizedStream

from .api import Api, identifier
from .commands import MIME_TYPE
from .executions import Sent, created_at, error_file_uri, execution_state

IMPORTS = "/datamarts/{dm}/document_imports"
EXECUTIONS = IMPORTS + "/{imp}/executions"

CLOCK_SKEW = timedelta(seconds=120)
"""How far the vendor's clock may be behind ours when we look for what we have just sent (rule 15)."""
LONGEST_NAME = 120
"""M-U8."""
CONFLICT_WAIT = 60.0
"""Seconds until a file that met a conflict is tried again; most likely another execution was running."""
REPORT_TRIES = 3
"""Looks at an ended job for which its error file may be out of reach before the job counts without it."""


def import_name(delivery: DeliveryContext, number: int, renewals: int = 0) -> str:
    """The unique name of a delivery's import: segment, date, run, and a digest of the delivery's key (M-U8)."""
    digest = hashlib.sha256(delivery.key.encode()).hexdigest()[:16]
    made = f"{delivery.planned_at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
    tail = f" {made} run {delivery.number} {digest}-{number}{'+' * renewals}"
    return delivery.segment.technical_name[: LONGEST_NAME - len(tail)] + tail


class Imports:
    """The document imports of one data mart."""

    def __init__(self, api: Api, config: AccountConfig, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._datamart = {"dm": config.settings["datamartId"]}
        self._priority = config.settings["priority"]
        self._longest_stall = timedelta(minutes=config.settings["stalledMinutes"])

    # --- imports (M1, M2)

    def listed(self, keywords: str = "") -> Iterator[dict[str, Any]]:
        """Imports as the vendor lists them."""
        return self._api.pages(IMPORTS, self._datamart, **({"keywords": keywords} if keywords else {}))

    def named(self, name: str) -> str:
        """The id of the import of exactly this name, empty where there is none (rule 16)."""
        return next((identifier(found.get("id")) for found in self.listed(name) if found.get("name") == name), "")

    def create(self, name: str, content_type: str) -> str:
        """A new import; answers its id. `priority` is left to the vendor unless chosen (M-U9)."""
        body = {
            "document_type": "USER_SEGMENT",
            "mime_type": MIME_TYPE[content_type],
            "encoding": "utf-8",
            "name": name,
            **({"priority": self._priority} if self._priority else {}),
        }
        return _id_of(self._api.call("POST", IMPORTS, self._datamart, body))

    # --- executions (M4 to M6)

    def post(self, import_id: str, part: PartPayload, content_type: str, journal: Journal) -> dict[str, Any]:
        """The file as the raw body of a new execution, from disk and with its length (rule 12)."""
        try:
            with part.open() as source:
                body = SizedStream(source, part.bytes, journal.alive)
                found = self._api.post_file(EXECUTIONS, self._values(import_id), content_type, body)
        except Permanent as refusal:
            if refusal.status != 409:
                raise
            raise Transient(
                "The vendor reports a conflict with another import.",
                code="conflict",
                retry_after=CONFLICT_WAIT,
                vendor_text=refusal.vendor_text,
                status=refusal.status,
                reference=refusal.reference,
            ) from None
        _id_of(found)
        return found

    def executions(self, import_id: str) -> list[dict[str, Any]]:
        """All executions of an import (at most 200), newest first by their own dates, whatever the vendor's order."""
        listed = self._api.pages(EXECUTIONS, self._values(import_id))
        return sorted(listed, key=lambda found: created_at(found) or datetime.min.replace(tzinfo=UTC), reverse=True)

    def execution(self, import_id: str, job_id: str) -> dict[str, Any] | None:
        """One execution out of the list: reading it by its id is not promised (M-U7)."""
        listed = self._api.pages(EXECUTIONS, self._values(import_id))
        return next((found for found in listed if identifier(found.get("id")) == job_id), None)

    def created_since(self, import_id: str, start: datetime, held: frozenset[str]) -> list[dict[str, Any]]:
        """Executions since our start that nobody holds, newest first. One without a date is new: the import is ours."""
        since = start - CLOCK_SKEW
        return [
            found
            for found in self.executions(import_id)
            if identifier(found.get("id")) not in held and (created_at(found) or since) >= since
        ]

    def cancel(self, import_id: str, job_id: str) -> None:
        """M6. What came of it is read afterwards: a lost answer and a refusal (it has started) change nothing here."""
        values = {**self._values(import_id), "ex": job_id}
        try:
            self._api.call("POST", EXECUTIONS + "/{ex}/action", values, {"action": "CANCEL"})
        except AuthenticationFailed:
            raise
        except (UnknownOutcome, Permanent):
            return

    # --- reading

    def state(
        self, found: Mapping[str, Any], part: PartPayload | PartRef, memory: Mapping[str, Any], job_id: str = ""
    ) -> RemoteState:
        """An execution as the state of the part that it carries."""
        return execution_state(found, Sent.of(part, memory, job_id, self._clock.now(), self._longest_stall))

    def adopted(self, found: Mapping[str, Any], part: PartPayload, import_id: str) -> RemoteState:
        """The state of an execution that now belongs to the part, with all that later looks need to know.

        One that has ended meanwhile and left an error file is answered as running: the next look fetches the file.
        """
        state = self.state(found, part, part.memory, identifier(found.get("id")))
        executions = [*(str(number) for number in part.memory.get("executions", ())), state.job_id]
        memory = {**state.memory, "import_id": import_id, "executions": executions, "report_tries": 0}
        return replace(_still_open(state) if _has_report(found, state) else state, memory=memory)

    def with_report(self, found: Mapping[str, Any], state: RemoteState, memory: Mapping[str, Any]) -> RemoteState:
        """With the vendor's file of failed lines (rule 19); that it cannot be had changes nothing else.

        `memory` is the part's: a file that is out of reach for a moment is asked for again at the next looks.
        """
        if not _has_report(found, state):
            return state
        try:
            return replace(state, report=self._api.data_file(error_file_uri(found)))
        except Transient as wait:
            tries = int(memory.get("report_tries", 0)) + 1
            if tries < REPORT_TRIES:
                return replace(_still_open(state), memory={**state.memory, "report_tries": tries})
            return _without_report(state, wait)
        except ConnectorError as error:
            return _without_report(state, error)

    def _values(self, import_id: str) -> dict[str, str]:
        return {**self._datamart, "imp": import_id}


def _has_report(found: Mapping[str, Any], state: RemoteState) -> bool:
    return state.status.is_final and error_file_uri(found) != ""


def _still_open(state: RemoteState) -> RemoteState:
    """A job that has ended and is looked at once more, because its error file is still to come."""
    return replace(
        state,
        status=RemoteStatus.RUNNING,
        accepted=None,
        refused=None,
        resend=False,
        details="The vendor's job has ended; its error file is being fetched.",
        next_step="",
    )


def _without_report(state: RemoteState, error: ConnectorError) -> RemoteState:
    return replace(state, details=f"{state.details or ''} Its error file could not be fetched: {error.text}".strip())


def _id_of(made: Mapping[str, Any]) -> str:
    found = identifier(made.get("id"))
    if not found:
        raise unreadable("mediarithmics", effect=True)
    return found
