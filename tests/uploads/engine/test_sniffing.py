"""The instant look at a file's first rows."""

from __future__ import annotations

import pytest

from uploads.engine.sniffing import sniff


def test_columns_are_told_with_the_kinds_that_name_and_values_say() -> None:
    data = b"\xef\xbb\xbfname;E-Mail;code\r\n" + b'"Jo; K";jo@example.com;7\r\n' * 30
    seen = sniff(data, complete=True)
    assert (seen.encoding, seen.byte_order_mark, seen.delimiter, seen.quoted, seen.has_header) == (
        "utf-8",
        True,
        ";",
        True,
        True,
    )
    assert [(column.header, column.kind, column.guessed_kind) for column in seen.columns] == [
        ("name", None, None),
        ("E-Mail", "email", "email"),
        ("code", None, "xandr_id"),
    ]
    assert len(seen.rows) == 20
    assert seen.rows[0] == ["Jo; K", "jo@example.com", "7"]
    assert seen.problem is None


@pytest.mark.parametrize(
    ("encoding", "named"), [("latin-1", "cp1252"), ("utf-16", "utf-16"), ("utf-16-be", "utf-16-be"), ("utf-8", "utf-8")]
)
def test_the_encoding_is_recognised(encoding: str, named: str) -> None:
    seen = sniff("provider_id\né\né2\n".encode(encoding), complete=True)
    assert seen.encoding == named
    assert seen.rows == [["é"], ["é2"]]


@pytest.mark.parametrize(
    ("data", "has_header"),
    [
        (b"provider_id\na\n", True),
        (b"a\nb\n", False),
        (b"who\n" + b"jo@example.com\n" * 3, True),
        (b"ann@example.com\n" + b"jo@example.com\n" * 3, False),
        (b"", False),
    ],
)
def test_a_missing_header_is_noticed(data: bytes, has_header: bool) -> None:
    seen = sniff(data, complete=True)
    assert seen.has_header == has_header
    assert len(seen.rows) == max(len(data.splitlines()) - has_header, 0)


def test_a_row_that_is_cut_by_the_end_of_the_sample_is_not_shown() -> None:
    assert sniff(b"provider_id\nwhole\nhal", complete=False).rows == [["whole"]]
    assert sniff(b"provider_id\nwhole\nlast", complete=True).rows == [["whole"], ["last"]]


def test_a_workbook_is_named_as_one() -> None:
    problem = sniff(b"PK\x03\x04" + bytes(100)).problem
    assert problem is not None
    assert "Excel" in problem.message
