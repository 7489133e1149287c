"""A small engine that walks a delivery to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from audsync_web.vendors.connectors.base import (
    CannotTell,
    Connector,
    DeliveryContext,
    Found,
    RemoteState,
)
from audsync_web.vendors.connectors.errors import Transient, UnknownOutcome

from .fakes import RecordingJournal
from .parts import FilePayload


class Undecidable(Exception):
    """A reconciliation that could not tell; a person would be asked."""

    def __init__(self, answer: CannotTell) -> None:
        super().__init__(answer.text)
        self.answer = answer


def _writable(memory: Mapping[str, Any]) -> MutableMapping[str, Any]:
    assert isinstance(memory, MutableMapping), "the journal merges outcomes into it"
    return memory


class MiniEngine:
    """Walks one delivery the way the product does: intent, send, reconcile after a lost answer, poll to the end.

    `advance` moves the time, for the vendor as well; `most_sends` bounds how often one part may be sent.
    """

    LOOKS = 2
    BETWEEN_LOOKS = 6.0

    def __init__(self, connector: Connector, advance: Callable[[float], None], *, most_sends: int = 4) -> None:
        self.connector = connector
        self.clock = connector.services.clock
        self.advance = advance
        self.most_sends = most_sends
        self.claimed: set[str] = set()
        self.sends = 0
        self.journals: list[RecordingJournal] = []

    def deliver(self, delivery: DeliveryContext, parts: Sequence[FilePayload]) -> list[RemoteState]:
        """Every part, one after the other, to its end."""
        return [self.follow(delivery, part, self.send(delivery, part)) for part in parts]

    def send(self, delivery: DeliveryContext, part: FilePayload) -> RemoteState:
        """One part, until the vendor has it exactly once."""
        journal = RecordingJournal(self.clock, _writable(part.memory), _writable(delivery.memory))
        self.journals.append(journal)
        for _ in range(self.most_sends):
            journal.intend("send")
            self.sends += 1
            try:
                state = self.connector.send_part(delivery, part, journal)
            except UnknownOutcome:
                found = self._look(delivery, part, journal)
                if found is None:
                    continue
                state = found
            except Transient as later:
                # Nothing was done at the vendor, so the part waits for its turn again.
                self.advance(later.retry_after or 2.0)
                continue
            journal.settle(part=state.memory)
            self.claimed.add(state.job_id)
            return state
        raise AssertionError(f"sent {self.most_sends} times without an outcome")

    def answered(self, delivery: DeliveryContext, part: FilePayload) -> tuple[RemoteState, RecordingJournal]:
        """One send whose answer is never stored, as if the worker died with it: what it was, and what was kept."""
        journal = RecordingJournal(self.clock, _writable(part.memory), _writable(delivery.memory))
        journal.intend("send")
        return self.connector.send_part(delivery, part, journal), journal

    def resume(self, delivery: DeliveryContext, part: FilePayload, journal: RecordingJournal) -> RemoteState:
        """What the next worker does with such a part: it looks where an intent stands, and sends where none does."""
        found = self._look(delivery, part, journal) if journal.intent else None
        return found or self.send(delivery, part)

    def _look(self, delivery: DeliveryContext, part: FilePayload, journal: RecordingJournal) -> RemoteState | None:
        assert journal.intent is not None, "the answer was lost, so an intent must stand"
        for _ in range(self.LOOKS):
            answer = self.connector.reconcile_part(delivery, part, journal.intent, frozenset(self.claimed))
            if isinstance(answer, Found):
                return answer.value
            if isinstance(answer, CannotTell):
                raise Undecidable(answer)
            self.advance(self.BETWEEN_LOOKS)
        return None

    def follow(self, delivery: DeliveryContext, part: FilePayload, state: RemoteState, most: int = 200) -> RemoteState:
        """Poll until the vendor's job has ended; the time between looks is moved, not slept."""
        sent_at, polls = self.clock.now(), 0
        while not state.status.is_final:
            assert polls < most, f"no end after {polls} looks: {state.raw}"
            waited = (self.clock.now() - sent_at).total_seconds()
            self.advance(max(1.0, self.connector.next_poll(waited, polls)))
            state = self.connector.poll_part(delivery, part.ref(state, sent_at))
            _writable(part.memory).update(state.memory)
            polls += 1
        return state
