"""A vendor that loses every answer to a call that may be repeated is asked ever more slowly, not once a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from audsync_web.jobs.kinds import kind_named
from audsync_web.jobs.leases import release, seize
from audsync_web.people.models import Company
from audsync_web.vendors.connectors.errors import UnknownOutcome
from segments import publishing
from segments.models import Destination, DestinationStatus, Wanted
from tests.uploads.kit import make_destination, make_segment

pytestmark = pytest.mark.django_db(transaction=True)

WISHES: dict[str, dict[str, Any]] = {
    "rename": {"memory": {"rename": True}},
    "release": {"wanted": Wanted.RELEASED, "release_choice": "deactivate"},
    "delete what was left": {
        "wanted": Wanted.RELEASED,
        "status": DestinationStatus.RELEASED,
        "release_choice": "delete_tag",
    },
    "publish once more": {"wanted": Wanted.PUBLISHED, "intent": {"step": "publish", "at": "2026-11-22T08:00:00Z"}},
}


def _lost(*_: Any) -> Any:
    raise UnknownOutcome("The vendor failed with status 500.", code="vendor_failed", status=500)


@pytest.mark.parametrize("wish", WISHES)
def test_it_is_tried_again_ever_more_slowly(wish: str, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = ("rename_segment", "release_segment", "reconcile_publish")
    connector = SimpleNamespace(**dict.fromkeys(calls, _lost))
    monkeypatch.setattr(publishing, "connector_for", lambda account: _opened(connector))
    destination = make_destination(make_segment(company))
    Destination.objects.update(**WISHES[wish])
    waits = []
    for _ in range(7):
        Destination.objects.update(next_action_at=timezone.now())
        lease = seize(kind_named("segments.destination"), destination.pk)
        assert lease is not None
        publishing.advance(lease)
        release(lease)
        destination.refresh_from_db()
        assert destination.next_action_at is not None
        waits.append((destination.next_action_at - timezone.now()).total_seconds())
    assert destination.attempts == 7
    assert destination.error_code == "vendor_failed"
    assert waits[3] > 5
    assert waits[6] > 50


@contextmanager
def _opened(connector: Any) -> Iterator[Any]:
    yield connector
