"""`manage.py doctor` says what is wrong and what to do about it."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from audsync_web.jobs.leases import heart
from audsync_web.jobs.scheduler import note_tick
from audsync_web.people.actors import system_actor
from audsync_web.people.models import Company
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.services import account_connect


def doctor(*words: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("doctor", *words, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_without_a_worker_it_says_how_to_start_one() -> None:
    code, said = doctor("--no-vendors")
    assert code == 1
    assert "no worker is running" in said
    assert "manage.py up" in said


@pytest.mark.django_db(transaction=True)
def test_without_a_scheduler_it_says_how_to_start_one() -> None:
    heart.beat()
    code, said = doctor("--no-vendors")
    assert code == 1
    assert "no scheduler has ticked" in said
    assert "celery -A audsync_web beat" in said


@pytest.mark.django_db(transaction=True)
def test_all_is_well_where_a_worker_and_a_scheduler_run() -> None:
    heart.beat()
    note_tick()
    code, said = doctor("--no-vendors")
    assert code == 0, said
    assert "all is well" in said


@pytest.mark.django_db(transaction=True)
def test_it_checks_every_vendor_account_and_shows_no_secret(company: Company) -> None:
    heart.beat()
    with Sandbox() as box:
        account = account_connect(
            actor=system_actor(company),
            vendor="anonymised",
            name="Anonymised EU",
            base_url=box.base_url("anonymised"),
            credentials={"email": "ops@northwind.example", "password": "not-the-right-one"},
            settings={},
            check=False,
        )
        code, said = doctor()
    assert code == 1
    assert account.name in said
    assert "rejected" in said
    assert "not-the-right-one" not in said
