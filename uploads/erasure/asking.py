"""What vendors that keep identities or profiles know of one person: which names and values they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from audsync_web.vendors.asking import rejection_shown
from audsync_web.vendors.connectors.errors import ConnectorError
from audsync_web.vendors.connectors.identifiers import labels_of
from audsync_web.vendors.models import AccountStatus, VendorAccount
from audsync_web.vendors.runtime import connector_for
from uploads.models import StepWhat

from .persons import Person

# A value that fits any kind is none of most: more than these are not told one by one.
MOST_KINDS_TOLD = 3


def ask_vendors(company_id: int, person: Person) -> list[dict[str, Any]]:
    """What vendors that hold profiles or identities answer about a person. No identifier is in the answer."""
    accounts = VendorAccount.objects.filter(company_id=company_id).exclude(status=AccountStatus.DISCONNECTED)
    return [row for account in accounts.order_by("pk") for row in _asked(account, person)]


def _asked(account: VendorAccount, person: Person) -> list[dict[str, Any]]:
    capabilities = account.connector.capabilities
    if not (capabilities.identity or capabilities.sources):
        return []
    what = StepWhat.IDENTITY if capabilities.identity else StepWhat.PROFILE
    with connector_for(account) as connector:
        if what == StepWhat.PROFILE:
            return [_answer(account, connector, what, kind, person) for kind in _profile_kinds(connector, person)]
        names = identity_names(connector, person)
        found = [_answer(account, connector, what, name, person) for name in names]
    note = "" if person.identity_name else _not_asked(connector, person)
    return [*found, _row(account, what, "", note=note)] if note else found


def _answer(account: VendorAccount, connector: Any, what: StepWhat, name: str, person: Person) -> dict[str, Any]:
    if account.status == AccountStatus.NEEDS_ATTENTION:
        # Its “nobody” would prove nothing, and a key that was rejected is not tried again and again.
        text = f"Not asked, as the vendor account needs attention. {account.error_text}"
        return _row(account, what, name, error=text)
    try:
        with rejection_shown(account):
            return _row(account, what, name, count=count_of(connector, what, name, person))
    except ConnectorError as error:
        return _row(account, what, name, error=error.text)


def _row(
    account: VendorAccount, what: StepWhat, name: str, *, count: int | None = None, error: str = "", note: str = ""
) -> dict[str, Any]:
    told = {"account": account.pk, "accountName": account.name, "vendor": account.vendor, "what": what, "name": name}
    return told | {"count": count, "error": error, "note": note}


def identity_names(connector: Any, person: Person) -> list[str]:
    """The names to ask an identity vendor for: the one that was given, else those that its account has for the
    person's kinds."""
    if person.identity_name:
        return [person.identity_name]
    names = connector.identifier_names
    return list(dict.fromkeys(name for kind in names if person.forms_at_vendor(kind) for name in names[kind]))


def _not_asked(connector: Any, person: Person) -> str:
    """What the vendor was not asked for, and how to mend that; empty where it was asked for every kind."""
    few = len(person.kinds) <= MOST_KINDS_TOLD
    kinds = person.kinds if few or not person.sure_kinds else person.sure_kinds
    untold = [kind for kind in kinds if kind not in connector.identifier_names]
    if not untold:
        return ""
    many = len(untold) > MOST_KINDS_TOLD
    labels = "the other kinds that it fits" if many else labels_of(untold)
    return (
        f"Not asked for {labels}: the account has no name for {'them' if many else 'it'}. Exchange knows identifiers "
        "only by the names that they were registered under. Set it on the account, or search again with the name."
    )


def _profile_kinds(connector: Any, person: Person) -> list[str]:
    known = [kind for kind in person.kinds if kind in connector.identifier_rules]
    return ["email"] if "email" in known and not person.kind else known[:4]


def values_for(connector: Any, what: str, name: str, person: Person) -> list[str]:
    """How a vendor is given the identifier under a name or kind: in every form that it may have there."""
    if what == StepWhat.PROFILE:
        return person.forms_at_vendor(name)
    names = connector.identifier_names
    kinds = [kind for kind in names if name in names[kind]] or person.sure_kinds
    # Exchange compares values letter for letter, and nobody knows how they were published.
    values = dict.fromkeys(value for kind in kinds for value in person.forms_at_vendor(kind, every_spelling=True))
    return list(values) or [person.value.strip()]


def holders_of(connector: Any, name: str, values: Iterable[str]) -> dict[str, set[str]]:
    """Of each value the identities that hold it under a name."""
    return {value: {held.x1_id for held in connector.x1ids_of(name, value)} for value in values}


def count_of(connector: Any, what: str, name: str, person: Person) -> int:
    """How many records of a vendor have the identifier under a name or kind."""
    values = values_for(connector, what, name, person)
    if what == StepWhat.IDENTITY:
        return len(set().union(*holders_of(connector, name, values).values()))
    return sum(connector.find_profile(name, value) is not None for value in values)
