"""What is cleaned up once a minute, in whatever process does it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from audsync_web.people import throttle
from audsync_web.people.logins import forget_ended_sessions
from audsync_web.people.models import LoginThrottle, User
from tests.conftest import LoggedIn

NAMES = """
import django
django.setup()
from audsync_web.jobs.kinds import housekeeping_hooks
print(" ".join(hook.__name__ for hook in housekeeping_hooks()))
"""


@pytest.mark.parametrize(
    "hook", ["forget_ended_sessions", "forget_ended_tokens", "forget_old_windows", "forget_old_answers"]
)
def test_a_process_that_serves_no_page_cleans_up_too(hook: str, hooks_of_a_bare_process: list[str]) -> None:
    assert hook in hooks_of_a_bare_process


@pytest.fixture(scope="module")
def hooks_of_a_bare_process() -> list[str]:
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_ended_sessions_and_windows_go_and_live_ones_stay(logged_in: LoggedIn, manager: User, marketer: User) -> None:
    ended, live = logged_in(manager).session.session_key, logged_in(marketer).session.session_key
    Session.objects.filter(pk=ended).update(expire_date=timezone.now() - timedelta(seconds=1))
    throttle.count_try("127.0.0.1", manager.email)
    forget_ended_sessions()
    throttle.forget_old_windows()
    assert [session.pk for session in Session.objects.all()] == [live]
    assert LoginThrottle.objects.count() == 2
    LoginThrottle.objects.update(window_ends_at=timezone.now() - timedelta(hours=1))
    throttle.forget_old_windows()
    assert not LoginThrottle.objects.exists()
