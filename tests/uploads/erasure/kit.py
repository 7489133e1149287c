"""What the tests of erasures share: a person in memberships, the search for them, an erasure followed to its end."""

from __future__ import annotations

import hashlib
from typing import Any

from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.sandbox.server import Sandbox
from segments.models import Segment
from tests.api_world import upload
from tests.jobs_helper import run_until, run_until_quiet
from tests.uploads.kit import settled
from uploads.erasure.job import EraseWish, erase_begin
from uploads.erasure.searching import search_begin
from uploads.models import Erasure, ErasureStatus, PersonSearch, Upload

PERSON = "person-1@example.invalid"
HASH = hashlib.sha256(PERSON.encode()).hexdigest()
OTHERS = ("anna@example.invalid", "ben@example.invalid")


def deliver(api: Client, segment: Segment, *people: str, mode: str = "replace") -> Upload:
    answer = upload(api, segment, "\n".join(("email", *people, "")), f"?mode={mode}")
    assert answer.status_code == 201, answer.content
    made = settled(Upload.objects.get(pk=answer.json()["id"]))
    assert made.status == "completed", made.details
    return made


def found(actor: Actor, value: str = PERSON, kind: str = "", name: str = "") -> PersonSearch:
    search = search_begin(actor=actor, value=value, kind=kind, identity_name=name)
    run_until_quiet(kinds=("uploads.search",))
    search.refresh_from_db()
    assert search.status == "completed", search.error_text
    return search


def erased(actor: Actor, search: PersonSearch, **wish: Any) -> Erasure:
    erasure = erase_begin(actor=actor, search=search, wish=EraseWish(PERSON, **wish))
    return followed(erasure)


def followed(erasure: Erasure) -> Erasure:
    def is_over() -> bool:
        erasure.refresh_from_db()
        return erasure.status != ErasureStatus.RUNNING

    run_until(is_over, lambda: [(step.what, step.status, step.text) for step in erasure.steps.all()])
    return erasure


def at_mediarithmics(box: Sandbox, segment: Segment) -> set[str]:
    remote = segment.destinations.get(vendor_account__vendor="mediarithmics").remote_id
    return set(box.vendors["mediarithmics"].control("members", {"segment": remote}))


def begin_erasure(actor: Actor, value: str = PERSON, *, kind: str = "", **wish: Any) -> Erasure:
    return erase_begin(actor=actor, search=found(actor, value, kind), wish=EraseWish(value, **wish))


def steps(erasure: Erasure) -> dict[str, tuple[str, str]]:
    return {step.what: (step.status, step.text) for step in erasure.steps.all()}
