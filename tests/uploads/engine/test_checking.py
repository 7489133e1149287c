"""The verdict on files: compared with a checker that is written anew, row by row, and with files made to confuse it."""

from __future__ import annotations

import base64
import codecs
import csv
import gzip
import hashlib
import io
import resource
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audsync_web.vendors.connectors.identifiers import KINDS
from uploads.engine import reading
from uploads.engine.checking import Checker, CheckOptions, CheckResult, FileRefused
from uploads.engine.members import build_members
from uploads.engine.rows import MAX_LINE
from uploads.engine.snapshot import SnapshotReader

HEADER = b"provider_id\n"
TRIM = " \t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u2028\u2029\u205f\u3000"


def check(
    blocks: bytes | Iterable[bytes], options: CheckOptions | None = None, *, block_wise: bool = True
) -> tuple[CheckResult, list[tuple[int, str]]]:
    """The result, and line and code of every rejection."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.csv.gz"
        with Checker(options or CheckOptions(), report, block_wise=block_wise) as checker:
            for block in [blocks] if isinstance(blocks, bytes) else blocks:
                checker.feed(block)
            result = checker.finish()
        assert report.exists() == bool(result.rejected)
        if not result.rejected:
            return result, []
        with gzip.open(report, "rt", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert all(row["reason"] and row["what_to_do"] and len(row["value"].encode()) <= 255 * 3 for row in rows)
        return result, [(int(row["line"]), row["code"]) for row in rows]


def refusal(blocks: bytes | Iterable[bytes], options: CheckOptions | None = None) -> FileRefused:
    with pytest.raises(FileRefused) as refused:
        check(blocks, options)
    return refused.value


def members(data: bytes, options: CheckOptions | None = None, kind: str = "provider_id") -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_members(lambda: io.BytesIO(data), options or CheckOptions(), kind, folder / "members", folder)
        with SnapshotReader(folder / "members") as reader:
            return [str(value)[:-1] for rows in reader.blocks() for value in rows.lines.cast("string").to_pylist()]


def plain_verdict(data: bytes, kind: str) -> tuple[set[str], int, int, list[tuple[int, str]]]:
    """Accepted values, their number, blank lines and rejections, by a slow checker that shares nothing with ours.

    For files with LF or CR LF and no line over the limit; quotes by hand, one character at a time.
    """
    rule = KINDS[kind].rule
    text = data.decode().replace("\r\n", "\n")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    values, accepted, blank, rejected = set(), 0, 0, []
    number = 0
    while number < len(lines):
        line = lines[number]
        here = number + 1
        number += 1
        if not line.strip(TRIM):
            blank += 1
            continue
        fields, used = plain_fields(lines, here - 1)
        number = here - 1 + used
        if fields is None:
            rejected.append((here, "bad_quoting"))
            continue
        if len(fields) > 1:
            rejected.append((here, "too_many_values"))
            continue
        value = fields[0].strip(TRIM)
        code = plain_fault(value, rule.max_bytes)
        if not code and not rule.accepts(value):
            code = "not_kind"
        if code:
            rejected.append((here, code))
            continue
        accepted += 1
        values.add(value.lower() if rule.case == "lower" else value)
    return values, accepted, blank, rejected


def plain_fault(value: str, longest: int) -> str:
    if not value:
        return "empty_value"
    if "\ufeff" in value:
        return "byte_order_mark"
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in value):
        return "control_character"
    return "too_long" if len(value.encode()) > longest else ""


def plain_fields(lines: list[str], at: int) -> tuple[list[str] | None, int]:
    """The fields of the row that begins here and how many lines it takes; None when its quotes are wrong."""
    text = "\n".join(lines[at:]) + "\n"
    fields, place, line_count = [], 0, 1
    while True:
        if text[place] != '"':
            end = min(index for index in (text.find(",", place), text.find("\n", place)) if index >= 0)
            fields.append(text[place:end])
        else:
            field, end = "", place + 1
            while True:
                close = text.find('"', end)
                if close < 0:
                    return None, 1
                field += text[end:close]
                if text[close + 1] != '"':
                    break
                field += '"'
                end = close + 2
            fields.append(field)
            end = close + 1
            if text[end] not in ",\n":
                return None, text[: text.index("\n", end)].count("\n") + 1
        line_count = text[:end].count("\n") + 1
        if text[end] == "\n":
            return fields, line_count
        place = end + 1


PIECES = st.sampled_from([
    "a", "B", "7", "id-1", " ", "\t", '"', '""', ",", "\n", "\n", "\n", "\r\n", "\r", "\0", "\x0b", "\x7f", "é",
    "\u00a0", "\ufeff", "\u2003", "\u0085", "\u2028", "𝄞", "x@y.io", "X@Y.io",
    "0123456789abcdefABCDEF0123456789", "q" * 250,
    "\n0a1b2c3d-0000-4000-8000-0123456789ab\n", '\n"quoted"\n', "\n \n", ";", "|", "=1+1", "\\",
])  # fmt: skip
KIND = st.sampled_from(["provider_id", "custom_id", "email", "uuid", "email_md5", "phone", "xandr_id", "idfa"])


@given(pieces=st.lists(PIECES, max_size=40), kind=KIND, cuts=st.lists(st.integers(1, 20), max_size=30))
@settings(deadline=None, max_examples=400)
@example(pieces=['"q" * 3', '"a\n', "b"], kind="custom_id", cuts=[3, 1, 1])
def test_quick_and_slow_way_agree_with_a_checker_that_is_written_anew(
    pieces: list[str], kind: str, cuts: list[int]
) -> None:
    data = f"{kind}\n{''.join(pieces)}".encode()
    options = CheckOptions(allow_empty=True)
    unit, reading.UNIT = reading.UNIT, 64
    try:
        quick = check(data, options)
        slow = check(data, options, block_wise=False)
        cut = check(pieces_of(data, cuts), options)
    finally:
        reading.UNIT = unit
    assert quick == slow == cut
    result, rejected = quick
    if data.endswith(b"\r"):
        data += b"\n"
    values, accepted, blank, wanted = plain_verdict(data[len(kind) + 1 :], kind)
    assert rejected == [(line + 1, code) for line, code in wanted]
    assert (result.accepted, result.blank_lines, result.records) == (accepted, blank, accepted + len(wanted))
    assert members(data, options, kind) == sorted(values, key=str.encode)


def pieces_of(data: bytes, cuts: list[int]) -> Iterable[bytes]:
    place = 0
    for size in cuts:
        yield data[place : place + size]
        place += size
    yield data[place:]


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(1, 50), max_size=10))
@settings(deadline=None, max_examples=300)
def test_any_bytes_get_the_same_verdict_whatever_blocks_they_come_in(data: bytes, cuts: list[int]) -> None:
    def verdict(blocks: Iterable[bytes], block_wise: bool) -> object:
        try:
            return check(blocks, CheckOptions(allow_empty=True), block_wise=block_wise)
        except FileRefused as refused:
            return refused.code, refused.message

    whole = verdict([HEADER + data], True)
    assert verdict([HEADER + data], False) == whole
    assert verdict(pieces_of(HEADER + data, cuts), True) == whole


@pytest.mark.parametrize(
    ("body", "accepted", "rejected"),
    [
        (b"a\r\nb\r\n", 2, []),
        (b"a\nb", 2, []),
        (b'"a"\n"b""c"\n', 1, [(3, "not_kind")]),
        (b'"a,b"\nc\n', 1, [(2, "not_kind")]),
        (b'"a\nb"\nc\n', 1, [(2, "control_character")]),
        (b'"open\nb\nc\n', 2, [(2, "bad_quoting")]),
        (b'"a"b\nc\n', 1, [(2, "bad_quoting")]),
        (b"a,b\nc\n", 1, [(2, "too_many_values")]),
        (b'""\nc\n', 1, [(2, "empty_value")]),
        (b"a\0b\nc\n", 1, [(2, "control_character")]),
        (b"a\rb\nc\n", 1, [(2, "control_character")]),
        (b"\n  \n\t\nc\n", 1, []),
        (b"  a  \n\xc2\xa0b\n", 2, []),
        (b"a\n\xef\xbb\xbfprovider_id\nb\n", 2, [(3, "byte_order_mark")]),
        (b"x" * 255 + b"\n" + b"x" * 256 + b"\n", 1, [(3, "too_long")]),
        (b"a\n" + b"x" * 70_000 + b"\nb\n", 2, [(3, "too_long")]),
    ],
)
def test_a_row_is_taken_or_rejected_with_its_line_and_reason(
    body: bytes, accepted: int, rejected: list[tuple[int, str]]
) -> None:
    for blocks in ([HEADER + body], pieces_of(HEADER + body, [7] * 20)):
        result, found = check(blocks)
        assert (result.accepted, found) == (accepted, rejected)


def test_counts_digests_and_form_of_a_file_are_told() -> None:
    data = codecs.BOM_UTF8 + b"Provider ID\r\na\r\n\r\nb,c\r\nd\r\n"
    result, _ = check(data, CheckOptions(expected_md5=hashlib.md5(data, usedforsecurity=False).digest()))
    assert (result.kind, result.header, result.line_end, result.byte_order_mark) == (
        "provider_id",
        "Provider ID",
        "crlf",
        True,
    )
    assert (result.records, result.accepted, result.rejected, result.blank_lines) == (3, 2, 1, 1)
    assert result.rejected_by_reason == {"too_many_values": 1}
    assert (result.bytes, result.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert not result.plain
    assert check(b"provider_id\r\na\r\n")[0].plain


@pytest.mark.parametrize(
    ("data", "options", "code"),
    [
        (b"", CheckOptions(), "no_header"),
        (b"acme-1\nacme-2\n", CheckOptions(), "unknown_header"),
        (b"provider_id,email\na,b\n", CheckOptions(), "several_columns"),
        (b"provider_id;email\na;b\n", CheckOptions(), "several_columns"),
        (b'"provider_id","email"\n', CheckOptions(), "several_columns"),
        (HEADER, CheckOptions(), "no_member"),
        (HEADER + b"a,b\n", CheckOptions(), "no_member"),
        (HEADER + b"a\n", CheckOptions(expected_md5=bytes(16)), "wrong_md5"),
        (HEADER + b"a\n", CheckOptions(max_bytes=5), "too_large"),
        (HEADER + b"a\n", CheckOptions(encoding="no-such"), "unknown_encoding"),
        (HEADER + b"a\n", CheckOptions(encoding="base64"), "unknown_encoding"),
        (b"PK\x03\x04 workbook", CheckOptions(), "not_text"),
        (b"x" * 200_000, CheckOptions(), "no_header"),
        (b'"provider_id\na\n', CheckOptions(), "no_header"),
        (HEADER + b"a\n", CheckOptions(column=3), "unknown_header"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_with_its_reason(data: bytes, options: CheckOptions, code: str) -> None:
    refused = refusal(data, options)
    assert refused.code == code
    assert refused.message.endswith((".", "expected exactly one column", "exceeds maximum allowed size"))


def test_two_refusals_use_the_words_of_the_vendor_page() -> None:
    assert refusal(b"provider_id,x\n").message == "invalid CSV header: expected exactly one column"
    assert refusal(HEADER * 9, CheckOptions(max_bytes=9)).message == "file size exceeds maximum allowed size"


def test_a_wrong_header_is_known_before_the_file_has_ended() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Checker(CheckOptions(), Path(folder) / "report") as checker,
        pytest.raises(FileRefused),
    ):
        checker.feed(b"acme-1\n")


# Sequences from Markus Kuhn's classes of malformed UTF-8: each must be refused, and the line named.
MALFORMED = [
    b"\x80", b"\xbf", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
    b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf",
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9d\x84", b"\xc3(", b"M\xfcller",
]  # fmt: skip


@pytest.mark.parametrize("fault", MALFORMED, ids=bytes.hex)
@pytest.mark.parametrize("tail", [b"\nlast\n", b""])
def test_bytes_that_are_not_utf8_refuse_the_file_and_name_the_line(fault: bytes, tail: bytes) -> None:
    data = HEADER + b"one\ntwo\n" + fault + tail
    for blocks in ([data], pieces_of(data, [1] * 40)):
        refused = refusal(blocks)
        assert refused.code == "not_utf8"
        assert "Line 4 " in refused.message or (not tail and "Line " in refused.message)
    assert "Latin-1" in refusal(data).message


def test_utf16_is_named_and_taken_when_said() -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        data = "provider_id\r\nacmé\r\n".encode(encoding)
        assert "UTF-16" in refusal(data).message
        assert members(data, CheckOptions(encoding=encoding)) == ["acmé"]
        assert check(pieces_of(data, [1] * 30), CheckOptions(encoding=encoding))[0].accepted == 1


def test_latin1_is_taken_when_said() -> None:
    data = "provider_id\nacmé\n".encode("latin-1")
    assert members(data, CheckOptions(encoding="latin-1")) == ["acmé"]


def test_a_file_of_lone_carriage_returns_is_lines() -> None:
    result, rejected = check(b"provider_id\ra\rb,c\rd")
    assert (result.line_end, result.accepted, rejected) == ("cr", 2, [(3, "too_many_values")])


def test_any_header_takes_one_column_of_any_name() -> None:
    result, _ = check(b"customer\na\n", CheckOptions(any_header=True))
    assert (result.kind, result.header) == ("provider_id", "customer")
    assert check(b"customer\na@b.io\n", CheckOptions(any_header=True, kind="email"))[0].kind == "email"
    assert refusal(b"customer,x\na\n", CheckOptions(any_header=True)).code == "several_columns"


def test_a_column_is_chosen_among_several() -> None:
    data = b'name;provider_id;note\nx;a;"line\nbreak; and ""quotes"""\ny\nz; b ;\n;;\n'
    options = CheckOptions(column=1, delimiter=";")
    result, rejected = check(data, options)
    assert (result.accepted, rejected) == (2, [(4, "missing_column"), (6, "empty_value")])
    assert members(data, options) == ["a", "b"]


def test_a_file_without_header_counts_its_first_line() -> None:
    assert members(b"a\nb\n", CheckOptions(has_header=False)) == ["a", "b"]


def test_values_are_trimmed_and_brought_to_their_kinds_letter_case() -> None:
    assert members(b"email\n Jo@Example.COM \njo@example.com\n", kind="email") == ["jo@example.com"]
    upper = b"ABCDEF00-0000-4000-8000-000000000000"
    assert members(b"uuid\n" + upper + b"\n", kind="uuid") == [upper.decode().lower()]
    assert members(b"idfa\n" + upper + b"\n", kind="idfa") == [upper.decode()]
    assert members(b"provider_id\n" + upper + b"\n") == [upper.decode()]


def test_a_million_bad_rows_are_all_reported_without_being_gathered() -> None:
    result, rejected = check(HEADER + b"a,b\n" * 200_000 + b"good\n")
    assert (result.rejected, len(rejected), rejected[-1]) == (200_000, 200_000, (200_001, "too_many_values"))


def test_one_endless_line_is_rejected_in_constant_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = b"x" * (1 << 20)
    blocks = (part for parts in ([HEADER + b"a\n"], (block for _ in range(300)), [b"\nb\n"]) for part in parts)
    result, rejected = check(blocks)
    assert (result.accepted, rejected) == (2, [(3, "too_long")])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_one_endless_quoted_value_spoils_its_first_line_only() -> None:
    data = HEADER + b'"never closed\n' + b"row\n" * (MAX_LINE // 2)
    result, rejected = check(data)
    assert (result.accepted, rejected) == (MAX_LINE // 2, [(2, "bad_quoting")])


def test_quoted_files_of_any_program_are_taken() -> None:
    ids = [base64.b32encode(bytes([number])).decode().strip("=") for number in range(100)]
    data = HEADER + "".join(f'"{value}"\r\n' for value in ids).encode()
    assert members(data) == sorted(set(ids))
    assert check(data)[0].rejected == 0


@pytest.mark.parametrize("line", ["\x0b", "\x0c", "\x1c\x1d", "\x85", " \x0c "])
def test_a_line_of_control_characters_is_no_blank_line(line: str) -> None:
    result, rows = check(f"provider_id\n1\n{line}\n\u2028\u3000\n".encode())
    assert (result.accepted, result.blank_lines, rows) == (1, 1, [(3, "control_character")])


def test_a_file_in_an_unmarked_utf16_is_told_which_encoding_to_name() -> None:
    for name in ("utf-16-le", "utf-16-be"):
        data = "provider_id\nä\n".encode(name)
        assert f"encoding={name}." in refusal(data).message
        assert members(data, CheckOptions(encoding=name)) == ["ä"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\xf3\xffa",
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256)),
        b"GIF89a" + bytes(range(256)) * 3,
        b"\x7fELF" + bytes(range(1, 256)) * 20,
    ],
)
def test_a_file_that_is_no_text_is_never_taken_for_one_in_another_encoding(data: bytes) -> None:
    refused = refusal(data)
    assert refused.code == "not_text"
    assert "Export" in refused.message
    assert "encoding=" not in refused.message


def test_a_text_in_another_encoding_is_still_recognised_in_spite_of_a_stray_control_character() -> None:
    refused = refusal(b"provider_id\n" + b"caf\xe9-1234567890\n" * 50 + b"a\x01\n")
    assert "encoding=latin-1" in refused.message
