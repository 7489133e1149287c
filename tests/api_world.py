"""The world of the API's tests: a connected account, callers of each role, and short words for calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import Company, User
from audsync_web.people.tokens import login_token_issue
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from tests.factories import make_actor
from tests.jobs_helper import run_until_quiet
from tests.sandbox_accounts import connect
from uploads.models import Delivery

BASE = "/api/public/v3"
Caller = Callable[[User, Company], Client]


def bearer_client(user: User, company: Company) -> Client:
    """A client that sends a person's bearer token with every call."""
    token = login_token_issue(actor=make_actor(user, company, via="api"))
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def account(box: Sandbox, actor: Actor) -> VendorAccount:
    """Northwind's account at Anonymised."""
    return connect(box, actor, "anonymised")


@pytest.fixture
def api(manager: User, company: Company) -> Client:
    """The manager's calls."""
    return bearer_client(manager, company)


@pytest.fixture
def marketer_api(marketer: User, company: Company) -> Client:
    """The marketer's calls."""
    return bearer_client(marketer, company)


@pytest.fixture
def stranger_api(stranger: User, other_company: Company) -> Client:
    """Calls of somebody from another company."""
    return bearer_client(stranger, other_company)


def make_segment(api: Client, **fields: Any) -> dict[str, Any]:
    """Create a segment by the API."""
    body = {"name": "Lapsed buyers", "durationDays": 365, "type": "core"} | fields
    answer = api.post(f"{BASE}/segment", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def upload(
    api: Client, segment: dict[str, Any] | Segment | int, content: bytes | str, query: str = "", **extra: Any
) -> Any:
    """Upload a CSV by the API."""
    pk = segment["id"] if isinstance(segment, dict) else segment.pk if isinstance(segment, Segment) else segment
    data = content.encode() if isinstance(content, str) else content
    headers = extra.pop("headers", {})
    content_type = extra.pop("content_type", "text/csv")
    return api.post(
        f"{BASE}/segment/{pk}/membership/upload{query}", data, content_type=content_type, headers=headers, **extra
    )


def delivered(
    api: Client, segment: Segment, header: str, *members: str, mode: str = "replace", wait: float = 5
) -> Delivery:
    """Upload members under such a header and follow them to their end; what became of them at the one destination."""
    answer = upload(api, segment, "\n".join((header, *members, "")), f"?mode={mode}")
    assert answer.status_code == 201, answer.content
    run_until_quiet(wait=wait)
    found: Delivery = Delivery.objects.get(upload=answer.json()["id"])
    return found


def csv_of(*members: str) -> str:
    """A file of provider ids."""
    return "\n".join(("provider_id", *members)) + "\n"


def md5_of(content: bytes | str) -> str:
    """The hexadecimal MD5 of a file."""
    data = content.encode() if isinstance(content, str) else content
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
