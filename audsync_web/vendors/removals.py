"""Taking an identifier or a profile away at a vendor, for good: looked up before, sent once, looked up after.

The audit trail holds an intent before the call and the outcome after it, with the value masked; the two together are
the receipt. An intent without an outcome says that nobody knows, and that somebody has to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils import timezone

from audsync_web.people import audit
from audsync_web.people.actors import Actor
from audsync_web.people.models import AuditEntry

from .connectors.errors import ConnectorError, Permanent, Transient, UnknownOutcome
from .connectors.identifiers import KINDS
from .masking import masked
from .models import AccountStatus, VendorAccount

REMOVE_IDENTITY = "identity.remove"
ERASE_PROFILE = "profile.erase"
BEGUN = ".begin"
THROTTLED = 429
# A request that has not told its outcome by then has died.
STILL_RUNNING = timedelta(minutes=3)

UNCONFIRMED = "This is not the value that was looked up, letter for letter. Nothing was removed."

# The outcomes, as the audit trail spells them.
REMOVED, STILL, NOTHING, GONE, LOST, REFUSED = (
    "removed", "still there", "nothing to remove", "gone", "not known", "refused"
)  # fmt: skip
OUTCOMES = (REMOVED, STILL, NOTHING, GONE, LOST, REFUSED)


class CountChanged(ValidationError):
    """By now another number of records holds it than the person was shown; nothing was sent."""

    def __init__(self, found: int, shown: int) -> None:
        text = f"It is on {found} by now, and you were shown {shown}. Nothing was removed; look again."
        super().__init__({"confirm": text})
        self.found = found


@dataclass(frozen=True)
class Removal:
    """What is to be taken away. `count` looks up how many records hold it; `send` takes it away, once, and answers
    how many records the vendor says it changed, None when it does not say."""

    action: str
    name: str
    value: str = field(repr=False)
    count: Callable[[], int]
    send: Callable[[], int | None]


@dataclass(frozen=True)
class Receipt:
    """A removal as the audit trail tells it. `left` is what the look-up afterwards found, None when it could not."""

    entry: AuditEntry
    ended: AuditEntry | None
    error: ConnectorError | None = None

    @property
    def number(self) -> int:
        """The receipt's number within AudSync."""
        return self.entry.pk

    @property
    def name(self) -> str:
        """The identifier's name."""
        return str(self.entry.detail.get("identifier", ""))

    @property
    def label(self) -> str:
        """How pages call the identifier: the vendor's own name of it, or our kind in words."""
        ours = KINDS.get(self.name) if self.entry.action == ERASE_PROFILE + BEGUN else None
        return ours.label if ours else self.name

    @property
    def value(self) -> str:
        """The identifier, masked."""
        return str(self.entry.detail.get("value", ""))

    @property
    def found(self) -> int | None:
        """How many records held it when it was looked up before."""
        return _number(self.entry, "found")

    @property
    def changed(self) -> int | None:
        """How many records the vendor says it changed."""
        return _number(self.ended, "changed")

    @property
    def left(self) -> int | None:
        """How many records still held it when it was looked up afterwards."""
        return _number(self.ended, "left")

    @property
    def outcome(self) -> str:
        """One of the outcomes; `running` until it is told, `not known` when it never was."""
        if self.ended is not None:
            return str(self.ended.detail.get("outcome", LOST))
        return "running" if timezone.now() - self.entry.at < STILL_RUNNING else LOST

    @property
    def ended_at(self) -> datetime | None:
        """When the outcome was told."""
        return self.ended.at if self.ended else None


def _number(entry: AuditEntry | None, name: str) -> int | None:
    found = entry.detail.get(name) if entry else None
    return found if isinstance(found, int) else None


def require_leave(actor: Actor, account: VendorAccount) -> None:
    """Raise where nothing may be changed at the vendor: `NotAllowed` by role, `Permanent` while it is paused."""
    actor.require_manager()
    if account.status == AccountStatus.PAUSED:
        raise Permanent(
            "The vendor account is paused, so nothing is changed there.",
            code="account_paused",
            next_step="Resume the account first.",
        )


def require_confirmation(value: str, confirm: str) -> None:
    """Raise `ValidationError` on `confirm` unless it is the value itself, letter for letter."""
    if confirm != value:
        raise ValidationError({"confirm": UNCONFIRMED})


def carry_out(*, actor: Actor, account: VendorAccount, removal: Removal, expected: int | None = None) -> Receipt:
    """Look up, tell the audit trail what is about to be done, do it once, look up again, tell what came of it.

    `expected` is how many records the person was shown; when it is another number by now, `CountChanged` and nothing is
    sent. What the vendor says is not taken for granted: `still there` is what the look-up afterwards finds all the
    same. A lost answer is no error here: the receipt's outcome is `gone` when that look-up finds nothing, else `not
    known`. What the vendor refused is told to the trail and raised, unless it was done nevertheless.
    """
    found = removal.count()
    if expected is not None and expected != found:
        raise CountChanged(found, expected)
    told: dict[str, Any] = {"identifier": removal.name, "value": masked(removal.value), "found": found}
    begun = audit.record(actor, removal.action + BEGUN, account, **told)
    if not found:
        return _ended(actor, account, removal, begun, outcome=NOTHING, changed=0, left=0)
    try:
        changed = removal.send()
    except ConnectorError as error:
        if _may_be_done(error):
            left = _left(removal)
            if isinstance(error, UnknownOutcome) or not left:
                outcome = GONE if left == 0 else LOST
                return _ended(actor, account, removal, begun, error=error, outcome=outcome, changed=None, left=left)
        _ended(actor, account, removal, begun, outcome=REFUSED, reason=error.code)
        raise
    left = _left(removal)
    return _ended(actor, account, removal, begun, outcome=STILL if left else REMOVED, changed=changed, left=left)


def _may_be_done(error: ConnectorError) -> bool:
    """Whether the vendor may have done it all the same: the answer was lost, or an outage asked to be called later.
    What was never sent has no status, and 429 says that nobody looked at it."""
    asked_later = isinstance(error, Transient) and error.status not in (None, THROTTLED)
    return isinstance(error, UnknownOutcome) or asked_later


def _left(removal: Removal) -> int | None:
    try:
        return removal.count()
    except ConnectorError:
        return None  # the receipt says that it could not be looked up again


def _ended(
    actor: Actor,
    account: VendorAccount,
    removal: Removal,
    begun: AuditEntry,
    *,
    error: ConnectorError | None = None,
    **detail: Any,
) -> Receipt:
    told: dict[str, Any] = {"identifier": removal.name, "value": masked(removal.value), "receipt": begun.pk}
    return Receipt(begun, audit.record(actor, removal.action, account, **told, **detail), error)


# --- receipts --------------------------------------------------------------------------------------------------------


def removals_of(account: VendorAccount, action: str) -> QuerySet[AuditEntry]:
    """The intents of an account's removals, for paging."""
    return AuditEntry.objects.filter(
        company=account.company_id, object_type="vendoraccount", object_id=str(account.pk), action=action + BEGUN
    )


def with_outcome(
    entries: QuerySet[AuditEntry], account: VendorAccount, action: str, outcome: str
) -> QuerySet[AuditEntry]:
    """Of an account's intents those that came to an outcome; what was never told is not known."""
    ended = AuditEntry.objects.filter(
        company=account.company_id, object_type="vendoraccount", object_id=str(account.pk), action=action
    ).annotate(of=Cast(KeyTextTransform("receipt", "detail"), BigIntegerField()))
    came = Q(pk__in=ended.filter(detail__outcome=outcome).values("of"))
    return entries.filter(came | ~Q(pk__in=ended.values("of"))) if outcome == LOST else entries.filter(came)


def receipts(entries: Iterable[AuditEntry]) -> list[Receipt]:
    """The intents with their outcomes, in one query."""
    begun = list(entries)
    if not begun:
        return []
    first = begun[0]
    ended = AuditEntry.objects.filter(
        company=first.company_id,
        action=first.action.removesuffix(BEGUN),
        pk__gt=min(entry.pk for entry in begun),
        detail__receipt__in=[entry.pk for entry in begun],
    )
    by_intent = {entry.detail["receipt"]: entry for entry in ended}
    return [Receipt(entry, by_intent.get(entry.pk)) for entry in begun]
