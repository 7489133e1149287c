"""The lines of a few members in a file, however it is written."""

from __future__ import annotations

import io
import time

import pytest

from audsync_web.vendors.connectors.identifiers import KINDS
from uploads.engine.locating import locate
from uploads.engine.reading import CheckOptions


def lines_of(text: str, *wanted: str, kind: str = "custom_id", **options: object) -> dict[str, int]:
    source = io.BytesIO(text.encode())
    return locate(source, CheckOptions(**options), KINDS[kind].rule, wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_member_is_found_at_its_line_as_an_editor_counts(end: str) -> None:
    text = end.join(["custom_id", "a", "", "b", "c", "b"])
    assert lines_of(text, "b", "c", "nobody") == {"b": 4, "c": 5}


def test_spaces_quotes_and_letter_case_do_not_hide_a_member() -> None:
    text = 'email\n"Quoted@X.example"\n  Padded@x.example \nPLAIN@X.EXAMPLE\nother@x.example\nnot an address\n'
    found = lines_of(text, "quoted@x.example", "padded@x.example", "plain@x.example", kind="email")
    assert found == {"quoted@x.example": 2, "padded@x.example": 3, "plain@x.example": 4}


def test_a_value_over_several_lines_moves_those_behind_it() -> None:
    assert lines_of('custom_id\n"two\nlines"\nbehind\n', "behind") == {"behind": 4}


def test_one_of_several_columns_is_searched() -> None:
    text = "name;custom_id\nb;a\nx;b\n"
    assert lines_of(text, "b", column=1, delimiter=";") == {"b": 3}


def test_letters_beyond_ascii_are_found() -> None:
    assert lines_of("custom_id\nünï\nко\n", "ко") == {"ко": 3}


def test_a_large_file_is_searched_block_by_block() -> None:
    rows = [f"crm-{number:07d}" for number in range(1_000_000)]
    wanted = [rows[0], rows[499_999], rows[-1]]
    text = "custom_id\n" + "\n".join(rows)
    started = time.process_time()
    assert lines_of(text, *wanted) == {rows[0]: 2, rows[499_999]: 500_001, rows[-1]: 1_000_001}
    assert time.process_time() - started < 3
