"""The Celery app. Its messages carry only a row's id: losing one delays work, repeating one does nothing."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audsync_web.settings")

app = Celery("audsync")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
