"""The upload page and the page of one upload: who may open them, what they tell, what they do."""

from __future__ import annotations

import gzip
import hashlib
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.people.models import AuditEntry
from tests.jobs_helper import run_until_quiet
from tests.uploads.kit import make_delivery, make_destination, make_segment, make_upload
from uploads.models import Delivery, Part, Snapshot, Upload
from uploads.services import UploadWish, upload_accept_unchecked

LIVE_FRAGMENT_QUERIES = 3  # the session, the person with their companies, the board


@pytest.fixture
def segment(company: Any) -> Any:
    made = make_segment(company)
    make_destination(made)
    return made


@pytest.fixture
def worker(db: None) -> None:
    WorkerHeartbeat.objects.create(worker="here:1")


def send(client: Any, segment: Any, content: bytes = b"provider_id\na1\na2\na2\n", **fields: Any) -> Any:
    file = SimpleUploadedFile("lapsed.csv", content, "text/csv")
    return client.post("/uploads/new", {"segment": segment.pk, "mode": "replace", "file": file, **fields})


def ready(client: Any, segment: Any, **fields: Any) -> Upload:
    response = send(client, segment, **fields)
    assert response.status_code == 302, response.content.decode()
    run_until_quiet(kinds=("uploads.inspection",))
    upload: Upload = Upload.objects.get()
    assert upload.status == "ready", upload.details
    return upload


# --- who may


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


# --- sending a file without scripts


def test_a_form_with_a_file_becomes_a_held_upload(logged_in: Any, marketer: Any, segment: Any) -> None:
    upload = ready(logged_in(marketer), segment)
    assert (upload.records, upload.members, upload.duplicates) == (3, 2, 1)
    assert (upload.hold, upload.file_name, upload.uploaded_by) == (True, "lapsed.csv", marketer)
    assert not upload.deliveries.exists()


def test_a_form_without_its_token_is_refused(manager: Any, segment: Any, logged_in: Any) -> None:
    assert send(logged_in(manager, enforce_csrf_checks=True), segment).status_code == 403
    assert not Upload.objects.exists()


def test_pasted_identifiers_become_an_upload(logged_in: Any, manager: Any, segment: Any) -> None:
    answer = logged_in(manager).post(
        "/uploads/new", {"segment": segment.pk, "mode": "add", "ids": "a1\r\n\r\na2", "kind": "provider_id"}
    )
    assert answer.status_code == 302
    run_until_quiet(kinds=("uploads.inspection",))
    upload = Upload.objects.get()
    assert (upload.members, upload.mode) == (2, "add")


def test_pasted_identifiers_may_begin_with_their_header(logged_in: Any, manager: Any, segment: Any) -> None:
    logged_in(manager).post("/uploads/new", {"segment": segment.pk, "mode": "add", "ids": "provider_id\na1"})
    assert Upload.objects.get().records == 1


def test_pasted_identifiers_of_no_known_kind_are_asked_about(logged_in: Any, manager: Any, segment: Any) -> None:
    answer = logged_in(manager).post("/uploads/new", {"segment": segment.pk, "mode": "add", "ids": "a1"})
    assert answer.status_code == 422
    assert "Say what the pasted identifiers are" in answer.content.decode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nonsense\na1\n", "header"),
        (b"provider_id\n", "member"),
        (b"", ""),
        (b"provider_id,email\na,b\n", "column"),
    ],
)
def test_a_bad_file_is_explained_and_nothing_is_kept(
    logged_in: Any, manager: Any, segment: Any, content: bytes, words: str
) -> None:
    answer = send(logged_in(manager), segment, content)
    assert answer.status_code == 422
    assert "field-errors" in answer.content.decode()
    assert words in answer.content.decode()
    assert not Upload.objects.exists()


def test_a_missing_header_can_be_answered(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = ready(logged_in(manager), segment, content=b"a1\na2\n", header="no", kind="provider_id")
    assert upload.members == 2


def test_one_of_several_columns_can_be_chosen(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = ready(logged_in(manager), segment, content=b"name;provider_id\nx;a1\ny;a2\n", column="2", delimiter=";")
    assert upload.members == 2


def test_a_file_beyond_the_limit_is_refused_with_words(
    logged_in: Any, manager: Any, segment: Any, settings: Any
) -> None:
    settings.MAX_UPLOAD_BYTES = 20
    answer = send(logged_in(manager), segment, b"provider_id\n" + b"a1234567\n" * 30)
    assert answer.status_code == 422
    assert "larger than" in answer.content.decode()
    assert not Upload.objects.exists()


def test_a_compressed_file_is_unpacked(logged_in: Any, manager: Any, segment: Any) -> None:
    plain = b"provider_id\na1\na2\n"
    upload = ready(logged_in(manager), segment, content=gzip.compress(plain))
    assert (upload.members, upload.bytes) == (2, len(plain))


def test_a_compressed_file_that_arrived_in_pieces_is_unpacked(actor: Any, segment: Any) -> None:
    plain = b"provider_id\na1\na2\n"
    name = default_storage.save("packed", ContentFile(gzip.compress(plain)))
    wish = UploadWish(hold=True, file_name="lapsed.csv.gz")
    upload = upload_accept_unchecked(
        actor=actor, segment=segment, upload_id=uuid.uuid4(), original=name, size=10, wish=wish
    )
    run_until_quiet(kinds=("uploads.inspection",))
    upload.refresh_from_db()
    assert (upload.status, upload.members, upload.bytes) == ("ready", 2, len(plain))
    assert upload.md5 == hashlib.md5(plain, usedforsecurity=False).hexdigest()
    assert not default_storage.exists(name)


def test_a_file_without_a_segment_is_asked_about(logged_in: Any, manager: Any, segment: Any) -> None:
    file = SimpleUploadedFile("lapsed.csv", b"provider_id\na1\n")
    answer = logged_in(manager).post("/uploads/new", {"mode": "replace", "file": file})
    assert answer.status_code == 422


def test_a_company_without_segments_is_led_to_make_one(logged_in: Any, manager: Any) -> None:
    assert "There is no segment to upload to" in logged_in(manager).get("/uploads/new").content.decode()


def test_the_segment_of_the_url_is_chosen(logged_in: Any, manager: Any, segment: Any) -> None:
    page = logged_in(manager).get(f"/uploads/new?segment={segment.pk}").content.decode()
    assert f'<option value="{segment.pk}" selected>' in page


# --- before it goes


def test_the_preview_says_what_would_change(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    page = client.get(f"/uploads/{ready(client, segment).pk}").content.decode()
    assert "What it would do" in page
    assert "+2" in page


def test_go_starts_the_deliveries(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    assert client.post(f"/uploads/{upload.pk}/go").status_code == 302
    assert upload.deliveries.count() == 1
    assert AuditEntry.objects.filter(action="upload.go").exists()


def test_going_twice_starts_nothing_twice(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    client.post(f"/uploads/{upload.pk}/go")
    answer = client.post(f"/uploads/{upload.pk}/go", follow=True)
    assert "not waiting to be started" in answer.content.decode()
    assert upload.deliveries.count() == 1


def emptying(upload: Upload, destination: Any) -> None:
    cell = {"destination": destination.pk, "name": "x", "taken": True, "known": True, "before": 10, "members": 2}
    cell |= {"held": 0, "adds": 0, "renewed": 0, "removes": 8, "unchanged": 2}
    Upload.objects.filter(pk=upload.pk).update(preview={"at": timezone.now().isoformat(), "destinations": [cell]})


def test_a_file_that_removes_many_must_be_confirmed_by_typing(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    emptying(upload, segment.destinations.get())
    assert client.post(f"/uploads/{upload.pk}/go", {"typed": "yes"}).status_code == 422
    assert not upload.deliveries.exists()
    assert client.post(f"/uploads/{upload.pk}/go", {"typed": segment.name}).status_code == 302
    upload.refresh_from_db()
    assert upload.deliveries.count() == 1
    assert upload.max_removed_share is None


@pytest.mark.parametrize(("caution", "is_pointed_at"), [("35", True), ("90", False)])
def test_the_checks_point_at_more_than_the_share_that_was_chosen(
    logged_in: Any, manager: Any, segment: Any, caution: str, is_pointed_at: bool
) -> None:
    client = logged_in(manager)
    upload, destination = ready(client, segment, caution=caution), segment.destinations.get()
    Snapshot.objects.filter(destination=destination).delete()
    Snapshot.objects.create(destination=destination, file="before", members=10)
    emptying(upload, destination)
    page = client.get(f"/uploads/{upload.pk}/preflight").content.decode()
    assert ("8 of 10 members would leave" in page) is is_pointed_at


def test_what_was_not_confirmed_stays_limited_when_it_is_sent(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, caution="35")
    client.post(f"/uploads/{upload.pk}/go")
    upload.refresh_from_db()
    assert upload.max_removed_share == pytest.approx(0.35)


def test_old_figures_are_counted_again_before_anything_goes(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    destination = segment.destinations.get()
    Snapshot.objects.filter(destination=destination).delete()
    Snapshot.objects.create(destination=destination, file="newer", members=5)
    assert "These figures are old" in client.get(f"/uploads/{upload.pk}").content.decode()
    client.post(f"/uploads/{upload.pk}/go")
    upload.refresh_from_db()
    assert upload.status == "inspecting"
    assert not upload.deliveries.exists()


def test_a_held_upload_can_be_cancelled(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment)
    client.post(f"/uploads/{upload.pk}/cancel")
    upload.refresh_from_db()
    assert upload.status == "cancelled"
    assert not upload.deliveries.exists()


def test_a_file_of_which_nobody_fits_cannot_go_there(logged_in: Any, manager: Any, company: Any) -> None:
    segment = make_segment(company)
    make_destination(segment, "mediarithmics", "email_sha256")
    client = logged_in(manager)
    upload = ready(client, segment)
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "Nobody in this file fits" in page
    assert "No destination can take this file" in page
    checks = client.get(f"/uploads/{upload.pk}/preflight").content.decode()
    assert "finding-blocked" in checks
    assert "finding-warning" not in checks
    assert "Already so" not in checks


@pytest.mark.parametrize(("path", "entry"), [("/uploads/new", "/uploads/new"), ("/uploads/{pk}", "/history")])
def test_the_navigation_says_where_one_is(logged_in: Any, manager: Any, segment: Any, path: str, entry: str) -> None:
    upload = make_upload(segment)
    page = logged_in(manager).get(path.format(pk=upload.pk)).content.decode()
    assert re.findall(r'<a href="([^"]+)" aria-current="page">', page) == [entry]


# --- the live board


def test_the_live_part_costs_three_queries_and_writes_nothing(
    logged_in: Any, manager: Any, segment: Any, worker: None, django_assert_num_queries: Any
) -> None:
    upload = make_upload(segment, "delivering")
    for number in range(4):
        destination = make_destination(segment, "synerise")
        delivery = make_delivery(upload, destination, "processing")
        Part.objects.create(delivery=delivery, number=1, job_id=f"job-{number}", quota_scope="scope")
    client = logged_in(manager)
    with django_assert_num_queries(LIVE_FRAGMENT_QUERIES) as seen:
        page = client.get(f"/uploads/{upload.pk}/board").content.decode()
    assert all(query["sql"].startswith("SELECT") for query in seen.captured_queries)
    assert "job-3" in page


def test_the_board_of_an_ended_upload_stops_asking(logged_in: Any, manager: Any, segment: Any, worker: None) -> None:
    client = logged_in(manager)
    live = make_upload(segment, "inspecting", members=None, duplicates=None)
    ended = make_upload(segment, "completed")
    assert 'hx-trigger="every 2s"' in client.get(f"/uploads/{live.pk}/board").content.decode()
    assert "hx-trigger" not in client.get(f"/uploads/{ended.pk}/board").content.decode()


def test_a_new_phase_loads_the_page_again(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, "ready")
    answer = logged_in(manager).get(f"/uploads/{upload.pk}/board?phase=check", headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true"


def board(client: Any, upload: Any) -> str:
    page: str = client.get(f"/uploads/{upload.pk}/board").content.decode()
    return page


def test_the_board_says_that_no_worker_runs(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, "delivering")
    make_delivery(upload, segment.destinations.get(), "queued")
    WorkerHeartbeat.objects.all().delete()
    assert "No worker is running" in board(logged_in(manager), upload)


def test_the_board_says_that_another_delivery_goes_first(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    first, second = make_upload(segment, "delivering"), make_upload(segment, "delivering")
    make_delivery(first, segment.destinations.get(), "sending", is_live=True)
    make_delivery(second, segment.destinations.get(), "queued")
    assert "Another delivery to this destination goes first" in board(logged_in(manager), second)


def test_the_board_tells_a_silent_worker_from_a_busy_one(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "delivering")
    delivery = make_delivery(upload, segment.destinations.get(), "sending", lease_owner="gone:1:x")
    Delivery.objects.filter(pk=delivery.pk).update(lease_until=timezone.now() - timedelta(seconds=5))
    page = board(logged_in(manager), upload)
    assert "Stalled" in page
    assert "gone silent" in page


def test_the_board_says_when_it_looks_again(logged_in: Any, manager: Any, segment: Any, worker: None) -> None:
    upload = make_upload(segment, "delivering")
    later = timezone.now() + timedelta(seconds=42)
    make_delivery(upload, segment.destinations.get(), "processing", next_action_at=later, vendor_status="VALIDATING")
    page = board(logged_in(manager), upload)
    assert "Next look" in page
    assert "VALIDATING" in page


def test_a_lost_answer_is_told(logged_in: Any, manager: Any, segment: Any, worker: None) -> None:
    upload = make_upload(segment, "delivering")
    later = timezone.now() + timedelta(seconds=5)
    delivery = make_delivery(upload, segment.destinations.get(), "sending", next_action_at=later)
    Part.objects.create(delivery=delivery, number=1, intent={"step": "send"})
    page = board(logged_in(manager), upload)
    assert "Checking with the vendor" in page
    assert "looks at the vendor before it sends anything again" in page


def test_a_staged_delivery_says_that_it_waits_for_publish(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "completed")
    make_delivery(upload, segment.destinations.get(), "staged")
    page = board(logged_in(manager), upload)
    assert "Held until the segment is published" in page
    assert 'hx-trigger="every 10s"' in page


@pytest.mark.parametrize(
    ("status", "sent_before", "told"),
    [
        ("staged", False, "8 changes to send"),
        ("cancelled", False, "8 changes not sent"),
        ("processing", True, "not yet known"),
        ("failed", True, "not confirmed"),
    ],
)
def test_what_was_not_sent_is_never_called_sent(
    logged_in: Any, manager: Any, segment: Any, worker: None, status: str, sent_before: bool, told: str
) -> None:
    upload, now = make_upload(segment, "delivering"), timezone.now()
    moments = {"planned_at": now, "first_sent_at": now if sent_before else None}
    make_delivery(upload, segment.destinations.get(), status, adds=8, members=8, sent=8, **moments)
    page = board(logged_in(manager), upload)
    assert told in page
    assert ("</strong> sent" in page) is sent_before


def test_what_needs_attention_has_reason_next_step_and_a_way_to_try_now(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "delivering")
    told: dict[str, Any] = {"error_text": "Xandr refused.", "next_step": "Ask Xandr.", "vendor_text": "NOAUTH"}
    delivery = make_delivery(upload, segment.destinations.get(), "needs attention", **told)
    client = logged_in(manager)
    page = board(client, upload)
    for words in told.values():
        assert words in page
    assert client.post(f"/deliveries/{delivery.pk}/retry").status_code == 302
    delivery.refresh_from_db()
    assert delivery.next_action_at is not None


def test_a_bar_is_never_full_while_the_vendor_is_waited_for(
    logged_in: Any, manager: Any, segment: Any, worker: None
) -> None:
    upload = make_upload(segment, "delivering")
    numbers: dict[str, Any] = {
        "adds": 8,
        "sent": 8,
        "members": 8,
        "accepted": 8,
        "refused": 0,
        "planned_at": timezone.now(),
    }
    make_delivery(upload, segment.destinations.get(), "processing", **numbers)
    page = board(logged_in(manager), upload)
    assert "99" in page
    assert ">100" not in page


def test_a_retry_stands_for_what_it_retries(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, "failed")
    destination = segment.destinations.get()
    failed = make_delivery(upload, destination, "failed", error_text="It broke.")
    client = logged_in(manager)
    assert "Send again what failed" in client.get(f"/uploads/{upload.pk}").content.decode()
    make_delivery(upload, destination, "completed", retry_of=failed)
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "1 earlier try" in page
    assert "Send again what failed" not in page


# --- rejected rows and the receipt


def test_rejected_rows_are_grouped_and_their_download_is_written_down(
    logged_in: Any, manager: Any, segment: Any
) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, content=b'provider_id\na1\n"b,c"\n"d,e"\n')
    page = client.get(f"/uploads/{upload.pk}").content.decode()
    assert "Rejected rows" in page
    answer = client.get(f"/uploads/{upload.pk}/rejections")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0] == "line,vendor,code,reason,what_to_do,value"
    assert [line.split(",")[0] for line in lines[1:]] == ["3", "4"]
    assert AuditEntry.objects.filter(action="upload.rejections_download", object_id=str(upload.pk)).exists()


def test_the_download_can_be_of_one_reason(logged_in: Any, manager: Any, segment: Any) -> None:
    client = logged_in(manager)
    upload = ready(client, segment, content=b'provider_id\na1\n"b,c"\n')
    answer = client.get(f"/uploads/{upload.pk}/rejections?code=empty_value")
    assert len(b"".join(answer.streaming_content).splitlines()) == 1


def test_the_receipt_comes_as_page_json_and_csv(logged_in: Any, manager: Any, segment: Any) -> None:
    upload = make_upload(segment, sha256="ab" * 32, uploaded_by=manager)
    numbers: dict[str, Any] = {
        "adds": 8,
        "sent": 8,
        "members": 8,
        "accepted": 7,
        "refused": 1,
        "planned_at": timezone.now(),
    }
    delivery = make_delivery(upload, segment.destinations.get(), **numbers)
    Part.objects.create(delivery=delivery, number=1, job_id="job-77", quota_scope="scope")
    client = logged_in(manager)
    url = f"/uploads/{upload.pk}/receipt"
    assert "job-77" in client.get(url).content.decode()
    told = client.get(f"{url}?format=json").json()
    assert told["file"]["sha256"] == "ab" * 32
    assert told["deliveries"][0]["vendorJobIds"] == ["job-77"]
    assert told["deliveries"][0]["counts"]["accepted"] == 7
    rows = b"".join(client.get(f"{url}?format=csv").streaming_content).decode().splitlines()
    assert len(rows) == 2
    assert "job-77" in rows[1]


def test_the_segments_part_shows_its_uploads(logged_in: Any, marketer: Any, segment: Any) -> None:
    make_upload(segment, file_name="spring.csv")
    assert "spring.csv" in logged_in(marketer).get(f"/segments/{segment.pk}/uploads").content.decode()


def test_the_page_costs_the_same_however_many_destinations_there_are(
    logged_in: Any, manager: Any, company: Any, worker: None, django_assert_max_num_queries: Any
) -> None:
    segment = make_segment(company)
    upload = make_upload(segment, "delivering")
    for _ in range(6):
        make_delivery(upload, make_destination(segment, "synerise"), "sending")
    client = logged_in(manager)
    with django_assert_max_num_queries(LIVE_FRAGMENT_QUERIES):
        assert client.get(f"/uploads/{upload.pk}").status_code == 200


def test_nobody_is_removed_by_a_file_of_which_nobody_fits(logged_in: Any, manager: Any, company: Any) -> None:
    segment = make_segment(company)
    make_destination(segment)
    other = make_destination(segment, "mediarithmics", "email_sha256")
    Snapshot.objects.create(destination=other, members=0)
    client = logged_in(manager)
    upload = ready(client, segment)
    client.post(f"/uploads/{upload.pk}/go")
    run_until_quiet(kinds=("uploads.delivery",))
    delivery = Delivery.objects.get(destination=other)
    assert (delivery.status, delivery.error_code) == ("failed", "nobody_fits")
