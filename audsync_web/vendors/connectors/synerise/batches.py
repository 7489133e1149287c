"""Profile batches: one call a part, answers by row, one second try in smaller pieces (spec sections 4.2 and 7.8–7.11).

A batch is an upsert, so sending it again after a lost answer does no harm and, unlike a look at the profiles, tells
which rows were refused: reconciliation answers that nothing is there, and the engine sends it once more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from audsync_web.vendors.connectors.base import (
    Journal,
    PartPayload,
    Refusal,
    RemoteState,
    RemoteStatus,
    Steps,
)
from audsync_web.vendors.connectors.errors import ConnectorError, UnknownOutcome
from audsync_web.vendors.connectors.streams import SizedStream

from .session import Session
from .wire import BatchAnswer, read_batch_answer

BATCH = "/v4/clients/batch"
READ_HERE = (400, 409, 413, 422)
"""Refusals of the body, which may name rows; rights, pace and outages are the client's."""
IN_HALVES = (400, 413)
"""Refusals that may be due to the size of the batch, where no row is named (section 7.10)."""
TIMEOUT = 60.0


class Batches:
    """Sends finished parts as batches."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, part: PartPayload, journal: Journal, *, tags: bool) -> BatchAnswer:
        """The part as it is; where the vendor took nothing of it, once more without its bad rows or in halves.

        Each answer is stored before the next call, so that a killed worker sends again only what was not answered.
        `tags`: the batch writes tags, so a piece that was taken counts as a step.
        """
        first = self._whole(part, journal)
        if first.taken:
            return first
        with part.open() as stream:
            items: list[Any] = json.loads(stream.read())
        return self._pieces(items, pieces_of(first, len(items)), first, part.memory, journal, tags=tags)

    def _whole(self, part: PartPayload, journal: Journal) -> BatchAnswer:
        stored = part.memory.get("whole")
        if stored is not None:
            return from_memory(stored)
        with part.open() as stream:
            answer = self._call(SizedStream(stream, part.bytes, on_sent=journal.waiting), part.lines)
        if not answer.taken:
            journal.settle(part={"whole": to_memory(answer)})
        return answer

    def _pieces(
        self,
        items: Sequence[Any],
        pieces: Sequence[Sequence[int]],
        first: BatchAnswer,
        memory: Mapping[str, Any],
        journal: Journal,
        *,
        tags: bool,
    ) -> BatchAnswer:
        before = Steps.of(memory.get("pieces", {}))
        refused, said = {**first.refused, **before.refused}, first.said
        for number, rows in enumerate(pieces):
            if rows[-1] < before.done:
                continue
            journal.intend("batch", piece=number)
            body = json.dumps([items[row] for row in rows], ensure_ascii=False, separators=(",", ":")).encode()
            answer = self._call(body, len(rows))
            said = answer.said or said
            for place, row in enumerate(rows):
                if place in answer.refused or not answer.taken:
                    refused[row] = answer.refused.get(place, f"refused with status {answer.status}")
            done = rows[-1] + 1
            steps = Steps(done, {row: why for row, why in refused.items() if row < done}).as_memory()
            journal.settle(part={"pieces": steps, **(steps if tags else {})})
        taken = bool(pieces) and len(refused) < len(items)
        return BatchAnswer(taken, first.status, dict(sorted(refused.items())), said)

    def _call(self, body: bytes | SizedStream, items: int) -> BatchAnswer:
        reply = self._session.effect("POST", BATCH, data=body, accept=READ_HERE, timeout=TIMEOUT)
        return read_batch_answer(reply, items, "" if reply.ok else self._session.client.said(reply))


def pieces_of(first: BatchAnswer, items: int) -> list[list[int]]:
    """The rows that go out again after a batch of which nothing was taken, in one piece or two (section 7.10)."""
    good = [row for row in range(items) if row not in first.refused]
    if first.refused:
        return [good] if good else []
    middle = (len(good) + 1) // 2
    halves = [good[:middle], good[middle:]] if first.status in IN_HALVES else []
    return [half for half in halves if half]


def to_memory(answer: BatchAnswer) -> dict[str, Any]:
    """An answer as the part's memory keeps it, until its other calls are done."""
    return {
        "taken": answer.taken,
        "status": answer.status,
        "refused": [[row, why] for row, why in answer.refused.items()],
        "said": answer.said,
    }


def from_memory(stored: Mapping[str, Any]) -> BatchAnswer:
    """The answer that `to_memory` kept."""
    refused = {int(row): str(why) for row, why in stored.get("refused", ())}
    return BatchAnswer(bool(stored["taken"]), int(stored["status"]), refused, str(stored.get("said", "")))


def state_of(part: PartPayload, answer: BatchAnswer, details: str = "") -> RemoteState:
    """A batch is acknowledged once good items are queued; 202 and 207 mean queued, not applied (section 7.9)."""
    refusals = [Refusal(row, why) for row, why in answer.refused.items()]
    rows = part.rows() if refusals else ()
    # Refused members need not be read back when the delivery is confirmed.
    memory = {"leftOut": [digest(rows[row][1]) for row in answer.refused if row < len(rows)]} if refusals else {}
    if not answer.taken:
        return RemoteState(
            RemoteStatus.FAILED,
            raw=str(answer.status),
            accepted=0,
            refused=part.lines,
            details=f"Synerise refused the whole batch with status {answer.status}. {answer.said}".strip(),
            next_step="Correct what it complains about, then retry.",
            refusals=refusals,
        )
    word = "partly queued" if answer.refused else "queued"
    # A batch that was refused as a whole was taken in pieces.
    raw = f"{answer.status} {word}" if 200 <= answer.status < 300 else f"{answer.status}, then {word}"
    return RemoteState(
        RemoteStatus.SUCCEEDED,
        raw=raw,
        accepted=part.lines - len(answer.refused),
        refused=len(answer.refused),
        refusals=refusals,
        details=details or None,
        memory=memory,
    )


def digest(value: str) -> str:
    """A stand-in for an identifier in a part's memory."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def after_lost_answer(part: PartPayload, journal: Journal, lost: UnknownOutcome) -> ConnectorError:
    """The first lost answer of a part is looked into; a vendor that keeps failing is tried again ever more slowly.

    Every call may be repeated (section 7.10), so from the second on it is a fault like any other, with its backoff.
    """
    times = int(part.memory.get("lost", 0)) + 1
    journal.settle(part={"lost": times})
    if times > 1:
        return lost.as_transient()
    journal.intend("send", lost=times)
    return lost
