"""Rows for tests. Every e-mail address ends in `.example`, every password is the one word below."""

from __future__ import annotations

from typing import Any

import factory
from factory.django import DjangoModelFactory

from audsync_web.people.actors import Actor, Via
from audsync_web.people.models import Company, Membership, Role, User

PASSWORD = "correct horse battery"


class CompanyFactory(DjangoModelFactory):  # type: ignore[misc]
    """A company of its own slug."""

    class Meta:
        model = Company

    slug = factory.Sequence(lambda n: f"company-{n}")
    name = factory.Sequence(lambda n: f"Company {n}")


class UserFactory(DjangoModelFactory):  # type: ignore[misc]
    """A person who belongs to no company yet and logs in with `PASSWORD`."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person-{n}@people.example")
    name = factory.Sequence(lambda n: f"Person {n}")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        return model_class.objects.create_user(password=fields.pop("password", PASSWORD), **fields)


class MembershipFactory(DjangoModelFactory):  # type: ignore[misc]
    """A role in a company."""

    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    company = factory.SubFactory(CompanyFactory)
    role = Role.MARKETER


def make_company(slug: str = "", **fields: Any) -> Company:
    """A company; without a slug one is made up."""
    company: Company = CompanyFactory(**({"slug": slug, "name": slug.title()} if slug else {}), **fields)
    return company


def make_person(company: Company | None = None, role: Role | str = Role.MARKETER, **fields: Any) -> User:
    """A person, with `role` in `company` when one is given."""
    user: User = UserFactory(**fields)
    if company is not None:
        MembershipFactory(user=user, company=company, role=Role(role))
    return user


def make_actor(user: User, company: Company, via: Via = "page") -> Actor:
    """The person acting in `company` with the role held there."""
    membership = Membership.objects.get(user=user, company=company)
    return Actor(company=company, role=Role(membership.role), user=user, via=via, address="127.0.0.1")
