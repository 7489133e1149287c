"""App configuration: registers the health check as a job kind."""

from __future__ import annotations

from django.apps import AppConfig


class VendorsConfig(AppConfig):
    """Vendors."""

    name = "audsync_web.vendors"
    label = "vendors"

    def ready(self) -> None:
        from audsync_web.jobs.kinds import JobKind, register

        from . import tasks
        from .models import VendorAccount

        register(JobKind("vendors.account", VendorAccount, lambda: tasks.check_account))
