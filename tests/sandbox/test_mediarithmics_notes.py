"""The sandbox's mediarithmics: what a careful client never does is noted."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import requests

from .mediarithmics_kit import IMPORTS, Client, update


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([{}, {"operation": "DELETE", "expiration_duration": 0}], "two commands for one user"),
        ([{"expiration_ts": 0}], "expiration_ts"),
    ],
)
def test_what_a_careful_client_never_does_is_noted(client: Client, lines: list[dict[str, Any]], text: str):
    segment = client.segment()
    client.post("".join(update(segment, **changes) for changes in lines))
    assert text in client.violations()


def test_a_second_execution_before_the_first_has_ended_is_noted(client: Client):
    segment = client.segment()
    client.post(update(segment))
    assert client.violations() == ""
    client.post(update(segment).rstrip("\n"))
    assert "has not ended" in client.violations()
    assert "no line feed" in client.violations()


@pytest.mark.parametrize("trouble", ["m4.drop_after", "m4.answer_500"])
def test_a_file_after_a_lost_answer_is_noted_unless_the_executions_were_listed(client: Client, trouble: str):
    segment, number = client.segment(), client.document_import()
    client.switch(trouble, "2x")
    for _ in range(2):
        with suppress(requests.ConnectionError):
            client.post(update(segment), number)
        client.later()
        client("GET", f"{IMPORTS}/{number}/executions")
    assert client.violations() == ""
    client.switch(trouble, "1x")
    with suppress(requests.ConnectionError):
        client.post(update(segment), number)
    client.later()
    client.post(update(segment), number)
    assert "lost answer" in client.violations()


def test_two_imports_under_one_name_are_noted(client: Client):
    client.document_import(name="acme run 7")
    assert client.violations() == ""
    client.document_import(name="acme run 7")
    assert "one name" in client.violations()


def test_a_body_without_a_length_is_taken_and_noted(client: Client):
    segment = client.segment()
    answer = client.post(iter([update(segment).encode()]))  # type: ignore[arg-type]  # a generator goes out chunked
    assert answer.status_code == 200
    assert "Content-Length" in client.violations()
