"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """People."""

    name = "audsync_web.people"
    label = "people"

    def ready(self) -> None:
        # A worker serves no page, so nothing else would load these: their clean-up registers itself.
        from . import logins, throttle, tokens  # noqa: F401
