"""Vendors' JSON is read for what it says, whatever form its numbers and times come in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from audsync_web.vendors.connectors.reading import impersonal, utc_moment, whole


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("5", 5),
        ('"5"', 5),
        ('" 5 "', 5),
        ("5.0", 5),
        ("-5", -5),
        ('"18446744073709551615"', 18446744073709551615),
        ("0", 0),
        *((odd, None) for odd in ("null", '"x"', "true", "1.5", "NaN", "Infinity", "1e400", "[]", "{}")),
        *((odd, None) for odd in ('""', '"1e3"', '"--5"', '"²"', '"٣"', '"1_000"')),
        ('"' + "9" * 5000 + '"', None),
    ],
)
def test_numbers_may_be_texts_and_nothing_else_is_one(text: str, read: int | None):
    assert whole(json.loads(text)) == read


@pytest.mark.parametrize("value", ["yesterday", "", None, 5, "9999-12-31T23:59:59-12:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_none(value: Any):
    assert utc_moment(value) is None


def test_times_come_in_utc():
    assert utc_moment(" 2026-11-22T10:16:02+02:00 ") == datetime(2026, 11, 22, 8, 16, 2, tzinfo=UTC)
    assert utc_moment("2026-11-22T08:16:02") == datetime(2026, 11, 22, 8, 16, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("No profile jane@mail.example here.", "No profile … here."),
        ('Line {"email_hash": "abc", "minutes": 5}', 'Line {"email_hash": "…", "minutes": 5}'),
        ("Device 3F2B8F0E-5f4b-4c0e-9a45-6f0d7d1f2a10 is odd", "Device … is odd"),
        ("Line 3:" + "ab" * 16 + " is odd", "Line 3:… is odd"),
        ("ab" * 16 + "jane@mail.example", "…"),
        ("mail:jane@mail.example,joe@mail.example", "…"),
        ('"user_account_id":"u1" <jane@mail.example>', '"user_account_id":"…" <…>'),
        ("Segment 5 is full.", "Segment 5 is full."),
    ],
)
def test_words_are_told_without_the_people_in_them(said: str, shown: str):
    assert impersonal(said, ("email_hash", "user_account_id")) == shown


def test_only_the_properties_that_name_people_are_struck_out():
    assert impersonal('{"customId": "crm-1", "field": "crm-1"}', ["customId"]) == '{"customId": "…", "field": "crm-1"}'
    assert impersonal('{"customId": "crm-1"}') == '{"customId": "crm-1"}'


def test_a_word_without_end_is_read_once():
    endless = "x" * 2_000_000
    assert impersonal(endless) == endless
