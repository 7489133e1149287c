"""Whom a destination would not be sent: told apart by reason, and with a pointer to a list that is there."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.jobs_helper import run_until_quiet
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from tests.uploads.membership.test_kept_out import erase
from uploads.models import Delivery, Upload

from .kit import send


def sha256(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


KEPT, GONE = sha256("kim@example.invalid"), sha256("rita@example.invalid")


@pytest.fixture
def segment(company: Any) -> Any:
    """One that is fed with hashes, in a company that has erased somebody."""
    made = make_segment(company)
    make_destination(made, "mediarithmics", "email_sha256")
    erase(company, "email", "rita@example.invalid")
    return made


def ready(client: Any, segment: Any, *values: str) -> Upload:
    answer = send(client, segment, "\n".join(("provider_id", *values, "")).encode())
    assert answer.status_code == 302, answer.content.decode()
    run_until_quiet(kinds=("uploads.inspection",))
    return Upload.objects.get()


def test_who_was_erased_is_not_said_to_be_misspelt(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, KEPT, GONE)
    checks = client.get(f"/uploads/{upload.pk}/preflight").content.decode()
    assert "1 member is kept out after an erasure." in checks
    assert "not fit" not in checks
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "1 kept out after an erasure" in page
    assert "held back" not in page


def test_who_does_not_fit_is_counted_apart_from_who_was_erased(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, KEPT, GONE, "a1", "a2")
    checks = client.get(f"/uploads/{upload.pk}/preflight").content.decode()
    assert "2 members do not fit" in checks
    assert "1 member is kept out after an erasure." in checks
    assert "rejected rows" not in checks
    assert "Once it is sent, the upload&#x27;s page lists them under “Not taken”" in checks


def test_a_file_of_erased_people_alone_asks_for_no_other_file(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, GONE)
    for path in (f"/uploads/{upload.pk}", f"/uploads/{upload.pk}/preflight"):
        page = client.get(path).content.decode()
        assert "Everybody in this file was erased" in page
        assert "Nobody in this file fits" not in page


def test_the_list_of_who_was_not_taken_is_where_the_checks_point_to(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, rejected_by_reason={"empty_value": 1})
    counts: dict[str, Any] = {"members": 8, "held": 2, "adds": 6, "sent": 6, "accepted": 6, "refused": 0}
    make_delivery(upload, segment.destinations.get(), planned_at=upload.created_at, **counts)
    assert Delivery.objects.get().held == 2
    page = logged_in(manager).get(f"/uploads/{upload.pk}").content.decode()
    assert "Rejected rows" in page
    assert "Not taken" in page
