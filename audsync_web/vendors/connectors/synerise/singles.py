"""Members one by one: unassign those who left, and assign where tags are not written in batches (spec section 4.2).

A step is kept in the part's memory after each member, so that a killed worker goes on where it was, and what was done
counts even where the part is stopped. Every call may be repeated: a tag that is there stays there, and 404 means done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from audsync_web.vendors.connectors.base import Clock, Journal, PartPayload, Steps
from audsync_web.vendors.connectors.errors import NotYet, Permanent

from .profiles import Profiles

SLICE = timedelta(seconds=60)
"""Then the part is left and taken up again, so that a worker is not held for as long as the pace takes."""
LOOK_AGAIN = 5.0

Act = Callable[[int, str], str | None]
"""One member by row and identifier; answers why it was refused, empty where it was done, None where it is nobody."""
NOBODY = "nobody"


@dataclass(frozen=True)
class Walked:
    """The rows that were refused, with the reason, and those of members who are nobody there."""

    refused: Mapping[int, str]
    nobody: Sequence[int]


class Singles:
    """Walks the rows of a small part."""

    def __init__(self, profiles: Profiles, clock: Clock) -> None:
        self._profiles = profiles
        self._clock = clock

    def walk(self, part: PartPayload, journal: Journal, step: str, act: Act) -> Walked:
        """Do `act` for each row from the stored step on; answers what came of all rows. Those of members who are nobody
        there are kept in the part's memory, too."""
        rows = part.rows()
        before = Steps.of(part.memory)
        refused, nobody = dict(before.refused), list(part.memory.get(NOBODY, ()))
        started = self._clock.now()
        for row in range(before.done, len(rows)):
            if self._clock.now() - started > SLICE:
                raise NotYet("Going on with the next members in a moment.", retry_after=1.0)
            journal.intend(step, cursor=row)
            why = act(row, rows[row][1])
            if why is None:
                nobody.append(row)
            elif why:
                refused[row] = why
            kept = {NOBODY: nobody} if nobody else {}
            journal.settle(part={**Steps(row + 1, refused).as_memory(), **kept})
            journal.alive()
        return Walked(refused, nobody)

    def unassign(self, kind: str, value: str, tag_id: int) -> str | None:
        """Take the tag from the member's profile; one without a profile has no tag either, and is told by None."""
        try:
            profile = self._profiles.find(kind, value)
        except Permanent as error:
            return _row_fault(error)
        if profile is None:
            return None
        self._profiles.unassign(profile.profile_id, tag_id)
        return ""

    def assign(self, kind: str, value: str, tag: tuple[int, str], queued_at: datetime, patience: timedelta) -> str:
        """Give the member's profile the tag; a new profile may take some minutes to appear after its batch."""
        try:
            profile = self._profiles.find(kind, value)
        except Permanent as error:
            return _row_fault(error)
        if profile is None:
            if self._clock.now() - queued_at < patience:
                raise NotYet("Waiting for new profiles to appear at Synerise.", retry_after=LOOK_AGAIN)
            return "its profile did not appear at Synerise"
        if tag[1] in profile.tags or self._profiles.assign(profile.profile_id, tag[0]):
            return ""
        return "Synerise did not take the tag for its profile"


def _row_fault(error: Permanent) -> str:
    """A fault that belongs to the identifier alone; any other stops the part."""
    if error.code == "bad_path" or error.status == 400:
        return "Synerise cannot be asked for this identifier"
    raise error
