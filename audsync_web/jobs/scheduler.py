"""The scheduler's sign of life, and what workers do while it gives none.

Wake-ups may be lost and polls come due at their time: without ticks jobs would wait for ever, and nothing would say so.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from .leases import SCHEDULER, SCHEDULER_FRESH
from .models import WorkerHeartbeat

logger = logging.getLogger(__name__)

# Its ticks come every second; so seldom is one of them written down.
NOTED_EVERY = timedelta(seconds=3)
TICK_LIFE_SECONDS = 5


def note_tick() -> None:
    """The scheduler lives: it has sent a tick."""
    now = timezone.now()
    known = WorkerHeartbeat.objects.filter(worker=SCHEDULER).values_list("seen_at", flat=True).first()
    if known is None or known < now - NOTED_EVERY:
        WorkerHeartbeat.objects.update_or_create(worker=SCHEDULER, defaults={"seen_at": now})


def scheduler_alive() -> bool:
    """Whether the scheduler has ticked in the last 15 seconds."""
    since = timezone.now() - SCHEDULER_FRESH
    return WorkerHeartbeat.objects.filter(worker=SCHEDULER, seen_at__gte=since).exists()


def stand_in() -> bool:
    """Send a tick in the stead of a scheduler that is silent; called with every beat of a worker. Whether one was.

    Jobs go on by that; housekeeping waits for the scheduler, which `doctor` misses.
    """
    from .tasks import dispatch

    if scheduler_alive():
        return False
    logger.info("the scheduler is silent; a worker ticks in its stead")
    try:
        dispatch.apply_async(expires=TICK_LIFE_SECONDS, retry=False)
    except Exception as error:
        logger.warning("tick not sent: %s", type(error).__name__)
        return False
    return True
