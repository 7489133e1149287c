"""A vendor account's values are read from one declaration, and every fault is one clear line."""

from __future__ import annotations

from typing import Any

import pytest

from audsync_web.vendors.connectors.errors import InvalidConfiguration
from audsync_web.vendors.connectors.fields import (
    AccountConfig,
    Field,
    credential,
    host_of,
    pacing_fields,
    read_values,
)

CHOICES = (("red", "Red"), ("blue", "Blue"))


def read(declared: Field, raw: Any) -> Any:
    return read_values((declared,), declared.group, {declared.name: raw})[declared.name]


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("text", "  padded ", "padded"),
        ("text", 7702, "7702"),
        ("integer", "12", 12),
        ("integer", 12.0, 12),
        ("integer", 2**60 + 1, 2**60 + 1),
        ("integer", str(2**60 + 1), 2**60 + 1),
        ("integer", "1e3", 1000),
        ("number", "0.5", 0.5),
        ("number", 3, 3.0),
        ("boolean", "on", True),
        ("boolean", "No", False),
        ("boolean", False, False),
        ("list", ".adnxs.net, example.test\nlast", [".adnxs.net", "example.test", "last"]),
        ("list", ["a", " ", 3], ["a", "3"]),
        ("day", "2026-11-22", "2026-11-22"),
    ],
)
def test_a_value_is_read_as_its_type(kind: Any, raw: Any, value: Any):
    assert read(Field("field", "Field", kind), raw) == value


@pytest.mark.parametrize(
    ("kind", "raw", "line"),
    [
        ("text", True, "must be text"),
        ("text", ["a"], "must be text"),
        ("text", "two\nlines", "must be one line without control characters"),
        ("integer", "twelve", "must be a number"),
        ("integer", 1.5, "must be a whole number"),
        ("integer", True, "must be a number"),
        ("integer", "inf", "must be a number"),
        ("number", "nan", "must be a number"),
        ("number", 10**400, "must be a number"),
        ("boolean", "perhaps", "must be true or false"),
        ("boolean", 1, "must be true or false"),
        ("list", {"a": 1}, "must be a list of texts"),
        ("list", [True], "must be a list of texts"),
        ("day", "22.11.2026", "must be a day as YYYY-MM-DD"),
    ],
)
def test_a_wrong_value_is_one_clear_line(kind: Any, raw: Any, line: str):
    with pytest.raises(InvalidConfiguration) as refused:
        read(Field("field", "Field", kind), raw)
    assert refused.value.errors == {"field": line}


@pytest.mark.parametrize(("raw", "line"), [(0, "must be at least 1"), (50_000_001, "must be at most 50,000,000")])
def test_a_number_out_of_range_names_the_bound(raw: int, line: str):
    with pytest.raises(InvalidConfiguration) as refused:
        read(Field("field", "Field", "integer", minimum=1, maximum=50_000_000), raw)
    assert refused.value.errors == {"field": line}


def test_a_choice_takes_only_what_is_offered():
    declared = Field("colour", "Colour", "choice", choices=CHOICES)
    assert read(declared, "blue") == "blue"
    with pytest.raises(InvalidConfiguration, match="must be one of red, blue"):
        read(declared, "green")


def test_every_fault_is_told_at_once():
    fields = (credential("user", "User"), Field("size", "Size", "integer", group="credentials"))
    with pytest.raises(InvalidConfiguration) as refused:
        read_values(fields, "credentials", {"size": "x", "other": 1})
    assert set(refused.value.errors) == {"user", "size", "other"}


@pytest.mark.parametrize("raw", [None, "", "   "])
def test_what_is_left_blank_counts_as_not_given(raw: Any):
    assert read(Field("size", "Size", "integer", default=7), raw) == 7
    with pytest.raises(InvalidConfiguration, match="is missing"):
        read(credential("password", "Password"), raw)


def test_a_secret_keeps_its_spaces_but_not_a_pasted_line_end():
    assert read(credential("password", "Password"), " pass word \r\n") == " pass word "


def test_values_of_the_other_group_are_not_mixed_in():
    fields = (credential("password", "Password"), Field("size", "Size"))
    with pytest.raises(InvalidConfiguration, match="password"):
        read_values(fields, "settings", {"password": "demo-password"})


def test_secrets_do_not_show_in_a_repr():
    config = AccountConfig("xandr", "https://api.example", {"password": "demo-password"}, {})
    assert "demo-password" not in repr(config)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.example/v1", "api.example"),
        ("http://127.0.0.1:9001/api", "127.0.0.1:9001"),
        ("https://user:secret@api.example/", "api.example"),
    ],
)
def test_the_host_is_named_with_its_port_and_without_a_user(url: str, host: str):
    assert AccountConfig("xandr", url, {}, {}).host == host


def test_every_vendor_takes_the_three_pacing_settings():
    values = read_values(pacing_fields(poll_first=5, poll_max=60, requests_per_second=2), "settings", {})
    assert values == {"pollFirstSeconds": 5, "pollMaxSeconds": 60, "requestsPerSecond": 2}


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://API.vendor.example/v1", "api.vendor.example"),
        ("https://api.vendor.example:443/v1", "api.vendor.example"),
        ("http://api.vendor.example:80", "api.vendor.example"),
        ("https://api.vendor.example:0443", "api.vendor.example"),
        ("https://api.vendor.example.:443", "api.vendor.example"),
        ("http://api.vendor.example:443", "api.vendor.example:443"),
        ("https://api.vendor.example:8443", "api.vendor.example:8443"),
        ("https://somebody:secret@api.vendor.example:443", "api.vendor.example"),
        ("https://[2001:DB8::443]:443", "[2001:db8::443]"),
        ("https://[2001:db8::443]", "[2001:db8::443]"),
        ("https://api.vendor.example:port", "api.vendor.example:port"),
    ],
)
def test_one_host_is_called_one_thing(address: str, host: str):
    assert host_of(address) == host
