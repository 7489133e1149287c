"""The Celery app. Its messages carry only a row's id: losing one delays work, repeating one does nothing."""

from __future__ import annotations

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning

from audsync_web.jobs import filebroker  # noqa: F401  # makes the embedded broker known to Celery

# It warns of pickled messages under root; only JSON is taken here (settings), whoever runs it.
warnings.filterwarnings("ignore", category=SecurityWarning)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audsync_web.settings")

app = Celery("audsync")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
