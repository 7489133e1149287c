"""A scheduler that is silent costs time and no work: workers tick in its stead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audsync_web.jobs import tasks
from audsync_web.jobs.leases import SCHEDULER, workers_alive
from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.jobs.scheduler import note_tick, scheduler_alive, stand_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The ticks that were put on the broker."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.dispatch, "apply_async", lambda *_, **options: found.append(options))
    return found


def test_while_the_scheduler_ticks_no_worker_does(sent: list[dict[str, Any]]) -> None:
    tasks.dispatch.run(scheduled=True)
    assert scheduler_alive()
    assert not stand_in()
    assert sent == []


def test_a_worker_ticks_for_a_scheduler_that_is_silent_and_does_not_take_its_own_ticks_for_its(
    sent: list[dict[str, Any]],
) -> None:
    note_tick()
    WorkerHeartbeat.objects.filter(worker=SCHEDULER).update(seen_at=timezone.now() - timedelta(seconds=16))
    assert stand_in()
    assert len(sent) == 1
    tasks.dispatch.run()
    assert stand_in(), "still silent"


def test_ticks_every_second_are_not_written_every_second() -> None:
    note_tick()
    first = WorkerHeartbeat.objects.get(worker=SCHEDULER).seen_at
    note_tick()
    assert WorkerHeartbeat.objects.get(worker=SCHEDULER).seen_at == first


def test_the_scheduler_is_no_worker() -> None:
    note_tick()
    assert not workers_alive()


def test_a_broker_that_is_away_does_not_stop_the_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("the broker is away")

    monkeypatch.setattr(tasks.dispatch, "apply_async", refuse)
    assert not stand_in()
