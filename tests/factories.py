"""Rows for tests. Every e-mail address ends in `.example`, every password is the one word below."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from factory.declarations import Sequence, SubFactory
from factory.django import DjangoModelFactory

from audsync_web.people.actors import Actor, Via
from audsync_web.people.models import Company, Membership, Role, User
from audsync_web.vendors.models import VendorAccount

PASSWORD = "correct horse battery"


class CompanyFactory(DjangoModelFactory[Company]):
    """A company of its own slug."""

    class Meta:
        model = Company

    slug = Sequence(lambda n: f"company-{n}")
    name = Sequence(lambda n: f"Company {n}")


class UserFactory(DjangoModelFactory[User]):
    """A person who belongs to no company yet and logs in with `PASSWORD`."""

    class Meta:
        model = User

    email = Sequence(lambda n: f"person-{n}@people.example")
    name = Sequence(lambda n: f"Person {n}")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        return model_class.objects.create_user(password=fields.pop("password", PASSWORD), **fields)


class MembershipFactory(DjangoModelFactory[Membership]):
    """A role in a company."""

    class Meta:
        model = Membership

    user = SubFactory(UserFactory)
    company = SubFactory(CompanyFactory)
    role = Role.MARKETER


def make_company(slug: str = "", **fields: Any) -> Company:
    """A company; without a slug one is made up."""
    company: Company = CompanyFactory.create(**({"slug": slug, "name": slug.title()} if slug else {}), **fields)
    return company


def make_person(company: Company | None = None, role: Role | str = Role.MARKETER, **fields: Any) -> User:
    """A person, with `role` in `company` when one is given."""
    user: User = UserFactory.create(**fields)
    if company is not None:
        make_membership(user, company, role)
    return user


def make_membership(user: User, company: Company, role: Role | str = Role.MARKETER) -> Membership:
    """A role of a person in one more company."""
    membership: Membership = MembershipFactory.create(user=user, company=company, role=Role(role))
    return membership


def make_actor(user: User, company: Company, via: Via = "page") -> Actor:
    """The person acting in `company` with the role held there."""
    membership = Membership.objects.get(user=user, company=company)
    return Actor(company=company, role=Role(membership.role), user=user, via=via, address="127.0.0.1")


def make_vendor_account(company: Company, vendor: str = "anonymised", **fields: Any) -> VendorAccount:
    """A connected account that has never been checked; its credentials open nothing."""
    values: dict[str, Any] = {
        "name": f"{vendor} {VendorAccount.objects.count() + 1}",
        "base_url": "http://127.0.0.1:9/api",
        "credentials": {"password": "opens-nothing"},
        "quota_scope": f"{vendor}:tests",
        **fields,
    }
    account: VendorAccount = VendorAccount.objects.create(company=company, vendor=vendor, **values)
    return account
