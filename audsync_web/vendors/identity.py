"""Identity at a vendor: filters, look-ups and removal, for people who wait before a page or a call.

Identifiers of people pass through here. They go to the vendor and back to the person who asked, and nowhere else: the
audit trail gets them masked, and no log, URL or error text gets them at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.views.decorators.debug import sensitive_variables

from audsync_web.people import audit
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company

from .asking import asking
from .connectors.errors import ConnectorError, UnknownOutcome
from .connectors.fields import fingerprint
from .connectors.identity import BOTH_FALSE, Identity, IdentityConnector, IdentityFilter
from .connectors.registry import VENDORS, connector_class
from .masking import masked
from .models import AccountStatus, VendorAccount
from .removals import REMOVE_IDENTITY, Receipt, Removal, carry_out, require_confirmation, require_leave
from .runtime import connector_for

logger = logging.getLogger(__name__)

PREFLIGHT_WITHIN = 3.0
KEPT_SECONDS = 60
LONGEST_NAME = 200
LONGEST_VALUE = 500

State = Literal["any", "absent", "present"]
_asking: Callable[[VendorAccount], AbstractContextManager[IdentityConnector]] = asking


class FilterExists(Exception):
    """A filter is to be added for an identifier that has one."""


class FilterMissing(Exception):
    """A filter is to be changed, read or removed that is not there."""


@dataclass(frozen=True)
class Power:
    """One thing that the account's key may do or may not, and why."""

    can: bool
    title: str
    text: str


@dataclass(frozen=True)
class KeyPowers:
    """What the key of an account may do (Acoustic spec section 2.1)."""

    is_endpoint_key: bool
    endpoint_id: str

    @property
    def lines(self) -> list[Power]:
        """The powers in words, what it can do first."""
        own = self.is_endpoint_key
        need = "Needs the endpoint's own key; this account is connected with the key of the whole account."
        scope = "" if own else f" Asked through endpoint {self.endpoint_id}."
        lines = [
            Power(True, "Find who holds an identifier", f"Every x1Id of the application that has it.{scope}"),
            Power(True, "Remove an identifier everywhere", "From every x1Id and every endpoint, not only this one."),
            Power(own, "Open an x1Id", "All identifiers of one person, up to 1,000." if own else need),
            Power(own, "Read and change filters", "Those of the key's own endpoint." if own else need),
        ]
        return sorted(lines, key=lambda line: not line.can)


@dataclass(frozen=True)
class Holders:
    """The x1Ids that hold one identifier, each showing only it."""

    name: str
    value: str = field(repr=False)
    identities: Sequence[Identity] = field(repr=False)

    @property
    def count(self) -> int:
        """How many there are: as many people as a removal touches."""
        return len(self.identities)

    @property
    def warning(self) -> str:
        """Set when the identifier joins several people."""
        if self.count < 2:
            return ""
        return (
            f"One identifier sits on {self.count} x1Ids, so Exchange takes it for {self.count} different people. "
            "Usually a shared or default value was published as if it were one person's."
        )


# --- accounts and keys -----------------------------------------------------------------------------------------------


def identity_accounts(company: Company) -> QuerySet[VendorAccount]:
    """The company's accounts at vendors that govern identifiers."""
    able = [key for key in VENDORS if connector_class(key).capabilities.identity]
    found: QuerySet[VendorAccount] = VendorAccount.objects.visible_to(company).filter(vendor__in=able)
    return found


def key_powers(account: VendorAccount) -> KeyPowers:
    """What the account's key may do. No call."""
    with connector_for(account) as connector:
        return KeyPowers(bool(connector.offers_filters), str(account.settings.get("endpointId") or ""))


# --- filters (Acoustic spec section 4) -------------------------------------------------------------------------------


def filters_of(*, actor: Actor, account: VendorAccount) -> list[IdentityFilter]:
    """The filters of the key's endpoint as the vendor holds them now, by name. Raises the connector's errors."""
    actor.require_manager()
    with _asking(account) as connector:
        found = connector.list_filters(fresh=True)
    return sorted(found, key=lambda held: (held.identifier_name.casefold(), held.identifier_name))


def filters_for_preflight(company: Company) -> list[IdentityFilter]:
    """The filters at the company's working accounts, at most a minute old, for a warning beside a delivery.

    An account that cannot tell in a few seconds is passed over: its trouble must not hold up another vendor's delivery.
    Filters hold names of identifiers and nobody's values, so they may be kept (Acoustic spec section 8, rule 13).
    """
    found: list[IdentityFilter] = []
    for account in identity_accounts(company).filter(status=AccountStatus.OK):
        key = _cache_key(account)
        held = cache.get(key)
        if held is None:
            held = _quickly_read(account)
            cache.set(key, held, KEPT_SECONDS)
        found += held
    return found


def _quickly_read(account: VendorAccount) -> list[IdentityFilter]:
    try:
        with connector_for(account, answer_within=PREFLIGHT_WITHIN) as connector:
            return list(connector.list_filters()) if connector.offers_filters else []
    except ConnectorError as error:
        logger.info("filters of account %s could not be read for preflight: %s", account.pk, error.code)
        return []


def _cache_key(account: VendorAccount) -> str:
    return f"identity-filters:{account.pk}:{fingerprint(account.base_url)}"


def filter_of(*, actor: Actor, account: VendorAccount, name: str) -> IdentityFilter:
    """The filter of one identifier name. Raises `FilterMissing` or the connector's errors."""
    actor.require_manager()
    with _asking(account) as connector:
        found = connector.find_filter(name)
    if found is None:
        raise FilterMissing(name)
    return found


def filter_checked(name: str, *, publish: bool, subscribe: bool) -> None:
    """What can be told without the vendor: raises `ValidationError` with every fault, by field."""
    faults: dict[str, str] = {}
    if not name.strip():
        faults["name"] = "is missing"
    elif len(name) > LONGEST_NAME:
        faults["name"] = f"has more than {LONGEST_NAME} characters"
    elif name in {".", ".."}:
        faults["name"] = "cannot be the name of an identifier"
    if not publish and not subscribe:
        faults["__all__"] = BOTH_FALSE
    if faults:
        raise ValidationError(faults)


def filter_save(
    *, actor: Actor, account: VendorAccount, name: str, publish: bool, subscribe: bool, when: State = "any"
) -> IdentityFilter:
    """Add or change the filter of one identifier name; answers what the vendor holds afterwards.

    `when` demands that there is none yet (`absent`) or one already (`present`): `FilterExists`, `FilterMissing`. Raises
    `ValidationError` for two flags that are both off, and the connector's errors.
    """
    require_leave(actor, account)
    filter_checked(name, publish=publish, subscribe=subscribe)
    told: dict[str, Any] = {"identifier": name, "publishFilter": publish, "subscribeFilter": subscribe}
    with _asking(account) as connector:
        if when != "any":
            _demand(connector, name, when)
        try:
            held = connector.save_filter(name, publish=publish, subscribe=subscribe)
        except UnknownOutcome:
            audit.record(actor, "identity_filter.save", account, **told, outcome="not known")
            raise
        finally:
            cache.delete(_cache_key(account))
    audit.record(actor, "identity_filter.save", account, **told)
    return held


def _demand(connector: IdentityConnector, name: str, when: State) -> None:
    held = any(one.identifier_name == name for one in connector.list_filters(fresh=True))
    if held and when == "absent":
        raise FilterExists(name)
    if not held and when == "present":
        raise FilterMissing(name)


def filter_remove(*, actor: Actor, account: VendorAccount, name: str) -> bool:
    """Remove the filter of one identifier name; False when it was gone already. Raises the connector's errors."""
    require_leave(actor, account)
    with _asking(account) as connector:
        try:
            removed = connector.remove_filter(name)
        except UnknownOutcome:
            audit.record(actor, "identity_filter.remove", account, identifier=name, outcome="not known")
            raise
        finally:
            cache.delete(_cache_key(account))
    if removed:
        audit.record(actor, "identity_filter.remove", account, identifier=name)
    return removed


# --- people (Acoustic spec section 5) --------------------------------------------------------------------------------


@sensitive_variables("value")
def look_up(*, actor: Actor, account: VendorAccount, name: str, value: str) -> Holders:
    """The x1Ids that hold an identifier. Raises the connector's errors."""
    actor.require_manager()
    with _asking(account) as connector:
        found = Holders(name, value, connector.x1ids_of(name, value))
    audit.record(actor, "identity.look_up", account, identifier=name, value=masked(value), found=found.count)
    return found


@sensitive_variables("x1_id")
def open_x1id(
    *, actor: Actor, account: VendorAccount, x1_id: str, purpose: Literal["open", "export"] = "open"
) -> Identity | None:
    """Everything that an x1Id holds, None when the vendor does not know it. Raises the connector's errors."""
    actor.require_manager()
    with _asking(account) as connector:
        found = connector.identifiers_of(x1_id)
    held = len(found.identifiers) if found else None
    audit.record(actor, f"identity.{purpose}", account, x1Id=masked(x1_id), identifiers=held)
    return found


@sensitive_variables("value", "confirm", "removal")
def remove(
    *, actor: Actor, account: VendorAccount, name: str, value: str, confirm: str, expected: int | None = None
) -> Receipt:
    """Remove an identifier from every x1Id and endpoint of the application, for good; sent once, never repeated.

    `confirm` must be the value itself; `expected` is how many x1Ids the person was shown. Raises `ValidationError`,
    and the connector's errors where nothing was done; a lost answer is an outcome of the receipt.
    """
    require_leave(actor, account)
    require_confirmation(value, confirm)
    with _asking(account) as connector:
        removal = Removal(
            REMOVE_IDENTITY,
            name,
            value,
            count=lambda: len(connector.x1ids_of(name, value)),
            send=lambda: connector.remove_identity(name, value),
        )
        return carry_out(actor=actor, account=account, removal=removal, expected=expected)
