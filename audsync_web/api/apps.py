"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Api."""

    name = "audsync_web.api"
    label = "api"
