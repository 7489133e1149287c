"""What a destination's state means, in words: what publishing does, what happens next, what a person may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audsync_web.vendors.models import AccountStatus, VendorAccount

from .models import Destination, DestinationStatus, SegmentStatus, Wanted
from .renewing import can_be_renewed
from .services import identifier_label

STOPPED = (DestinationStatus.FAILED, DestinationStatus.NEEDS_ATTENTION)
SETTLED = (DestinationStatus.CREATED, DestinationStatus.PUBLISHED)
# What can be done where nobody knows who is in a linked segment.
UNKNOWN_CHOICES = (
    "Upload with “add”: those in the file join, and whoever is there already stays.",
    "For a true replace, let AudSync make a segment of its own: remove this destination, leave the segment there "
    "as it is, and add the account again without an id.",
)


# What becomes of identifiers whose outcome is not known.
NEXT_UPLOAD_MENDS = "The next upload puts it right: it sends them again, or takes them out."


def outcome_sentence(count: int) -> str:
    """That nobody knows what became of so many identifiers; none: of a list that told the vendor nothing new."""
    if not count:
        return "Whether the vendor took the list is not known."
    what = "1 identifier" if count == 1 else f"{count:,} identifiers"
    return f"The outcome of {what} is not known: the vendor may have applied its part, or still do so."


@dataclass(frozen=True)
class PublishMeaning:
    """What publishing does at one account, and whether it can be taken back there."""

    account: VendorAccount
    text: str
    is_final: bool


def publish_meaning(account: VendorAccount) -> PublishMeaning:
    """What publishing does at this account."""
    connector = account.connector
    if connector.publishing is None:
        text = f"Nothing changes: at {connector.label} a segment is live as soon as it exists."
        return PublishMeaning(account, text, False)
    return PublishMeaning(account, connector.publishing.text, connector.publishing.is_final)


def final_warning(meanings: Sequence[PublishMeaning]) -> str:
    """Where AudSync cannot undo a publish, by the names of the accounts; empty when it can everywhere."""
    names = [meaning.account.name for meaning in meanings if meaning.is_final]
    if not names:
        return ""
    where = " and ".join([", ".join(names[:-1]), names[-1]] if names[:-1] else names)
    return f"AudSync cannot undo a publish at {where}. Archiving the segment here later changes nothing there."


@dataclass(frozen=True)
class DestinationCard:
    """One destination as the page shows it."""

    destination: Any
    word: str
    now: str
    """What happens next, in one sentence; empty when nothing is to be said."""
    moves: bool
    """Whether it changes by itself within moments."""
    can_retry: bool
    can_renew: bool
    retry_warning: str

    @property
    def identifier(self) -> str:
        """What members are named by there, for people."""
        return identifier_label(self.destination.identifier)

    @property
    def choices(self) -> Sequence[str]:
        """What can be done while nobody knows who is in it."""
        return UNKNOWN_CHOICES

    @property
    def vendor_word(self) -> str:
        """The vendor's own word, where it says more than ours."""
        raw = str(self.destination.raw_state)
        return "" if raw.lower() == self.word else raw

    @property
    def unknown_membership(self) -> bool:
        """Whether the remote segment may hold members that AudSync did not bring."""
        return not self.destination.membership_known

    @property
    def uncertain(self) -> str:
        """That of some identifiers nobody knows whether they are there; empty when it is known of all."""
        count = self.destination.uncertain
        return f"{outcome_sentence(count)} {NEXT_UPLOAD_MENDS}" if count else ""

    @property
    def is_waiting(self) -> bool:
        """Whether its text is our own waiting, which is no fault."""
        return bool(self.destination.error_text) and not self.destination.error_code


def destination_card(destination: Any) -> DestinationCard:
    """A destination that was read by `destinations_shown`, in words."""
    stopped = destination.status in STOPPED
    held = not destination.vendor_account.is_working
    moves = not stopped and not held and destination.next_action_at is not None
    return DestinationCard(
        destination=destination,
        word=_word(destination),
        now=_now(destination),
        moves=moves or (not stopped and not held and destination.status not in SETTLED),
        can_retry=stopped,
        can_renew=not stopped and destination.wanted != Wanted.RELEASED and can_be_renewed(destination),
        retry_warning=_retry_warning(destination) if stopped else "",
    )


def _word(destination: Destination) -> str:
    if destination.status in STOPPED:
        return str(destination.status)
    if destination.wanted == Wanted.RELEASED:
        return "removing"
    if destination.intent and destination.error_code:
        return "checking with the vendor"
    return "stalled" if destination.is_stalled else str(destination.status)


def _now(destination: Destination) -> str:
    account = destination.vendor_account
    if destination.status in STOPPED:
        return ""
    busy = destination.next_action_at is not None or destination.status not in SETTLED
    if busy and account.status == AccountStatus.PAUSED:
        return f"Waits: {account.name} is paused."
    if busy and account.status == AccountStatus.NEEDS_ATTENTION:
        return f"Waits: {account.name} needs attention. It goes on by itself when the account works again."
    if destination.wanted == Wanted.RELEASED:
        return "Its members are taken out first." if destination.is_emptied_first else "It is being removed."
    if destination.intent and destination.error_code:
        return "An answer was lost. AudSync looks at the vendor before it sends anything again."
    if destination.memory.get("rename"):
        return "The new name is on its way to the vendor."
    return ""


def removal_warning(destination: Destination) -> str:
    """What may be left over when a destination is removed whose making has no known outcome."""
    if not _has_lost_create(destination):
        return ""
    label = destination.vendor_account.connector.label
    return (
        f"The answer to creating this segment was lost, so {label} may hold one already. AudSync looks for it once "
        f"more. If {label} cannot tell, the destination goes all the same; what may be left there is empty, has "
        f"{destination.segment.technical_name} in its name, and is to be removed at {label} by hand."
    )


def _has_lost_create(destination: Destination) -> bool:
    return (destination.intent or {}).get("step") == "create" and not destination.remote_id


def _retry_warning(destination: Destination) -> str:
    """What may be left over when a create whose answer was lost is repeated."""
    if not _has_lost_create(destination):
        return ""
    if destination.wanted == Wanted.RELEASED:
        return removal_warning(destination)
    label = destination.vendor_account.connector.label
    return (
        f"The answer to creating this segment was lost, so {label} may hold a stray one already. "
        "Trying again makes another under a new name; look at the vendor first if you can."
    )


def segment_word(status: str, cards: Sequence[DestinationCard]) -> str:
    """The segment's status; while it is still being made at a vendor, that."""
    is_made = all(card.word != DestinationStatus.CREATING for card in cards)
    return status if is_made or status != SegmentStatus.CREATED else str(DestinationStatus.CREATING)


def publish_label(status: str, destinations: Sequence[Destination]) -> str:
    """The words of the publish button; empty when there is nothing to publish."""
    if status in {SegmentStatus.ARCHIVED, SegmentStatus.PUBLISHED} or not destinations:
        return ""
    wanted = any(row.wanted == Wanted.PUBLISHED for row in destinations)
    if not wanted:
        return "Publish"
    return "Publish again" if any(row.status in STOPPED for row in destinations) else ""
