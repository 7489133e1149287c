"""The sandbox's Anonymised: the seven calls, and who may make them."""

from __future__ import annotations

from typing import Any

import pytest

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS, OTHER_CREDENTIALS

from .anonymised_kit import UNKNOWN_UPLOAD, Partner


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
