"""What the tests of the upload's API share: addresses, raw requests, and what is left in storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.test import Client

from tests.api_world import BASE
from uploads.models import Upload

TOO_LARGE = {"error": "file size exceeds maximum allowed size"}
ONE_COLUMN = {"error": "invalid CSV header: expected exactly one column"}


def url_of(segment: dict[str, Any], rest: str = "") -> str:
    """Where the uploads of a segment are; with `rest`, one of them."""
    return f"{BASE}/segment/{segment['id']}/membership/upload{rest}"


def raw_post(api: Client, path: str, stream: Any, **environ: Any) -> Any:
    """A request whose body is what the server hands over, as it does for chunked ones."""
    return api.generic("POST", path, b"", **{"wsgi.input": stream, "CONTENT_TYPE": "text/csv", **environ})


def stored_files() -> list[Path]:
    """Every file that an upload left in storage."""
    return [path for path in Path(django_settings.DATA_DIR, "files").rglob("upload-*/*") if path.is_file()]


def nothing_was_kept(before: list[Path]) -> bool:
    """Whether a request left neither a file nor a row."""
    return stored_files() == before and not Upload.objects.exists()
