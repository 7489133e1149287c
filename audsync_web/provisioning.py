"""What `manage.py provision` reads and does: companies, people and vendor accounts as a file says.

`read_plan` finds every fault of the whole file before anything is touched; `carry_out` does it in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email, validate_slug
from django.db import transaction

from audsync_web.people import services as people
from audsync_web.people.actors import Actor, system_actor
from audsync_web.people.models import Company, Membership, Role, User, normal_email
from audsync_web.vendors.connectors.errors import InvalidConfiguration
from audsync_web.vendors.connectors.registry import VENDORS, connector_class
from audsync_web.vendors.services import CheckedAccount, account_provision, account_values

WRONG_SLUG = "may hold only letters, digits, - and _"
COMPANY_KEYS = {"slug", "name", "people", "vendorAccounts"}
PERSON_KEYS = {"email", "password", "role", "name"}
ACCOUNT_KEYS = {"vendor", "name", "baseUrl", "credentials", "settings"}


class ProvisionRefused(Exception):
    """The file has faults: one line each, with its place."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class PersonPlan:
    """A person as the file has them."""

    place: str
    email: str
    password: str = field(repr=False)
    role: Role
    name: str


@dataclass(frozen=True)
class AccountPlan:
    """A vendor account whose values have passed its connector's declaration."""

    place: str
    name: str
    checked: CheckedAccount = field(repr=False)
    given: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class CompanyPlan:
    """A company with its people and vendor accounts."""

    place: str
    slug: str
    name: str
    people: list[PersonPlan]
    accounts: list[AccountPlan]


def read_plan(text: str, environ: Mapping[str, str]) -> list[CompanyPlan]:
    """The plan that the file's text holds. Raises `ProvisionRefused` with all of its faults at once."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProvisionRefused([f"line {error.lineno}, column {error.colno}: is no JSON ({error.msg})"]) from None
    reader = _Reader(environ)
    plan = reader.document(document)
    if reader.faults:
        raise ProvisionRefused(reader.faults)
    return plan


class _Reader:
    """Walks the document, collecting faults with their places."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []
        self._passwords: dict[str, str] = {}

    def fault(self, place: str, text: str) -> None:
        self.faults.append(f"{place}: {text}" if place else text)

    def document(self, document: Any) -> list[CompanyPlan]:
        top = self._object("", document, {"companies"})
        companies = [self._company(place, item) for place, item in self._items("", top, "companies", needed=True)]
        self._unique([(company.place, "slug", company.slug) for company in companies])
        return companies

    def _company(self, place: str, given: Any) -> CompanyPlan:
        item = self._object(place, given, COMPANY_KEYS)
        people_plans = [self._person(at, person) for at, person in self._items(place, item, "people")]
        accounts = [self._account(at, account) for at, account in self._items(place, item, "vendorAccounts")]
        found = [account for account in accounts if account is not None]
        self._unique([(person.place, "email", person.email) for person in people_plans])
        self._unique([(account.place, "name", account.name) for account in found])
        slug = self._text(
            place, item, "slug", longest=60, check=validate_slug, wrong="may hold only letters, digits, - and _"
        )
        return CompanyPlan(place, slug, self._text(place, item, "name", longest=120), people_plans, found)

    def _person(self, place: str, given: Any) -> PersonPlan:
        item = self._object(place, given, PERSON_KEYS)
        email = self._text(place, item, "email", longest=254, check=validate_email, wrong="is no e-mail address")
        password = self._secret(f"{place}.password", item.get("password"))
        role = self._text(place, item, "role")
        if role and role not in Role.values:
            self.fault(f"{place}.role", f"must be one of {', '.join(Role.values)}")
            role = ""
        if email and self._passwords.setdefault(normal_email(email), password) != password:
            self.fault(f"{place}.password", "is another one than this person has elsewhere in the file")
        name = self._text(place, item, "name", longest=120, needed=False)
        return PersonPlan(place, normal_email(email), password, Role(role) if role else Role.MARKETER, name)

    def _account(self, place: str, given: Any) -> AccountPlan | None:
        item = self._object(place, given, ACCOUNT_KEYS)
        vendor = self._text(place, item, "vendor")
        name = self._text(place, item, "name", longest=80)
        base_url = self._text(place, item, "baseUrl", longest=300, needed=False)
        secrets = self._object(f"{place}.credentials", item.get("credentials", {}), None)
        before = len(self.faults)
        credentials = {key: self._secret(f"{place}.credentials.{key}", value) for key, value in secrets.items()}
        settings = self._object(f"{place}.settings", item.get("settings", {}), None)
        if not vendor or len(self.faults) > before:
            return None
        try:
            checked = account_values(vendor=vendor, base_url=base_url, credentials=credentials, settings=settings)
        except InvalidConfiguration as error:
            for line in account_faults(place, item, error):
                self.faults.append(line)
            return None
        return AccountPlan(place, name, checked, item)

    def _object(self, place: str, given: Any, keys: set[str] | None) -> dict[str, Any]:
        if not isinstance(given, dict):
            self.fault(place or "the file", "must be an object")
            return {}
        for key in given if keys is not None else ():
            if key not in (keys or set()):
                self.fault(f"{place}.{key}" if place else key, "is not known here")
        return given

    def _items(self, place: str, item: dict[str, Any], key: str, *, needed: bool = False) -> list[tuple[str, Any]]:
        where = f"{place}.{key}" if place else key
        if key not in item:
            if needed:
                self.fault(where, "is missing")
            return []
        if not isinstance(item[key], list):
            self.fault(where, "must be a list")
            return []
        return [(f"{where}[{index}]", entry) for index, entry in enumerate(item[key])]

    def _text(
        self,
        place: str,
        item: dict[str, Any],
        key: str,
        *,
        longest: int = 300,
        needed: bool = True,
        check: Any = None,
        wrong: str = "",
    ) -> str:
        """The trimmed text under `key`; a fault and an empty text when it will not do."""
        where = f"{place}.{key}"
        given = item.get(key)
        if given is None or given == "":
            if needed:
                self.fault(where, "is missing")
            return ""
        if not isinstance(given, str) or not given.strip():
            self.fault(where, "must be text")
            return ""
        text = given.strip()
        if len(text) > longest:
            self.fault(where, f"must have at most {longest} characters")
        elif check is not None and not _passes(check, text):
            self.fault(where, wrong)
        return text

    def _secret(self, place: str, given: Any) -> str:
        """A secret given as text, or as the name of an environment variable. It is never part of a fault."""
        if given is None or given == "":
            self.fault(place, "is missing")
        elif isinstance(given, str):
            return given
        elif isinstance(given, dict) and set(given) == {"env"} and isinstance(given["env"], str):
            value = self.environ.get(given["env"], "")
            if not value:
                self.fault(place, f"the environment variable {given['env']} is not set")
            return value
        else:
            self.fault(place, 'must be text or {"env": "NAME"}')
        return ""

    def _unique(self, found: list[tuple[str, str, str]]) -> None:
        seen: dict[str, str] = {}
        for place, key, value in found:
            first = seen.setdefault(value, place)
            if value and first != place:
                self.fault(f"{place}.{key}", f"is the same as {first}.{key}")


def _passes(check: Any, text: str) -> bool:
    try:
        check(text)
    except ValidationError:
        return False
    return True


def account_faults(place: str, item: Mapping[str, Any], error: InvalidConfiguration) -> Iterator[str]:
    """The faults of one vendor account, each at the place in the file where it is to be mended."""
    vendor = str(item.get("vendor", ""))
    declared = connector_class(vendor).fields if vendor in VENDORS else ()
    groups = {declared_field.name: declared_field.group for declared_field in declared}
    for name, text in error.errors.items():
        if name in ACCOUNT_KEYS:
            yield f"{place}.{name}: {text}"
            continue
        given_as_secret = isinstance(item.get("credentials"), dict) and name in item["credentials"]
        group = groups.get(name) or ("credentials" if given_as_secret else "settings")
        yield f"{place}.{group}.{name}: {text}"


def carry_out(plan: list[CompanyPlan]) -> list[str]:
    """Make it so, all or nothing; a line for each thing made or changed. Raises `ProvisionRefused`."""
    with transaction.atomic():
        return [line for company in plan for line in _company(company)]


def _company(plan: CompanyPlan) -> Iterator[str]:
    company = Company.objects.filter(slug=plan.slug).first()
    try:
        if company is None:
            company = people.company_create(slug=plan.slug, name=plan.name)
            yield f"made company {plan.slug}"
        elif company.name != plan.name:
            people.company_change(actor=system_actor(company, "command"), name=plan.name)
            yield f"changed company {plan.slug}: name"
    except ValidationError as error:
        raise ProvisionRefused([f"{plan.place}: {' '.join(error.messages)}"]) from None
    actor = system_actor(company, "command")
    # Admins first, so that the last one is never taken away before the next is there.
    for person in sorted(plan.people, key=lambda person: person.role != Role.ADMIN):
        yield from _person(actor, person)
    for account in plan.accounts:
        yield from _account(actor, account)


def _person(actor: Actor, plan: PersonPlan) -> Iterator[str]:
    slug = actor.company.slug
    membership = Membership.objects.select_related("user").filter(company=actor.company, user__email=plan.email).first()
    try:
        if membership is None:
            is_new = not User.objects.filter(email=plan.email).exists()
            membership = people.person_add(
                actor=actor, email=plan.email, role=plan.role, password=plan.password, name=plan.name
            )
            yield f"made {plan.email} {plan.role.value} of {slug}"
            if is_new:
                return
        changed = list(_changes(actor, membership, plan))
    except ValidationError as error:
        raise ProvisionRefused([f"{plan.place}: {' '.join(error.messages)}"]) from None
    if changed:
        yield f"changed {plan.email} in {slug}: {', '.join(changed)}"


def _changes(actor: Actor, membership: Membership, plan: PersonPlan) -> Iterator[str]:
    user = membership.user
    if membership.role != plan.role:
        people.person_change_role(actor=actor, membership=membership, role=plan.role)
        yield "role"
    if plan.name and user.name != plan.name:
        people.person_rename(actor=_as(actor, user), name=plan.name)
        yield "name"
    if not user.check_password(plan.password):
        people.password_set(actor=actor, user=user, password=plan.password)
        yield "password"


def _as(actor: Actor, user: User) -> Actor:
    return Actor(company=actor.company, role=actor.role, user=user, via=actor.via)


def _account(actor: Actor, plan: AccountPlan) -> Iterator[str]:
    try:
        account, happened = account_provision(actor=actor, name=plan.name, checked=plan.checked)
    except InvalidConfiguration as error:
        raise ProvisionRefused(list(account_faults(plan.place, plan.given, error))) from None
    if happened:
        yield f"{happened} vendor account {account.name} ({account.vendor}) of {actor.company.slug}"
