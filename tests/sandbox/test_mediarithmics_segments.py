"""The sandbox's mediarithmics: segments, their filters, and compartments."""

from __future__ import annotations

from typing import Any

import pytest

from .mediarithmics_kit import SEGMENT, Client


@pytest.mark.parametrize(
    ("query", "changes", "status"),
    [
        ("", {}, 400),
        ("?organisation_id=613", {}, 403),
        ("?organisation_id=612", {"type": "USER_LISTS"}, 400),
        ("?organisation_id=612", {"name": ""}, 400),
        ("?organisation_id=612", {"datamart_id": 1471}, 400),
        ("?organisation_id=612", {"datamart_id": "1472"}, 403),
        ("?organisation_id=612", {"default_ttl": "60"}, 400),
        ("?organisation_id=612", {"technical_name": "present_90001"}, 409),
        ("?organisation_id=612", {"default_ttl": 86_400_000}, 200),
    ],
)
def test_a_segment_needs_its_fields_and_a_free_name(client: Client, query: str, changes: dict[str, Any], status: int):
    assert client("POST", f"/audience_segments{query}", {**SEGMENT, **changes}).status_code == status


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 4),
        ({"type": "USER_LIST"}, 3),
        ({"technical_name": "lapsed"}, 1),
        ({"technical_name": "lapse"}, 0),
        ({"name": "Lapsed"}, 1),
        ({"keywords": "laps"}, 1),
        ({"feed_type": "TAG"}, 0),
        ({"persisted": "true"}, 3),
        ({"datamart_id": "1472"}, 0),
    ],
)
def test_segments_are_filtered(client: Client, query: dict[str, str], count: int):
    client.segment()
    assert client("GET", "/audience_segments", params=query).json()["count"] == count


def test_compartments_are_listed_and_one_is_the_default(client: Client):
    path = "/datamarts/1471/compartments"
    assert client("GET", path).json()["count"] == 2
    assert client("GET", path, params={"default": "true"}).json()["data"][0]["compartment_id"] == "1042"
