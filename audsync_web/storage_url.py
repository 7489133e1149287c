"""Where originals and snapshots live: a folder of the data directory, or S3 when AUDSYNC_STORAGE_URL says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ImproperlyConfigured


def storage_backend(url: str, data_dir: Path) -> dict[str, Any]:
    """Django's STORAGES entry for `s3://bucket/prefix?endpoint_url=…&region=…`, `file:///path`, or an empty text.

    On S3 server-side encryption is asked for; locally files are 0600 in folders 0700.
    """
    if not url:
        return _folder(data_dir / "files")
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _folder(Path(parts.path))
    if parts.scheme != "s3" or not parts.netloc:
        raise ImproperlyConfigured("AUDSYNC_STORAGE_URL must be s3://bucket/prefix or file:///folder.")
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    options: dict[str, Any] = {
        "bucket_name": parts.netloc,
        "location": parts.path.strip("/"),
        "default_acl": "private",
        "querystring_auth": True,
        "file_overwrite": False,
        "object_parameters": {"ServerSideEncryption": asked.get("encryption", "AES256")},
    }
    for ours, theirs in {"endpoint_url": "endpoint_url", "region": "region_name"}.items():
        if ours in asked:
            options[theirs] = asked[ours]
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


def _folder(path: Path) -> dict[str, Any]:
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": str(path),
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    }
