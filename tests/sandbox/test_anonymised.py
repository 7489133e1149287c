"""The Anonymised sandbox refuses what the vendor page does not allow, and lives by the clock (spec section 11)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import pytest
import requests

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS, OTHER_CREDENTIALS
from audsync_web.sandbox.server import Sandbox

ORIGIN = "https://account.anonymised.io"
GOOD = b"provider_id\nacme-0001\nacme-0002\nacme-0003\n"
UNKNOWN_UPLOAD = "0b9f2c1e-5a44-4a0e-9a55-2d8a7a1f6c10"


class Partner:
    """A partner's script: the seven calls and nothing clever."""

    def __init__(self, box: Sandbox, credentials: dict[str, str] = DEMO_CREDENTIALS) -> None:
        self.box = box
        self.base = box.base_url("anonymised")
        self.http = requests.Session()
        token = self.login(credentials).json()["token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def login(self, body: Any, **headers: str) -> requests.Response:
        sent = {"Origin": ORIGIN, **headers}
        return requests.post(f"{self.base}/login", json=body, headers=sent, timeout=30)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, f"{self.base}{path}", timeout=30, **options)

    def create(self, name: str = "Lapsed | 7f3a", **changes: Any) -> requests.Response:
        return self.call("POST", "/segment", json={"name": name, "durationDays": 90, "type": "core", **changes})

    def segment(self, name: str = "Lapsed | 7f3a", *, published: bool = False) -> int:
        made = int(self.create(name).json()["id"])
        if published:
            self.call("POST", f"/segment/{made}/publish")
        return made

    def upload(self, segment: int, body: Any = GOOD, **headers: str) -> requests.Response:
        sent = {"Content-Type": "text/csv", **headers}
        return self.call("POST", f"/segment/{segment}/membership/upload", data=body, headers=sent)

    def status(self, segment: int, upload: str) -> str:
        return str(self.call("GET", f"/segment/{segment}/membership/upload/{upload}").json()["status"])

    def active(self, segment: int) -> str | None:
        answer = self.call("GET", f"/segment/{segment}/membership")
        return answer.json()["activeMembershipUploadId"] if answer.status_code == 200 else None

    def wait(self, seconds: float = 60) -> None:
        self.box.context.clock.advance(seconds)

    def switch(self, name: str, value: str = "1") -> None:
        self.box.context.faults.set(f"anonymised.{name}", value)

    @property
    def violations(self) -> list[str]:
        return self.box.context.ledger.violations("anonymised")


@pytest.fixture
def partner(box: Sandbox) -> Partner:
    return Partner(box)


# --- routing and who may come in -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/segment"),
        ("GET", "/segment/{segment}"),
        ("DELETE", "/segment/{segment}"),
        ("PATCH", "/segment/{segment}"),
        ("GET", "/segment/{segment}/membership/upload" + UNKNOWN_UPLOAD),
        ("DELETE", "/segment/{segment}/membership/upload/" + UNKNOWN_UPLOAD),
        ("GET", "/segment/{segment}/publish"),
        ("GET", "/login"),
        ("GET", "/_control/anonymised"),
    ],
)
def test_nothing_exists_beyond_the_seven_calls(partner: Partner, method: str, path: str):
    answer = partner.call(method, path.format(segment=partner.segment()))
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (DEMO_CREDENTIALS, {}, 200),
        ({**DEMO_CREDENTIALS, "password": "wrong"}, {}, 401),
        ({"email": DEMO_CREDENTIALS["email"]}, {}, 400),
        ({**DEMO_CREDENTIALS, "password": 7}, {}, 400),
        (["not", "an", "object"], {}, 400),
        (DEMO_CREDENTIALS, {"Origin": "https://elsewhere.example"}, 403),
        (DEMO_CREDENTIALS, {"Content-Type": "text/plain"}, 400),
    ],
)
def test_login_wants_both_fields_the_content_type_and_the_origin(
    partner: Partner, body: Any, headers: dict[str, str], status: int
):
    assert partner.login(body, **headers).status_code == status


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer nonsense", "Bearer a.b.c", "Basic x"])
def test_other_calls_want_a_token_of_ours(partner: Partner, header: str):
    answer = partner.call("POST", "/segment", json={}, headers={"Authorization": header})
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]


def test_a_token_ends(partner: Partner):
    partner.wait(3601)
    assert partner.create().status_code == 401


def test_another_companys_segment_looks_like_an_unknown_one(partner: Partner):
    segment = partner.segment()
    other = Partner(partner.box, OTHER_CREDENTIALS)
    theirs = other.call("GET", f"/segment/{segment}/membership/upload")
    unknown = other.call("GET", "/segment/999999/membership/upload")
    assert theirs.status_code == unknown.status_code == 404
    assert theirs.content == unknown.content


@pytest.mark.parametrize("segment", ["abc", "1.5", "-1", "0", "٣", "9" * 30])
def test_a_segment_id_of_another_form_is_404(partner: Partner, segment: str):
    assert partner.call("GET", f"/segment/{segment}/membership").status_code == 404


# --- segments --------------------------------------------------------------------------------------------------------


def test_a_new_segment_has_exactly_the_documented_fields(partner: Partner):
    made = partner.create().json()
    assert set(made) == {
        "id", "companyId", "createdAt", "durationDays", "name", "publicName", "size", "status", "type"
    }  # fmt: skip
    assert (made["publicName"], made["size"], made["status"]) == ("", 0, "created")
    assert partner.create("another").json()["id"] > made["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "  "},
        {"name": 5},
        {"durationDays": 0},
        {"durationDays": True},
        {"durationDays": "90"},
        {"durationDays": 1.5},
        {"type": "custom"},
        {"type": None},
    ],
)
def test_a_segment_with_a_wrong_field_is_400(partner: Partner, changes: dict[str, Any]):
    answer = partner.create(**changes)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_publishing_fills_what_the_page_shows(partner: Partner):
    segment = partner.segment()
    shown = partner.call("POST", f"/segment/{segment}/publish").json()
    assert shown["status"] == "published"
    assert shown["publicName"]
    assert shown["externalId"].isdigit()
    assert "size" not in shown
    assert datetime.fromisoformat(shown["activatedAt"])


@pytest.mark.parametrize(("switch", "status"), [("200", 200), ("400", 400), ("409", 409)])
def test_a_second_publish_answers_as_chosen_and_is_noted(partner: Partner, switch: str, status: int):
    partner.switch("republish", switch)
    segment = partner.segment(published=True)
    assert partner.call("POST", f"/segment/{segment}/publish").status_code == status
    assert any("published" in text for text in partner.violations)


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (GOOD, 3),
        (GOOD.replace(b"\n", b"\r\n"), 3),
        (GOOD[:-1], 3),
        (b"provider_id\n" + "né\n".encode(), 1),
        (b"provider_id\n" + b"".join(b"%08d\n" % n for n in range(200_000)), 200_000),
    ],
    ids=["LF", "CRLF", "no last line end", "UTF-8", "several blocks"],
)
def test_a_good_file_is_counted_and_hashed(partner: Partner, body: bytes, records: int):
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    answer = partner.upload(partner.segment(), body, **{"X-Content-MD5": md5.upper()})
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["status"], shown["recordsCount"], shown["uploadedBytes"]) == ("pending", records, len(body))
    assert shown["fileMD5"] == md5
    assert "details" not in shown
    assert partner.violations == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"provider_id,email\nacme-0001,x\n", "invalid CSV header: expected exactly one column"),
        (b"", "invalid CSV header: expected exactly one column"),
        (b"acme-0001\nacme-0002\n", "invalid CSV header: expected provider_id"),
        (b"provider_id\nacme-0001,acme-0002\n", "invalid CSV row: expected exactly one value"),
        (b"provider_id\n", "invalid CSV: no rows"),
        (b"provider_id\na\n\nb\n", "invalid CSV: blank line"),
        (b"provider_id\r\na\r\n\r\nb\r\n", "invalid CSV: blank line"),
        (b"provider_id\n\na\n", "invalid CSV: blank line"),
        (b"\xef\xbb\xbf" + GOOD, "invalid CSV header: byte-order mark"),
        (b"provider_id\ncaf\xe9\n", "invalid CSV: not UTF-8"),
        (b"provider_id\ncaf\xc3", "invalid CSV: not UTF-8"),
    ],
)
def test_a_bad_file_is_400_leaves_no_record_and_is_noted(partner: Partner, body: bytes, error: str):
    segment = partner.segment()
    answer = partner.upload(segment, body)
    assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert partner.call("GET", f"/segment/{segment}/membership/upload").json() == []
    assert partner.violations


@pytest.mark.parametrize(
    ("switch", "body", "records"),
    [
        ("lax_header", b"acme-0001\nacme-0002\n", 1),
        ("accept_blank_lines", b"provider_id\na\n\nb\n", 2),
        ("accept_mark", b"\xef\xbb\xbf" + GOOD, 3),
        ("accept_any_bytes", b"provider_id\ncaf\xe9\n", 1),
        ("accept_header_only", b"provider_id\n", 0),
    ],
)
def test_each_strictness_can_be_switched_off(partner: Partner, switch: str, body: bytes, records: int):
    partner.switch(switch)
    assert partner.upload(partner.segment(), body).json()["recordsCount"] == records


def test_a_bad_row_can_fail_later_with_details_in_the_single_view_only(partner: Partner):
    partner.switch("bad_rows_later")
    segment = partner.segment()
    upload = partner.upload(segment, b"provider_id\na,b\n").json()["id"]
    partner.wait()
    shown = partner.call("GET", f"/segment/{segment}/membership/upload/{upload}").json()
    listed = partner.call("GET", f"/segment/{segment}/membership/upload").json()
    assert shown["status"] == "failed"
    assert "one value" in shown["details"]
    assert "details" not in listed[0]


@pytest.mark.parametrize(
    "body",
    [
        b"provider_id\na\na\n",
        b'provider_id\n"quoted"\n',
        b"provider_id\n padded\n",
        b"provider_id\na\r\nb\n",
        b"provider_id\nta\tb\n",
    ],
    ids=["twice", "quoted", "padded", "mixed line ends", "control character"],
)
def test_what_a_careful_client_never_sends_is_noted(partner: Partner, body: bytes):
    partner.upload(partner.segment(), body)
    assert partner.violations


@pytest.mark.parametrize("chunked", [True, False])
def test_too_large_a_file_is_413_with_or_without_a_length(partner: Partner, chunked: bool):
    partner.switch("max_bytes", "1000")
    segment, body = partner.segment(), b"provider_id\n" + b"x" * 5000
    answer = partner.upload(segment, iter([body]) if chunked else body)
    assert (answer.status_code, answer.json()) == (413, {"error": "file size exceeds maximum allowed size"})
    assert partner.call("GET", f"/segment/{segment}/membership/upload").json() == []


@pytest.mark.parametrize("md5", ["0" * 32, "abc", "hRGHiRUW9I+imb7VNiXcrQ=="])
def test_a_wrong_md5_is_400_and_leaves_no_record(partner: Partner, md5: str):
    segment = partner.segment()
    assert partner.upload(segment, GOOD, **{"X-Content-MD5": md5}).status_code == 400
    assert partner.call("GET", f"/segment/{segment}/membership/upload").json() == []


@pytest.mark.parametrize(("kind", "status"), [("text/csv; charset=utf-8", 201), ("text/plain", 400), ("", 400)])
def test_only_csv_is_taken(partner: Partner, kind: str, status: int):
    assert partner.upload(partner.segment(), GOOD, **{"Content-Type": kind}).status_code == status


def test_a_form_is_not_taken(partner: Partner):
    path = f"/segment/{partner.segment()}/membership/upload"
    assert partner.call("POST", path, files={"file": ("m.csv", GOOD)}).status_code == 400
    partner.switch("media_type_415")
    assert partner.call("POST", path, files={"file": ("m.csv", GOOD)}).status_code == 415


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vocabulary", "fails", "words"),
    [
        ("short", False, ["pending", "processing", "completed"]),
        ("short", True, ["pending", "processing", "failed"]),
        ("long", False, ["pending", "processing", "processed"]),
        ("long", True, ["pending", "processing", "processing_failed"]),
    ],
)
def test_an_upload_moves_with_the_clock_in_the_chosen_words(
    partner: Partner, vocabulary: str, fails: bool, words: list[str]
):
    partner.switch("vocabulary", vocabulary)
    partner.switch("fail", "1" if fails else "0")
    partner.switch("pending_seconds", "10")
    partner.switch("processing_seconds", "10")
    segment = partner.segment()
    upload = partner.upload(segment).json()["id"]
    seen = []
    for _ in range(3):
        seen.append(partner.status(segment, upload))
        partner.wait(12)
    assert seen == words


def test_a_success_becomes_active_and_the_one_before_is_removed(partner: Partner):
    segment = partner.segment(published=True)
    first = partner.upload(segment).json()["id"]
    partner.wait(5)
    assert partner.active(segment) == first
    second = partner.upload(segment, b"provider_id\nother\n").json()["id"]
    partner.wait(3.5)
    assert partner.active(segment) == second
    assert partner.status(segment, first) == "deletion"
    partner.wait(5)
    assert partner.status(segment, first) == "deleted"
    assert partner.box.vendors["anonymised"].control("members", {"segment": segment}) == ["other"]


@pytest.mark.parametrize(("switch", "status"), [("deletion_failed", "deletion_failed"), ("off", "completed")])
def test_what_becomes_of_a_superseded_upload_can_be_chosen(partner: Partner, switch: str, status: str):
    partner.switch("superseded", switch)
    segment = partner.segment(published=True)
    first = partner.upload(segment).json()["id"]
    partner.wait()
    partner.upload(segment)
    partner.wait()
    assert partner.status(segment, first) == status


def test_a_failure_leaves_the_active_upload_alone(partner: Partner):
    segment = partner.segment(published=True)
    first = partner.upload(segment).json()["id"]
    partner.wait()
    partner.switch("fail", "disk full")
    second = partner.upload(segment).json()["id"]
    partner.wait()
    detail = partner.call("GET", f"/segment/{segment}/membership/upload/{second}").json()
    assert (detail["status"], detail["details"]) == ("failed", "disk full")
    assert partner.active(segment) == first


def test_members_of_an_unpublished_segment_are_held_until_it_is_published(partner: Partner):
    segment = partner.segment()
    upload = partner.upload(segment).json()["id"]
    partner.wait()
    assert partner.active(segment) is None
    partner.switch("show_staged")
    assert partner.active(segment) == upload
    partner.switch("show_staged", "0")
    partner.call("POST", f"/segment/{segment}/publish")
    assert partner.active(segment) == upload


def test_an_upload_can_be_removed_without_ever_being_processed(partner: Partner):
    partner.switch("removed_unprocessed")
    segment = partner.segment(published=True)
    upload = partner.upload(segment).json()["id"]
    partner.wait(2)
    assert partner.status(segment, upload) == "deletion"
    partner.wait(5)
    assert partner.status(segment, upload) == "deleted"
    assert partner.active(segment) is None


@pytest.mark.parametrize("upload", [UNKNOWN_UPLOAD, "not-a-uuid"])
def test_an_unknown_upload_or_one_of_another_segment_is_404(partner: Partner, upload: str):
    first, second = partner.segment("one"), partner.segment("two")
    own = partner.upload(first).json()["id"]
    assert partner.call("GET", f"/segment/{first}/membership/upload/{upload}").status_code == 404
    assert partner.call("GET", f"/segment/{second}/membership/upload/{own}").status_code == 404


def test_the_list_is_a_bare_array_oldest_first(partner: Partner):
    segment = partner.segment()
    made = []
    for _ in range(3):
        made.append(partner.upload(segment).json()["id"])
        partner.wait()
    listed = partner.call("GET", f"/segment/{segment}/membership/upload").json()
    assert [upload["id"] for upload in listed] == made


# --- faults and notes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switch", "status"),
    [("throttle", 429), ("throttle_create", 429), ("server_error", 500), ("unavailable", 503), ("reject_token", 401)],
)
def test_a_fault_meets_the_next_call_once(partner: Partner, switch: str, status: int):
    partner.switch(switch, "1x")
    answer = partner.create()
    assert answer.status_code == status
    assert (answer.headers.get("Retry-After") == "2") == (status in {429, 503})
    assert partner.create().status_code == 201


@pytest.mark.parametrize(("moment", "made"), [("before", 0), ("after", 1)])
def test_a_lost_answer_loses_the_work_only_when_it_comes_before(partner: Partner, moment: str, made: int):
    partner.switch(f"drop_{moment}_create", "1x")
    with pytest.raises(requests.ConnectionError):
        partner.create()
    assert len(partner.box.vendors["anonymised"].state()["segments"]) == made


def test_sending_again_after_a_lost_answer_without_looking_is_noted(partner: Partner):
    segment = partner.segment()
    partner.switch("drop_after_send", "1x")
    with pytest.raises(requests.ConnectionError):
        partner.upload(segment)
    partner.wait()
    partner.upload(segment)
    assert any("without listing" in text for text in partner.violations)


def test_two_uploads_in_flight_are_noted(partner: Partner):
    segment = partner.segment()
    partner.upload(segment)
    partner.upload(segment)
    assert any("while another" in text for text in partner.violations)


def test_errors_can_be_html_and_objects_can_hold_more_than_is_known(partner: Partner):
    partner.switch("html_errors")
    answer = partner.create(name="")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/html"
    partner.switch("extra_fields")
    assert "futureField" in partner.create().json()


def test_no_member_and_no_secret_is_in_the_ledger(partner: Partner):
    segment = partner.segment()
    partner.upload(segment)
    partner.upload(segment, b'provider_id\n"acme-0001",x\n')
    kept = repr(partner.box.context.ledger.entries())
    for hidden in ("acme-0001", DEMO_CREDENTIALS["password"], "Bearer"):
        assert hidden not in kept


def test_state_shows_at_most_a_thousand_members_and_the_control_all(partner: Partner):
    segment = partner.segment(published=True)
    partner.upload(segment, b"provider_id\n" + b"".join(b"%05d\n" % n for n in range(1500)))
    partner.wait()
    shown = partner.box.vendors["anonymised"].state()["segments"][0]
    assert (len(shown["members"]), shown["memberCount"]) == (1000, 1500)
    assert len(partner.box.vendors["anonymised"].control("members", {"segment": segment})) == 1500
