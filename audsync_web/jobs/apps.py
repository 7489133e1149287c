"""App configuration: a worker process shows that it lives, and frees what its predecessor held."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_ready
from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Jobs."""

    name = "audsync_web.jobs"
    label = "jobs"

    def ready(self) -> None:
        from . import housekeeping  # noqa: F401  # registers its hook

        worker_ready.connect(_worker_is_ready, dispatch_uid="audsync.jobs.heart")


def _worker_is_ready(**_: Any) -> None:
    from .leases import free_what_the_dead_hold, heart
    from .scheduler import stand_in

    free_what_the_dead_hold()
    heart.also(stand_in)
    heart.start()
