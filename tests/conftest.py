"""What every test has: no network, a world of two companies, clients that are logged in, and the vendors' sandbox.

The world: `company` with its `admin`, `manager` and `marketer`; `other_company` with its admin, the `stranger`;
and `outsider`, who belongs to no company. By what they do in a test, the manager is also the `owner` of things and the
marketer a `teammate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from audsync_web.jobs.leases import heart
from audsync_web.people.actors import Actor
from audsync_web.people.models import Company, Role, User
from audsync_web.sandbox.server import Sandbox
from tests import network
from tests.factories import make_actor, make_company, make_person
from tests.reachable import Reachable

network.block()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Reachable(), "audsync-reachable")


LoggedIn = Callable[..., Client]


@pytest.fixture(autouse=True)
def still_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run within the test: no thread writes signs of life behind its back, or into the next test's database."""
    monkeypatch.setattr(heart, "start", lambda: None)


@pytest.fixture
def company(db: None) -> Company:
    """Northwind, where the tests happen."""
    return make_company("northwind")


@pytest.fixture
def other_company(db: None) -> Company:
    """Southwind, of which Northwind must see nothing, and the other way round."""
    return make_company("southwind")


@pytest.fixture
def admin(company: Company) -> User:
    return make_person(company, Role.ADMIN, email="ada@northwind.example", name="Ada")


@pytest.fixture
def manager(company: Company) -> User:
    return make_person(company, Role.MANAGER, email="mo@northwind.example", name="Mo")


@pytest.fixture
def marketer(company: Company) -> User:
    return make_person(company, Role.MARKETER, email="kim@northwind.example", name="Kim")


@pytest.fixture
def owner(manager: User) -> User:
    return manager


@pytest.fixture
def teammate(marketer: User) -> User:
    return marketer


@pytest.fixture
def stranger(other_company: Company) -> User:
    return make_person(other_company, Role.ADMIN, email="sid@southwind.example", name="Sid")


@pytest.fixture
def outsider(db: None) -> User:
    return make_person(email="nobody@nowhere.example", name="Nobody")


@pytest.fixture
def actor(manager: User, company: Company) -> Actor:
    """The manager of Northwind, acting on a page."""
    return make_actor(manager, company)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """Every vendor, played by one server on a clock that can be moved."""
    with Sandbox() as box:
        yield box


@pytest.fixture
def logged_in() -> LoggedIn:
    """Makes a browser in which a person is logged in; with `company`, one that stands in it."""

    def make(user: User, company: Company | None = None, **options: Any) -> Client:
        client = Client(**options)
        client.force_login(user)
        if company is not None:
            session = client.session
            session["company"] = company.slug
            session.save()
        return client

    return make
