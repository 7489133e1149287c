"""The sandbox's Anonymised: segments and publishing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from .anonymised_kit import Partner


def test_a_new_segment_has_exactly_the_documented_fields(partner: Partner):
    made = partner.create().json()
    assert set(made) == {
        "id", "companyId", "createdAt", "durationDays", "name", "publicName", "size", "status", "type"
    }  # fmt: skip
    assert (made["publicName"], made["size"], made["status"]) == ("", 0, "created")
    assert partner.create("another").json()["id"] > made["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "  "},
        {"name": 5},
        {"durationDays": 0},
        {"durationDays": True},
        {"durationDays": "90"},
        {"durationDays": 1.5},
        {"type": "custom"},
        {"type": None},
    ],
)
def test_a_segment_with_a_wrong_field_is_400(partner: Partner, changes: dict[str, Any]):
    answer = partner.create(**changes)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_publishing_fills_what_the_page_shows(partner: Partner):
    segment = partner.segment()
    shown = partner.call("POST", f"/segment/{segment}/publish").json()
    assert shown["status"] == "published"
    assert shown["publicName"]
    assert shown["externalId"].isdigit()
    assert "size" not in shown
    assert datetime.fromisoformat(shown["activatedAt"])


@pytest.mark.parametrize(("switch", "status"), [("200", 200), ("400", 400), ("409", 409)])
def test_a_second_publish_answers_as_chosen_and_is_noted(partner: Partner, switch: str, status: int):
    partner.switch("republish", switch)
    segment = partner.segment(published=True)
    assert partner.call("POST", f"/segment/{segment}/publish").status_code == status
    assert any("published" in text for text in partner.violations)
