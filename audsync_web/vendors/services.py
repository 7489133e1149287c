"""Writes on vendor accounts: connect, check, change, rotate, pause, disconnect. All audited, all in one company."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audsync_web.jobs.engine import wake
from audsync_web.jobs.leases import Lease
from audsync_web.people import audit
from audsync_web.people.actors import Actor

from .connectors.base import AccountCheck
from .connectors.errors import AuthenticationFailed, ConnectorError, InvalidConfiguration, Permanent
from .connectors.fields import AccountConfig, host_of, read_values
from .connectors.registry import VENDORS, connector_class
from .faults import error_fields, judge
from .models import AccountStatus, VendorAccount
from .runtime import build_connector, connector_for

logger = logging.getLogger(__name__)

HEALTH_EVERY = timedelta(hours=1)
PRIVATE_NAMES = {"localhost", "localhost.localdomain"}


@dataclass(frozen=True)
class CheckedAccount:
    """Values that passed the declaration of their connector, and the quota scope they lead to."""

    config: AccountConfig
    quota_scope: str


def account_values(
    *, vendor: str, base_url: str, credentials: Mapping[str, Any], settings: Mapping[str, Any]
) -> CheckedAccount:
    """Check what was given for an account against its connector's declared fields, without calling the vendor.

    Raises `InvalidConfiguration` with every fault at once, keyed by `vendor`, `baseUrl` or the field's name.
    """
    if vendor not in VENDORS:
        raise InvalidConfiguration({"vendor": f"must be one of {', '.join(VENDORS)}"})
    connector = connector_class(vendor)
    errors: dict[str, str] = {}
    url = base_url.strip().rstrip("/") or connector.default_base_url
    if fault := url_fault(url):
        errors["baseUrl"] = fault
    read: dict[str, dict[str, Any]] = {}
    for group, given in (("credentials", credentials), ("settings", settings)):
        try:
            read[group] = read_values(connector.fields, group, given)  # type: ignore[arg-type]  # both are groups
        except InvalidConfiguration as fault_list:
            errors.update(fault_list.errors)
    if errors:
        raise InvalidConfiguration(errors)
    config = AccountConfig(vendor, url, read["credentials"], read["settings"])
    connector.validate(config)
    return CheckedAccount(config, build_connector(config).quota_scope)


def url_fault(url: str) -> str | None:
    """Why a base URL is refused, in one line; None when it is fine. Private addresses need the operator's leave."""
    if not url:
        return "is missing"
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket without its other one, or a port that can be none
        is_address = False
    if not is_address:
        return "must be an address that starts with https://"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "must hold no user name, password, query or fragment"
    if django_settings.ALLOW_PRIVATE_VENDOR_HOSTS:
        return None
    if parts.scheme != "https":
        return "must use https"
    return "lies inside a private network, which is refused" if _is_private(parts.hostname or "") else None


def _is_private(host: str) -> bool:
    if host.lower() in PRIVATE_NAMES or host.lower().endswith((".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def account_connect(
    *,
    actor: Actor,
    vendor: str,
    name: str,
    base_url: str,
    credentials: Mapping[str, Any],
    settings: Mapping[str, Any],
    check: bool = True,
) -> VendorAccount:
    """Connect an account. With `check` a live call proves it first, and nothing is saved when that fails.

    Raises `InvalidConfiguration`, `ValidationError`, or the connector's errors.
    """
    actor.require_manager()
    checked = account_values(vendor=vendor, base_url=base_url, credentials=credentials, settings=settings)
    found = _live_check(checked.config) if check else None
    account = VendorAccount(company=actor.company, vendor=vendor, name=name.strip())
    _apply(account, checked)
    if found is not None:
        _apply_check(account, found)
    else:
        account.next_action_at = timezone.now()
    _clean(account)
    with transaction.atomic():
        account.save()
        audit.record(actor, "vendor_account.connect", account, vendor=vendor, base_url=account.base_url)
        wake("vendors.account", account.pk)
    return account


def _live_check(config: AccountConfig) -> AccountCheck:
    with closing(build_connector(config)) as connector:
        found = connector.check()
    if found.missing:
        raise Permanent(
            f"These permissions are missing: {', '.join(found.missing)}.",
            code="rights_missing",
            next_step="Ask the vendor to grant them to this login or key, then try again.",
        )
    return found


def _apply(account: VendorAccount, checked: CheckedAccount) -> None:
    account.base_url = checked.config.base_url
    account.credentials = dict(checked.config.credentials)
    account.settings = dict(checked.config.settings)
    account.quota_scope = checked.quota_scope
    account.lane = f"{account.vendor}:{checked.config.host}"


def _apply_check(account: VendorAccount, found: AccountCheck) -> None:
    now = timezone.now()
    account.status = AccountStatus.OK
    account.checked_at, account.check_text = now, found.text[:300]
    account.check_facts, account.warnings = dict(found.facts), list(found.warnings)
    account.next_action_at = now + HEALTH_EVERY
    account.error_code = account.error_text = account.next_step = account.vendor_text = ""
    account.attention_since, account.attempts = None, 0


def _clean(account: VendorAccount) -> None:
    try:
        # The JSON columns were read by the connector's declaration, and an empty one is fine.
        account.full_clean(exclude=["credentials", "settings", "check_facts", "warnings"])
    except ValidationError as error:
        if "name" in error.error_dict or "__all__" in error.error_dict:
            taken = "another account of the company has this name"
            detail = taken if "__all__" in error.error_dict else "; ".join(error.messages)
            raise InvalidConfiguration({"name": detail}) from None
        raise


def account_change(
    *,
    actor: Actor,
    account: VendorAccount,
    name: str | None = None,
    base_url: str | None = None,
    credentials: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    check: bool = True,
) -> VendorAccount:
    """Rename, rotate credentials or change settings. What is None or left out stays as it is.

    New credentials, address or settings are proved by a live call before they are saved; then the account works again
    and its waiting jobs go on by themselves. One that a person paused stays paused until it is resumed.
    """
    actor.require_manager()
    checked = account_values(
        vendor=account.vendor,
        base_url=account.base_url if base_url is None else base_url,
        credentials={**account.credentials, **{k: v for k, v in (credentials or {}).items() if v not in (None, "")}},
        settings={**account.settings, **(settings or {})},
    )
    _require_secrets_for_new_host(account, checked, credentials or {})
    changed = _changed_names(account, checked, name)
    if check and changed - {"name"}:
        _apply_check(account, _live_check(checked.config))
    _apply(account, checked)
    account.name = account.name if name is None else name.strip()
    _clean(account)
    with transaction.atomic():
        _keep_resting(account)
        account.save()
        if changed:
            audit.record(actor, "vendor_account.change", account, changed=sorted(changed))
    return account


def _require_secrets_for_new_host(account: VendorAccount, checked: CheckedAccount, given: Mapping[str, Any]) -> None:
    """A stored secret goes to the host it was entered for and to no other, whoever may change the address."""
    if _place(checked.config.base_url) == _place(account.base_url):
        return
    secret = [field.name for field in account.connector.fields if field.secret]
    if missing := [name for name in secret if account.credentials.get(name) and not given.get(name)]:
        raise InvalidConfiguration(dict.fromkeys(missing, "must be entered again, because the address changes"))


def _place(url: str) -> tuple[str, str]:
    return urlsplit(url).scheme, host_of(url)


def _changed_names(account: VendorAccount, checked: CheckedAccount, name: str | None) -> set[str]:
    config = checked.config
    changed = {key for key in config.settings if config.settings[key] != account.settings.get(key)}
    changed |= {key for key in config.credentials if config.credentials[key] != account.credentials.get(key)}
    if config.base_url != account.base_url:
        changed.add("baseUrl")
    if name is not None and name.strip() != account.name:
        changed.add("name")
    return changed


def account_check(*, actor: Actor, account: VendorAccount) -> VendorAccount:
    """Check the account now, at a person's wish. The account's own state tells the outcome; nothing is raised.

    What was found is kept and shown, and a paused account stays paused: only `account_resume` lets its jobs go on.
    """
    _check_and_store(account)
    audit.record(actor, "vendor_account.check", account, status=account.status)
    return account


def _look_whether_it_works(account: VendorAccount) -> None:
    """Ask the vendor, and write what it says on the row, which is not stored yet."""
    try:
        with connector_for(account) as connector:
            found = connector.check()
        _require_rights(account, found)
        _apply_check(account, found)
    except ConnectorError as error:
        _apply_check_fault(account, error)


def _check_and_store(account: VendorAccount) -> None:
    _look_whether_it_works(account)
    with transaction.atomic():
        _keep_resting(account)
        account.save(update_fields=[*CHECK_FIELDS])


def _keep_resting(account: VendorAccount) -> None:
    """Before a check's outcome is stored, in its transaction: no check wakes what a person has put to rest.

    The row decides and not what is in memory: somebody may have paused the account while the vendor was asked.
    """
    rows = VendorAccount.objects.select_for_update().filter(pk=account.pk, status__in=RESTING)
    stored = rows.values_list("status", flat=True).first()
    if stored is not None:
        account.status, account.next_action_at = stored, None


def _require_rights(account: VendorAccount, found: AccountCheck) -> None:
    """Raise when rights are missing that the account cannot do without; what else was told stays beside that."""
    if not found.missing:
        return
    account.check_facts, account.warnings = dict(found.facts), list(found.warnings)
    raise AuthenticationFailed(
        f"These permissions are missing: {', '.join(found.missing)}.",
        code="rights_missing",
        next_step="Ask the vendor to grant them to this login or key, then check again.",
    )


RESTING = (AccountStatus.PAUSED, AccountStatus.DISCONNECTED)
CHECK_FIELDS = (
    "status",
    "checked_at",
    "check_text",
    "check_facts",
    "warnings",
    "next_action_at",
    "error_code",
    "error_text",
    "next_step",
    "vendor_text",
    "attention_since",
    "attempts",
)


def _apply_check_fault(account: VendorAccount, error: ConnectorError) -> None:
    verdict = judge(error, account.attempts)
    for name, value in error_fields(error).items():
        setattr(account, name, value)
    account.checked_at = timezone.now()
    if verdict.move in {"account", "stop"}:
        account.status = AccountStatus.NEEDS_ATTENTION
        account.attention_since = account.attention_since or timezone.now()
        # Knocking again with rejected credentials could lock the login out: a person acts first.
        account.next_action_at = None
        return
    account.attempts += 1
    account.next_action_at = timezone.now() + timedelta(seconds=max(verdict.seconds, 60.0))


def account_needs_attention(account: VendorAccount, error: ConnectorError) -> None:
    """Credentials failed in a job: the account needs attention, and its other jobs pause until somebody fixes it."""
    VendorAccount.objects.filter(pk=account.pk, status=AccountStatus.OK).update(
        status=AccountStatus.NEEDS_ATTENTION,
        attention_since=timezone.now(),
        next_action_at=None,
        **error_fields(error),
    )


def account_set_limit(account: VendorAccount, name: str, value: int) -> None:
    """Lower a limit that the vendor has shown to be lower than thought (a 413 below the configured size)."""
    with transaction.atomic():
        row = VendorAccount.objects.select_for_update().get(pk=account.pk)
        row.settings[name] = value
        row.save(update_fields=["settings"])


def account_pause(*, actor: Actor, account: VendorAccount) -> VendorAccount:
    """Hold the account's jobs until it is resumed."""
    actor.require_manager()
    return _set_status(actor, account, AccountStatus.PAUSED, "vendor_account.pause")


def account_resume(*, actor: Actor, account: VendorAccount) -> VendorAccount:
    """Let a paused account work again; a check follows at once."""
    actor.require_manager()
    account = _set_status(actor, account, AccountStatus.OK, "vendor_account.resume")
    _check_and_store(account)
    return account


def account_disconnect(*, actor: Actor, account: VendorAccount, has_destinations: bool) -> VendorAccount:
    """Disconnect an account and forget its credentials; one that segments still use is paused instead."""
    actor.require_manager()
    if has_destinations:
        return _set_status(actor, account, AccountStatus.PAUSED, "vendor_account.pause")
    account.credentials = {}
    account.save(update_fields=["credentials"])
    return _set_status(actor, account, AccountStatus.DISCONNECTED, "vendor_account.disconnect")


def _set_status(actor: Actor, account: VendorAccount, status: AccountStatus, action: str) -> VendorAccount:
    with transaction.atomic():
        account.status = status
        account.next_action_at = None if status != AccountStatus.OK else timezone.now()
        account.save(update_fields=["status", "next_action_at"])
        audit.record(actor, action, account)
    return account


def account_provision(*, actor: Actor, name: str, checked: CheckedAccount) -> tuple[VendorAccount, str | None]:
    """Make the account of this name what `checked` says. Returns it with `made`, `changed` or None when all was so.

    No live call is made; the worker checks the account's health soon after. One that a person paused stays paused.
    """
    account = VendorAccount.objects.visible_to(actor.company).filter(name=name).first()
    made = account is None
    if account is None:
        account = VendorAccount(company=actor.company, vendor=checked.config.vendor, name=name)
    elif account.vendor != checked.config.vendor:
        raise InvalidConfiguration({"vendor": f"is {account.vendor} already; choose another name for a new account"})
    changed = set() if made else _changed_names(account, checked, None)
    if not made and not changed:
        return account, None
    _apply(account, checked)
    if account.status != AccountStatus.PAUSED:
        account.status, account.next_action_at = AccountStatus.OK, timezone.now()
    _clean(account)
    account.save()
    action = "vendor_account.connect" if made else "vendor_account.change"
    audit.record(actor, action, account, changed=sorted(changed))
    wake("vendors.account", account.pk)
    return account, "made" if made else "changed"


def account_advance(lease: Lease) -> None:
    """The account's own job: look at its health, then rest."""
    account = VendorAccount.objects.get(pk=lease.pk)
    if account.status in RESTING:
        lease.update(next_action_at=None)
        return
    _look_whether_it_works(account)
    with transaction.atomic():
        _keep_resting(account)
        lease.update(**{name: getattr(account, name) for name in CHECK_FIELDS})


def account_crashed(lease: Lease, reference: str) -> None:
    """A fault of ours while checking: shown with its reference, looked at again in an hour."""
    lease.update(
        error_code="internal_error",
        error_text=f"The check stopped because of a fault in AudSync (reference {reference}).",
        next_step="Check the account again; if it stays, give the reference to whoever runs AudSync.",
        next_action_at=timezone.now() + HEALTH_EVERY,
    )


def writes_whole_sets(account: VendorAccount) -> bool:
    """Whether what is sent for a member there has to name all segments that hold it."""
    with connector_for(account) as connector:
        return bool(connector.asks_for_neighbours)
