"""What identifiers look like, and which column names mean which kind."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audsync_web.vendors.connectors.identifiers import KINDS, conversion, kind_of_header

HEX64, HEX32, HEX40 = "a1" * 32, "b2" * 16, "c3" * 20
UUID = "123e4567-e89b-42d3-a456-426614174000"
LARGEST = 2**64 - 1


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("provider_id", "user001"),
        ("provider_id", "with space"),
        ("provider_id", "é" * 127),
        ("email", "mo@northwind.example"),
        ("email", "first.last+tag@mail.northwind.example"),
        ("email_sha256", HEX64),
        ("email_sha256", HEX64.upper()),
        ("email_md5", HEX32),
        ("phone", "+44 20 7946 0000"),
        ("phone", "(22) 123 45 67"),
        ("custom_id", 'may,hold "anything"'),
        ("uuid", UUID),
        ("xandr_id", "1"),
        ("xandr_id", str(LARGEST)),
        ("idfa", UUID.upper()),
        ("sha1udid", HEX40),
    ],
)
def test_a_well_formed_value_is_taken(kind: str, value: str):
    assert KINDS[kind].rule.accepts(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("provider_id", ""),
        ("provider_id", "a,b"),
        ("provider_id", 'a"b'),
        ("provider_id", "a\tb"),
        ("provider_id", "a\x00b"),
        ("provider_id", "a\n"),
        ("provider_id", "é" * 128),
        ("email", "no-at.example"),
        ("email", "two@@northwind.example"),
        ("email", "mo@localhost"),
        ("email", "mo@northwind.example\n"),
        ("email_sha256", HEX64[:-1]),
        ("email_sha256", HEX64 + "0"),
        ("email_md5", HEX64),
        ("phone", "12"),
        ("phone", "call me"),
        ("uuid", UUID.replace("-", "")),
        ("xandr_id", "0"),
        ("xandr_id", "007"),
        ("xandr_id", "-5"),
        ("xandr_id", str(LARGEST + 1)),
        ("idfa", "not-a-device"),
    ],
)
def test_an_ill_formed_value_is_refused(kind: str, value: str):
    assert not KINDS[kind].rule.accepts(value)


@given(st.integers(min_value=0, max_value=10**21))
def test_a_xandr_id_is_taken_exactly_up_to_the_largest_64_bit_number(number: int):
    assert KINDS["xandr_id"].rule.accepts(str(number)) == (1 <= number <= LARGEST)


@given(st.integers(min_value=LARGEST - 10**6, max_value=LARGEST + 10**6))
def test_a_xandr_id_near_the_bound_is_judged_exactly(number: int):
    assert KINDS["xandr_id"].rule.accepts(str(number)) == (number <= LARGEST)


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_says_why_and_needs_no_look_around(kind: str):
    rule = KINDS[kind].rule
    assert rule.reason
    assert not re.search(r"\(\?[=!<]|\\[1-9]", rule.pattern), "RE2 knows neither look-around nor back-references"
    assert not rule.accepts("")
    assert not rule.accepts("x" * 256)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("provider_id", "provider_id"),
        ("Provider ID", "provider_id"),
        ("  provider   id ", "provider_id"),
        ("E-Mail", "email"),
        ("sha256", "email_sha256"),
        ("email_md5", "email_md5"),
        ("GAID", "aaid"),
        ("idfa", "idfa"),
        ("user001", None),
        ("", None),
        ("name", None),
    ],
)
def test_a_column_name_means_its_kind_in_any_usual_spelling(header: str, kind: str | None):
    assert kind_of_header(header) == kind


def test_no_spelling_means_two_kinds():
    spellings = [name for kind in KINDS.values() for name in {kind.key, *kind.spellings}]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("have", "want", "how"),
    [
        ("email", "email", "as_is"),
        ("email", "email_sha256", "sha256"),
        ("email", "email_md5", "md5"),
        ("provider_id", "xandr_id", "as_is"),
        ("email_sha256", "email", None),
        ("email_sha256", "email_md5", None),
        ("phone", "email", None),
    ],
)
def test_kinds_are_turned_into_each_other_only_where_that_is_possible(have: str, want: str, how: str | None):
    assert conversion(have, want) == how
