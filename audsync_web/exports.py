"""Lists as CSV files, row by row as they come from the database."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any

from django.http import StreamingHttpResponse

# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
ROWS_PER_BLOCK = 500


class _Echo:
    def write(self, text: str) -> str:
        return text


def csv_response(filename: str, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> StreamingHttpResponse:
    """A download whose rows are written as `rows` yields them; memory stays that of a few hundred rows."""
    response = StreamingHttpResponse(_blocks(header, rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store, private"
    return response


def opaque_response(filename: str, blocks: Iterable[bytes]) -> StreamingHttpResponse:
    """A download of bytes that nobody here reads: never shown by a browser, whatever they hold."""
    response = StreamingHttpResponse(blocks, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store, private"
    return response


def _blocks(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    write = csv.writer(_Echo()).writerow
    lines = [str(write(list(header)))]
    for row in rows:
        lines.append(str(write([safe_cell(cell) for cell in row])))
        if len(lines) >= ROWS_PER_BLOCK:
            yield "".join(lines)
            lines = []
    yield "".join(lines)


def safe_cell(cell: Any) -> Any:
    """A text that no spreadsheet runs as a formula; numbers stay numbers, None becomes empty."""
    if cell is None:
        return ""
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell
