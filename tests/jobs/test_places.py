"""Places at a vendor that a dead process of this machine held are free as soon as a worker starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta

import pytest

from audsync_web.jobs import quotas
from audsync_web.jobs.leases import free_what_the_dead_hold
from audsync_web.jobs.models import Quota
from audsync_web.vendors.connectors.errors import NotYet
from audsync_web.vendors.runtime import DatabasePacer

pytestmark = pytest.mark.django_db


def holder_of(pid: int) -> str:
    return f"{socket.gethostname()[:40]}:{pid}:0123456789abcdef"


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_only_what_the_dead_held_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "LONGEST_SLEEP", 0.1)
    for key, holder in (("dead", holder_of(dead_process())), ("alive", holder_of(os.getppid())), ("part", "part:7")):
        quotas.take_one_of(key, holder, places=1, keep=timedelta(hours=1))
    with pytest.raises(NotYet), DatabasePacer().inside("dead", places=1):
        raise AssertionError("the place was taken")
    assert free_what_the_dead_hold() == 1
    with DatabasePacer().inside("dead", places=1):
        held = dict(Quota.objects.exclude(holder="").values_list("key", "holder"))
    assert set(held) == {"dead:0", "alive:0", "part:0"}
    assert held["dead:0"].startswith(holder_of(os.getpid())[:-16])
