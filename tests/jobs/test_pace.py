"""The pace that a vendor is promised holds as the vendor counts it: by arrivals, on a busy machine, too."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from audsync_web.jobs import quotas

pytestmark = pytest.mark.django_db


class Machine:
    """A clock that only sleeping moves, and that oversleeps by what is set as `late`."""

    def __init__(self) -> None:
        self.now_ = timezone.now()
        self.late = timedelta(0)

    def now(self) -> datetime:
        return self.now_

    def sleep(self, seconds: float) -> None:
        self.now_ += timedelta(seconds=seconds) + self.late


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr("django.utils.timezone.now", made.now)
    monkeypatch.setattr("time.sleep", made.sleep)
    return made


def arrivals(machine: Machine, count: int, *, per_second: float, lates: dict[int, float] | None = None) -> list[float]:
    """When so many requests in a row go out, in seconds; some of them `lates` seconds after their time."""
    first, found = machine.now(), []
    for number in range(count):
        machine.late = timedelta(seconds=(lates or {}).get(number, 0.0))
        quotas.take("mediarithmics:1471:requests", per_second=per_second)
        found.append((machine.now() - first).total_seconds())
    return found


def most_in_a_second(moments: list[float], jitter: float = 0.0) -> int:
    return max(sum(1 for other in moments if 0 <= other - moment < 1.0 + jitter) for moment in moments)


@pytest.mark.parametrize("per_second", [2, 5])
def test_no_second_holds_more_requests_than_promised_though_some_arrive_a_little_late(
    machine: Machine, per_second: int
) -> None:
    moments = arrivals(machine, 20, per_second=per_second)
    assert most_in_a_second(moments, jitter=0.04) == per_second
    assert moments[-1] < 1.1 * 19 / per_second, "the pace is used"


@pytest.mark.parametrize("per_second", [2, 5])
def test_a_request_that_a_busy_machine_kept_pushes_those_behind_it(machine: Machine, per_second: int) -> None:
    moments = arrivals(machine, 20, per_second=per_second, lates={3: 0.4, 7: 0.15, 8: 0.15, 12: 0.9})
    assert most_in_a_second(moments) == per_second


def test_a_fast_pace_is_kept_to_the_full(machine: Machine) -> None:
    moments = arrivals(machine, 201, per_second=200)
    assert moments[-1] == pytest.approx(1.0, abs=0.01)
