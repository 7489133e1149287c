"""The sandbox's Anonymised: faults, and what it notes about its callers."""

from __future__ import annotations

import pytest
import requests

from audsync_web.sandbox.anonymised import DEMO_CREDENTIALS

from .anonymised_kit import Partner


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
