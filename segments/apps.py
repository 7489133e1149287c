"""App configuration: registers the destination as a job kind."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models import Q


class SegmentsConfig(AppConfig):
    """Segments."""

    name = "segments"
    label = "segments"

    def ready(self) -> None:
        from audsync_web.jobs.kinds import JobKind, register

        from . import housekeeping, tasks  # noqa: F401  # housekeeping registers its hook
        from .models import Destination

        working = Q(vendor_account__status="ok")
        register(JobKind("segments.destination", Destination, lambda: tasks.publish, ready=lambda: working))
