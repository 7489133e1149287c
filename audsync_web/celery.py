"""The Celery app. Its messages carry only a row's id: losing one delays work, repeating one does nothing."""

from __future__ import annotations

import gc
import os
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_ready

from audsync_web.jobs import filebroker  # noqa: F401  # makes the embedded broker known to Celery

# It warns of pickled messages under root; only JSON is taken here (settings), whoever runs it.
warnings.filterwarnings("ignore", category=SecurityWarning)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audsync_web.settings")

app = Celery("audsync")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def keep_what_is_loaded(**_: Any) -> None:
    """What a worker has loaded stays as long as it lives: the garbage collector need not look at it again and again,
    which takes a tenth of a second each time."""
    gc.collect()
    gc.freeze()


worker_ready.connect(keep_what_is_loaded, weak=False)
