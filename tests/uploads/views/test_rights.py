"""The upload pages: who may open them and act on them."""

from __future__ import annotations

import uuid
from typing import Any

from tests.uploads.kit import make_delivery, make_upload
from uploads.models import Upload

from .kit import send


def page_urls(upload: Any) -> list[str]:
    one = f"/uploads/{upload.pk}"
    return [one, f"{one}/board", f"{one}/preflight", f"{one}/receipt", f"{one}/rejections"]


def test_a_marketer_sees_an_upload_of_the_company(logged_in: Any, marketer: Any, segment: Any) -> None:
    upload = make_upload(segment)
    for url in page_urls(upload):
        assert logged_in(marketer).get(url).status_code in {200, 302}, url


def test_a_stranger_gets_404_on_every_page_of_an_upload(logged_in: Any, stranger: Any, segment: Any) -> None:
    upload = make_upload(segment)
    delivery = make_delivery(upload, segment.destinations.get())
    client = logged_in(stranger)
    for url in [*page_urls(upload), f"/segments/{segment.pk}/uploads"]:
        assert client.get(url).status_code == 404, url
    for action in (f"/uploads/{upload.pk}/go", f"/uploads/{upload.pk}/cancel", f"/uploads/{upload.pk}/retry"):
        assert client.post(action).status_code == 404, action
    assert client.post(f"/deliveries/{delivery.pk}/retry").status_code == 404


def test_nobody_sees_an_upload_without_logging_in(client: Any, segment: Any) -> None:
    upload = make_upload(segment)
    assert client.get(f"/uploads/{upload.pk}").status_code == 302
    assert client.get(f"/uploads/{upload.pk}/board").status_code == 403
    assert client.post(f"/uploads/{upload.pk}/cancel").status_code == 302


def test_an_upload_that_does_not_exist_is_404(logged_in: Any, manager: Any) -> None:
    assert logged_in(manager).get(f"/uploads/{uuid.uuid4()}").status_code == 404


def test_a_file_cannot_be_sent_to_another_companys_segment(logged_in: Any, stranger: Any, segment: Any) -> None:
    assert send(logged_in(stranger), segment).status_code == 422
    assert not Upload.objects.exists()


def test_a_marketer_cannot_start_or_stop_somebody_elses_upload(
    logged_in: Any, manager: Any, marketer: Any, segment: Any
) -> None:
    upload = make_upload(segment, "ready", uploaded_by=manager, hold=True)
    client = logged_in(marketer)
    assert client.post(f"/uploads/{upload.pk}/go").status_code == 403
    assert client.post(f"/uploads/{upload.pk}/cancel").status_code == 403
    upload.refresh_from_db()
    assert upload.status == "ready"
