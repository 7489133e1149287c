"""The way back of the migrations, and forth again, with rows in the tables."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.factories import make_company, make_person
from tests.postgres import OnPostgres, database, on_postgres
from uploads.models import Delivery, Part

from . import kit

__all__ = ["database", "on_postgres"]

FIRST = {"uploads": "0003", "people": "0001"}


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
@pytest.mark.django_db(transaction=True)
def test_a_history_goes_back_and_forth_and_loses_nothing(on_postgres: OnPostgres) -> None:
    def rows() -> list[dict[str, Any]]:
        return [dict(row) for row in Delivery.objects.order_by("pk").values()]

    def make() -> None:
        company = make_company("northwind")
        person = make_person(company, email="mo@northwind.example")
        segment = kit.make_segment(company)
        for number in range(3):
            upload = kit.make_upload(segment, uploaded_by=person, file_name=f"members-{number}.csv")
            kit.make_delivery(upload, segment.destinations.first() or kit.make_destination(segment))
        Part.objects.create(delivery=Delivery.objects.earliest("pk"), number=1, status="uncertain")

    def indexes() -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
            return {name for (name,) in cursor.fetchall()}

    on_postgres.run(make)
    before, known = on_postgres.run(rows), on_postgres.run(indexes)
    for app, first in FIRST.items():
        on_postgres.run(partial(call_command, "migrate", app, first, verbosity=0))
    assert on_postgres.run(indexes) != known
    on_postgres.run(lambda: call_command("migrate", verbosity=0))
    assert on_postgres.run(rows) == before
    assert on_postgres.run(indexes) == known
    assert on_postgres.run(lambda: Part.objects.get().status) == "failed"
