"""App configuration: registers inspection and delivery as job kinds."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models import Q


class UploadsConfig(AppConfig):
    """Uploads."""

    name = "uploads"
    label = "uploads"

    def ready(self) -> None:
        from audsync_web.jobs.kinds import JobKind, on_tick, register
        from segments.active import register_reader

        from . import housekeeping, tasks  # housekeeping registers its hooks
        from .delivery import job as delivery
        from .delivery import waiting
        from .membership.active import read_active_memberships
        from .models import Delivery, Erasure, PersonSearch, SourcePull, Upload

        register_reader(read_active_memberships)

        register(JobKind("uploads.inspection", Upload, lambda: tasks.inspect))
        ready = (
            Q(destination__vendor_account__status="ok")
            & Q(upload__status__in=["delivering", "completed", "partial", "failed", "cancelled"])
            & ~Q(destination__remote_id="")
        )
        # A cancelled delivery that has not begun must be let in even while its account is in trouble.
        cancelled = Q(cancel_requested_at__isnull=False, upload__status__isnull=False)
        register(
            JobKind("uploads.delivery", Delivery, lambda: tasks.deliver, ready=lambda: ready | cancelled, lane_limit=3)
        )
        working = Q(vendor_account__status="ok") | Q(cancel_requested_at__isnull=False)
        register(JobKind("uploads.source", SourcePull, lambda: tasks.pull, ready=lambda: working))
        register(JobKind("uploads.search", PersonSearch, lambda: tasks.search))
        register(JobKind("uploads.erasure", Erasure, lambda: tasks.erase))
        on_tick(delivery.release_staged)
        on_tick(waiting.flag_waiting_for_failed_destinations)
        on_tick(waiting.flag_waiting_for_accounts)
        on_tick(waiting.end_for_removed_destinations)
        on_tick(housekeeping.empty_released_destinations)
        on_tick(housekeeping.settle_stragglers)
        on_tick(housekeeping.give_membership_to_new_destinations)
