"""Callers of the REST API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from audsync_web.people.models import Company, User
from audsync_web.people.tokens import login_token_issue
from tests.factories import make_actor

Caller = Callable[[User, Company], Client]


@pytest.fixture
def caller() -> Caller:
    """Makes a client that sends a person's bearer token with every call."""

    def make(user: User, company: Company) -> Client:
        token = login_token_issue(actor=make_actor(user, company, via="api"))
        return Client(headers={"Authorization": f"Bearer {token}"})

    return make
