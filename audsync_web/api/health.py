"""Health for machines: is the process up, and can it do its work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from audsync_web.celery import app
from audsync_web.jobs.kinds import JobKind, all_kinds

logger = logging.getLogger(__name__)

OVERDUE_AFTER = timedelta(minutes=5)
BROKER_PATIENCE = 2.0


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 whenever the process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database and broker can be reached and no job is long overdue; 503 says which check failed."""
    checks = {name: _outcome(name, check) for name, check in CHECKS.items()}
    ready = all(outcome == "ok" for outcome in checks.values())
    body = {"status": "ok" if ready else "unavailable", "checks": checks}
    return JsonResponse(body, status=200 if ready else 503)


def _outcome(name: str, check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:
        # The text of such an error may hold a password of a URL; its kind is enough here.
        logger.warning("readiness: %s failed with %s", name, type(error).__name__)
        return "cannot be reached"


def database_check() -> str:
    """One question to the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return "ok"


def broker_check() -> str:
    """A connection to the broker; the embedded one is a folder that must be writable."""
    queue = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("data_folder_out")
    if queue and Path(queue).exists() and not Path(queue).is_dir():
        return "its folder is no folder"
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, timeout=BROKER_PATIENCE)
    return "ok"


def jobs_check() -> str:
    """No job of any kind due for more than five minutes that nobody holds."""
    late = {kind.name: count for kind in all_kinds() if (count := overdue(kind))}
    if not late:
        return "ok"
    return ", ".join(f"{count} of {name} overdue by more than 5 min" for name, count in sorted(late.items()))


def overdue(kind: JobKind) -> int:
    """How many jobs of a kind could have been worked on for five minutes and were not."""
    now = timezone.now()
    rows: Any = kind.model._default_manager
    unheld = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    return int(rows.filter(kind.ready(), unheld, next_action_at__lt=now - OVERDUE_AFTER).count())


CHECKS: dict[str, Callable[[], str]] = {"database": database_check, "broker": broker_check, "jobs": jobs_check}
