"""The project itself as an app: commands, template tags, start-up checks."""

from __future__ import annotations

from django.apps import AppConfig


class AudsyncWebConfig(AppConfig):
    """Registers the start-up checks."""

    name = "audsync_web"
    label = "audsync_web"

    def ready(self) -> None:
        from audsync_web import checks  # noqa: F401  # registered by being imported
