"""What the tests of the upload pages share: a file that is sent by the form, and waits to be started."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from tests.jobs_helper import run_until_quiet
from uploads.models import Upload


def send(client: Any, segment: Any, content: bytes = b"provider_id\na1\na2\na2\n", **fields: Any) -> Any:
    """Send a file by the form, as a browser without scripts does."""
    file = SimpleUploadedFile("lapsed.csv", content, "text/csv")
    return client.post("/uploads/new", {"segment": segment.pk, "mode": "replace", "file": file, **fields})


def ready(client: Any, segment: Any, **fields: Any) -> Upload:
    """An upload that was sent by the form, is inspected and waits to be started."""
    response = send(client, segment, **fields)
    assert response.status_code == 302, response.content.decode()
    run_until_quiet(kinds=("uploads.inspection",))
    upload: Upload = Upload.objects.get()
    assert upload.status == "ready", upload.details
    return upload
