"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Api."""

    name = "audsync_web.api"
    label = "api"

    def ready(self) -> None:
        # A worker answers no request, so nothing else would load it: its clean-up registers itself.
        from . import idempotency  # noqa: F401
