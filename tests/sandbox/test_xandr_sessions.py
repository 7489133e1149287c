"""The sandbox's Xandr: logins, sessions, budgets, pages and both hosts."""

from __future__ import annotations

import pytest
import requests

from audsync_web.sandbox.xandr import DEMO_CREDENTIALS, DEMO_MEMBER, PARTNER_MEMBER

from .xandr_kit import Caller


def test_wrong_credentials_are_named_and_a_get_is_no_login(caller: Caller):
    assert caller.login(password="wrong")["response"]["error_id"] == "NOAUTH"
    assert requests.get(f"{caller.url}/auth", timeout=30).status_code == 405
    assert "login by anything but POST" in caller.violations


def test_the_eleventh_login_in_five_minutes_is_throttled_and_the_sixth_noted(caller: Caller):
    for _ in range(9):
        assert caller.login()["response"]["status"] == "OK"
    answer = requests.post(f"{caller.url}/auth", json={"auth": DEMO_CREDENTIALS}, timeout=30)
    assert (answer.status_code, answer.json()["response"]["error_code"]) == (429, "RATE_EXCEEDED")
    assert answer.headers["Retry-After"]
    assert "more than 5 logins" in caller.violations
    caller.box.context.clock.advance(301)
    assert caller.login()["response"]["status"] == "OK"


@pytest.mark.parametrize(("steps", "seconds"), [(1, 7201), (13, 7000)])
def test_a_session_ends_after_two_idle_hours_and_after_a_day_of_work(caller: Caller, steps: int, seconds: float):
    path = f"/batch-segment?member_id={DEMO_MEMBER}&sort=id.asc"
    for _ in range(steps):
        last = caller.ask("GET", path)
        caller.box.context.clock.advance(seconds)
    assert last["status"] == "OK"
    assert caller.ask("GET", path)["error_id"] == "NOAUTH"


def test_a_scheme_word_is_noted_and_refused_in_strict_mode(caller: Caller):
    bearer = {"Authorization": f"Bearer {caller.token}"}
    path = f"/segment?member_id={DEMO_MEMBER}"
    assert caller.ask("GET", path, headers=bearer)["status"] == "OK"
    caller.switch("strict", "1")
    assert caller.ask("GET", path, headers=bearer)["error_id"] == "NOAUTH"
    assert "scheme word" in caller.violations


@pytest.mark.parametrize(
    ("query", "error"),
    [("", "SYNTAX"), ("?member_id=abc", "SYNTAX"), (f"?member_id={PARTNER_MEMBER}", "UNAUTH")],
)
def test_a_member_must_be_given_as_a_number_and_be_ones_own(caller: Caller, query: str, error: str):
    assert caller.ask("GET", f"/batch-segment{query}")["error_id"] == error


def test_over_the_budget_a_user_is_throttled_until_the_minute_is_over(caller: Caller):
    caller.switch("reads_per_minute", "3")
    path = f"/segment?member_id={DEMO_MEMBER}"
    statuses = [caller.call("GET", path).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    caller.box.context.clock.advance(61)
    assert caller.call("GET", path).status_code == 200


def test_pages_hold_a_hundred_at_most_count_from_zero_and_may_be_sorted(caller: Caller):
    for number in range(120):
        caller.control("segment", code=f"c{number}", name=f"n{number:03}")
    path = f"/segment?member_id={DEMO_MEMBER}&include_shared=0&sort=short_name.desc"
    first = caller.ask("GET", f"{path}&num_elements=500")
    rest = caller.ask("GET", f"{path}&start_element=100")
    names = [row["short_name"] for row in first["segments"] + rest["segments"]]
    assert first["count"] == 120
    assert (len(first["segments"]), len(rest["segments"])) == (100, 20)
    assert names == sorted(names, reverse=True)
    assert "num_elements over 100" in caller.violations


def test_impbus_wants_the_member_in_the_path_and_shows_a_status_in_an_array(caller: Caller):
    caller.switch("host", "impbus")
    assert "member is required" in caller.ask("GET", "/segment")["error"]
    assert isinstance(caller.open_job(), dict)
    job = caller.open_job()
    assert isinstance(caller.job(job["job_id"]), list)
    caller.switch("legacy", "1")
    row = caller.ask("GET", f"/segment/{DEMO_MEMBER}?include_shared=1")["segments"][0]
    assert "active" in row
    assert "state" not in row
