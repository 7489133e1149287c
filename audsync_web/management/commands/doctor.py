"""`manage.py doctor`: is everything as it should be, and if not, what is to be done."""

from __future__ import annotations

import shutil
import uuid
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from audsync_web.celery import app
from audsync_web.crypto import SealBroken
from audsync_web.jobs.kinds import all_kinds
from audsync_web.jobs.leases import workers_alive
from audsync_web.jobs.scheduler import scheduler_alive
from audsync_web.vendors.connectors.errors import ConnectorError
from audsync_web.vendors.models import AccountStatus, VendorAccount
from audsync_web.vendors.runtime import connector_for

LITTLE_ROOM = 1_000_000_000


@dataclass(frozen=True)
class Found:
    """One finding: what was looked at, how it is, and what to do about it when it is not well."""

    what: str
    text: str
    fix: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether something is to be done."""
        return bool(self.fix)


class Command(BaseCommand):
    """Look at everything, say what to do about each fault; exit 1 when there is one."""

    help = "Check configuration, database, broker, storage, workers and every vendor account."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-vendors", action="store_true", help="do not call the vendors")

    def handle(self, *args: Any, **options: Any) -> None:
        faults = 0
        for look in _looks(vendors=not options["no_vendors"]):
            for found in look():
                faults += found.is_fault
                self.stdout.write(f"{'FAULT' if found.is_fault else 'ok   '}  {found.what}: {found.text}")
                if found.fix:
                    self.stdout.write(f"       {found.fix}")
        if faults:
            self.stdout.write(f"{faults} fault{'s' if faults > 1 else ''}")
            raise SystemExit(1)
        self.stdout.write("all is well")


def _looks(*, vendors: bool) -> list[Callable[[], Iterator[Found]]]:
    looks = [_configuration, _database, _broker, _storage, _workers]
    return [*looks, _vendor_accounts] if vendors else looks


def _configuration() -> Iterator[Found]:
    issues = [issue for issue in run_checks() if not issue.is_silenced()]
    for issue in issues:
        yield Found("configuration", issue.msg, issue.hint or "Correct it and start again.")
    if not issues:
        where = "embedded" if settings.EMBEDDED else "with servers"
        yield Found("configuration", f"{where}, data in {settings.DATA_DIR}")


def _database() -> Iterator[Found]:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception as error:
        # Any driver's error means the same to whoever reads this.
        yield Found(
            "database",
            f"cannot be reached ({type(error).__name__})",
            "Check DATABASE_URL and that the server runs; embedded, check that the data folder can be written.",
        )
        return
    if waiting:
        yield Found("database", f"{len(waiting)} migrations wait", "Run: manage.py migrate")
    else:
        yield Found("database", f"{connection.vendor}, up to date")


def _broker() -> Iterator[Found]:
    name = settings.CELERY_BROKER_URL.split("://")[0]
    try:
        with app.connection_for_write() as link:
            link.ensure_connection(max_retries=1, timeout=3)
    except Exception as error:
        yield Found(
            "broker",
            f"{name} cannot be reached ({type(error).__name__})",
            "Check CELERY_BROKER_URL and that the server runs. Until then work waits; nothing is lost.",
        )
        return
    yield Found("broker", f"{name} answers")


def _storage() -> Iterator[Found]:
    name = f"doctor-{uuid.uuid4().hex}"
    try:
        stored = default_storage.save(name, ContentFile(b"written by doctor"))
        default_storage.delete(stored)
    except Exception as error:
        yield Found(
            "storage",
            f"cannot be written ({type(error).__name__})",
            "Check AUDSYNC_STORAGE_URL and its credentials, or the rights of the data folder.",
        )
        return
    free = shutil.disk_usage(settings.DATA_DIR).free
    if free < LITTLE_ROOM:
        yield Found("storage", f"{free / 1e6:,.0f} MB are free", "Make room: uploads are refused when it runs out.")
    else:
        yield Found("storage", f"can be written, {free / 1e9:,.1f} GB free")
    if Path(settings.DATA_DIR).stat().st_mode & 0o077:
        yield Found("storage", "others can enter the data folder", f"Run: chmod 700 {settings.DATA_DIR}")


def _workers() -> Iterator[Found]:
    try:
        alive, ticks = workers_alive(), scheduler_alive()
        overdue = sum(_overdue(kind.model) for kind in all_kinds())
    except Exception as error:
        yield Found("workers", f"cannot be seen ({type(error).__name__})", "Mend the database first.")
        return
    if not alive:
        yield Found(
            "workers",
            "no worker is running, so uploads wait",
            "Run: manage.py up, or: celery -A audsync_web worker --pool threads  and  celery -A audsync_web beat",
        )
    elif not ticks:
        yield Found(
            "workers",
            "no scheduler has ticked: jobs wait longer than they need to, deadlines and clean-up stand still",
            "Run: manage.py up, or: celery -A audsync_web beat",
        )
    elif overdue:
        yield Found("workers", f"{overdue} jobs are overdue", "Start more workers, or see the log of those that run.")
    else:
        yield Found("workers", "at least one runs, nothing is overdue")


def _overdue(model: Any) -> int:
    late = timezone.now() - timedelta(minutes=5)
    rows = model._default_manager.filter(next_action_at__lt=late, lease_owner="")
    return int(rows.count())


def _vendor_accounts() -> Iterator[Found]:
    try:
        accounts = list(VendorAccount.objects.exclude(status=AccountStatus.DISCONNECTED).select_related("company"))
    except SealBroken:
        yield Found(
            "vendor accounts",
            "their credentials cannot be opened",
            "Put the key they were sealed with back into AUDSYNC_ENCRYPTION_KEYS.",
        )
        return
    except DatabaseError:
        return  # told above: the database is not ready
    for account in accounts:
        yield _look_at(account)


def _look_at(account: VendorAccount) -> Found:
    what = f"{account.company.slug}, {account.name}"
    if account.status == AccountStatus.PAUSED:
        return Found(what, "paused")
    try:
        with connector_for(account) as connector:
            checked = connector.check()
    except ConnectorError as error:
        return Found(what, error.text, error.next_step or "Look again later; see the vendor account's page.")
    if checked.missing:
        return Found(what, f"rights are missing: {', '.join(checked.missing)}", "Ask the vendor to grant them.")
    if account.status == AccountStatus.NEEDS_ATTENTION:
        return Found(what, "works again, but still waits for attention", "Press “Check now” on the account's page.")
    return Found(what, checked.text)
