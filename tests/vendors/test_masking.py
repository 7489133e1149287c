"""What is left of an identifier where it must not be told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audsync_web.vendors.masking import masked


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("rita@shop.example", "r•••@•••.example"),
        ("rita@localhost", "r•••@•••"),
        ("+44 20 7946 0000", "+4•••00"),
        ("12345678", "12•••78"),
        ("1234567", "•••"),
        ("@handle", "•••"),
        ("", "•••"),
    ],
)
def test_a_value_keeps_only_what_its_owner_knows_it_by(value: str, shown: str) -> None:
    assert masked(value) == shown


@given(st.text(min_size=4, max_size=300))
def test_no_value_comes_through_whole(value: str) -> None:
    assert value == "•••" or value not in masked(value) or "•" in value
