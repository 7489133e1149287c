"""App configuration: registers inspection and delivery as job kinds."""

from __future__ import annotations

from django.apps import AppConfig


class UploadsConfig(AppConfig):
    """Uploads."""

    name = "uploads"
    label = "uploads"
