"""Nobody sees or touches anything of another company: every URL and method of the API, found in the resolver."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from audsync_web.people.models import AuditEntry, Company, User
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, Segment
from tests.api_world import account, api, make_segment, marketer_api, stranger_api, upload
from uploads.models import Erasure, PartialUpload, PersonSearch, SourcePull

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["account", "api", "marketer_api", "stranger_api"]

PREFIX = "api/public/v3/"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ANYBODY = {("POST", "login")}
# What a marketer may do beside reading (design section 7.3, “Who may”), on things of their own company.
MARKETERS_WRITE = {
    "membership/upload",
    "membership/preflight",
    "membership/top-up",
    "membership/tus",
    "membership/tus/<uuid:tus_id>",
}
# Their own only; this world's upload is the manager's.
OWN_ONLY = {"cancel", "retry"}


@dataclass(frozen=True)
class Call:
    """One method of one URL pattern."""

    method: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"

    @property
    def has_object(self) -> bool:
        """Whether the URL names something that belongs to a company."""
        return "<" in self.pattern


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, path)
        elif isinstance(entry, URLPattern) and path.startswith(PREFIX):
            yield path.removeprefix(PREFIX), entry.callback


def all_calls() -> list[Call]:
    found = []
    for pattern, callback in patterns(get_resolver()):
        view = callback.view_class
        found += [Call(method, pattern) for method in METHODS if hasattr(view, method.lower())]
    return sorted(set(found), key=str)


CALLS = [call for call in all_calls() if (call.method, call.pattern) not in ANYBODY]


@pytest.fixture
def world(api: Client, account: VendorAccount, manager: User, company: Company) -> dict[str, Any]:
    """One of everything, all of Northwind; values for the URLs' parts by their names."""
    segment = make_segment(api)
    made = upload(api, segment, "provider_id\na1\n").json()
    row = Segment.objects.get(pk=segment["id"])
    partial = PartialUpload.objects.create(
        company=company, segment=row, user=manager, length=5, expires_at=timezone.now() + timedelta(days=1)
    )
    pull = SourcePull.objects.create(
        company=company, vendor_account=account, segment=row, segmentation=str(uuid.uuid4()), identifier="custom_id"
    )
    return {
        "segment_id": row.pk,
        "vendor_account_id": account.pk,
        "destination_id": row.destinations.get().pk,
        "upload_id": made["id"],
        "tus_id": partial.pk,
        "identifier_name": "email",
        "pull_id": pull.pk,
        "search_id": PersonSearch.objects.create(company=company, status="completed").pk,
        "erasure_id": Erasure.objects.create(company=company).pk,
        "uuid": uuid.uuid4(),
    }


def url_of(call: Call, world: dict[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1).rpartition(":")[2]
        assert name in world, f"tell the sweep what to put for <{name}>"
        return str(world[name])

    return "/" + PREFIX + re.sub(r"<([^>]+)>", value, call.pattern)


def ask(client: Client, call: Call, world: dict[str, Any]) -> Any:
    tus = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Upload-Length": "5"} if "/tus" in call.pattern else {}
    content_type = "text/csv" if call.pattern.endswith("membership/upload") else "application/json"
    if tus:
        content_type = "application/offset+octet-stream"
    return client.generic(call.method, url_of(call, world), b"{}", content_type=content_type, headers=tus)


def state() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values_list())
        for model in (Segment, Destination, VendorAccount, PartialUpload, AuditEntry)
    ]


def test_the_sweep_finds_the_calls_of_the_contract() -> None:
    known = {str(call) for call in CALLS}
    assert {
        "POST segment",
        "POST segment/<int:segment_id>/publish",
        "POST segment/<int:segment_id>/membership/upload",
        "GET vendor-accounts/<int:vendor_account_id>",
        "PATCH segment/<int:segment_id>/membership/tus/<uuid:tus_id>",
    } <= known


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_stranger_meets_404_and_changes_nothing(
    call: Call, world: dict[str, Any], stranger_api: Client, stranger: User
) -> None:
    before = state()
    answer = ask(stranger_api, call, world)
    if call.has_object:
        assert answer.status_code == 404, answer.content
        assert state() == before
    else:
        assert answer.status_code in {200, 400}
        assert b"northwind" not in answer.content.lower()
        assert not answer.content or not answer.json().get("results")


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_without_a_token_or_with_a_wrong_one_it_is_401(call: Call, world: dict[str, Any]) -> None:
    before = state()
    for client in (Client(), Client(headers={"Authorization": "Bearer audt_wrong"})):
        answer = ask(client, call, world)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        if call.method != "HEAD":
            assert set(answer.json()) == {"error"}
    assert state() == before


@pytest.mark.parametrize("call", [call for call in CALLS if call.method not in {"GET", "HEAD"}], ids=str)
def test_a_marketer_writes_uploads_and_preflights_only(call: Call, world: dict[str, Any], marketer_api: Client) -> None:
    answer = ask(marketer_api, call, world)
    rest = call.pattern.removeprefix("segment/<int:segment_id>/")
    if rest in MARKETERS_WRITE:
        assert answer.status_code != 403
    else:
        assert answer.status_code == 403, answer.content


@pytest.mark.parametrize("call", [call for call in CALLS if call.has_object], ids=str)
def test_an_error_is_one_line_under_one_key(call: Call, world: dict[str, Any], api: Client) -> None:
    nobodys = {name: uuid.uuid4() for name in ("pull_id", "search_id", "erasure_id")}
    missing = {**world, **nobodys, "segment_id": 10**12, "vendor_account_id": 10**12}
    answer = ask(api, call, missing)
    assert answer.status_code == 404
    assert call.method == "HEAD" or set(answer.json()) == {"error"}
