"""What every page of the site keeps: its head, its caches, its navigation, its finding of rows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory

from audsync_web.jobs.models import WorkerHeartbeat
from audsync_web.people import services
from audsync_web.people.access import LOGGED_OUT, get_visible_or_404, page
from audsync_web.people.models import Company, Membership, Role, User
from audsync_web.vendors.models import VendorAccount
from tests.conftest import LoggedIn
from tests.factories import make_actor, make_vendor_account

PAGES = ["/account", "/people", "/keys", "/audit", "/company/settings", "/login", "/join", "/none-such", "/api/docs/"]


@pytest.mark.parametrize("url", PAGES)
def test_no_page_has_inline_script_or_style_and_the_policy_forbids_it(
    url: str, logged_in: LoggedIn, admin: User, client: Client
) -> None:
    browser = client if url in {"/login", "/join"} else logged_in(admin)
    answer = browser.get(url)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    html = answer.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


@pytest.mark.parametrize("url", ["/account", "/people", "/keys", "/audit", "/company/settings"])
def test_pages_are_kept_in_no_cache(url: str, logged_in: LoggedIn, admin: User) -> None:
    answer = logged_in(admin).get(url)
    assert "no-store" in answer.headers["Cache-Control"]
    assert "HX-Request" in answer.headers["Vary"]


def navigation_of(client: Client, url: str = "/account") -> list[str]:
    return [item["label"] for item in client.get(url).context["navigation"]]


def test_the_navigation_offers_what_the_role_may_open_and_marks_where_one_is(
    logged_in: LoggedIn, admin: User, marketer: User
) -> None:
    assert {"People", "Audit trail", "Company settings"} <= set(navigation_of(logged_in(admin)))
    assert not {"People", "Audit trail", "Company settings"} & set(navigation_of(logged_in(marketer)))
    items = logged_in(admin).get("/keys").context["navigation"]
    assert [item["label"] for item in items if item["active"]] == ["API keys"]


def test_the_page_says_when_no_worker_is_running(logged_in: LoggedIn, marketer: User) -> None:
    client = logged_in(marketer)
    assert "No worker is running" in client.get("/account").content.decode()
    WorkerHeartbeat.objects.create(worker="here:1")
    assert "No worker is running" not in client.get("/account").content.decode()


def test_a_poll_of_somebody_logged_out_ends_with_403_and_no_login_form(rf: RequestFactory) -> None:
    request: Any = rf.get("/status")
    request.user = AnonymousUser()
    view = page(poll=True)(lambda request: HttpResponse("live"))
    answer: Any = view(request)
    assert (answer.status_code, answer.content) == (403, b"You are logged out.")
    assert LOGGED_OUT in answer.headers


@pytest.mark.parametrize("pk", ["x", 10**30, 0, -1])
def test_a_row_that_is_not_visible_is_404_whatever_is_asked_for(
    pk: Any, company: Company, other_company: Company
) -> None:
    mine = make_vendor_account(company)
    assert get_visible_or_404(VendorAccount, company, pk=mine.pk) == mine
    with pytest.raises(Http404):
        get_visible_or_404(VendorAccount, other_company, pk=mine.pk)
    with pytest.raises(Http404):
        get_visible_or_404(VendorAccount.objects.all(), company, pk=pk)


def test_two_admins_cannot_remove_each_other_from_stale_pages(admin: User, company: Company) -> None:
    first = Membership.objects.get(user=admin)
    actor = make_actor(admin, company)
    second = services.person_add(actor=actor, email="bo@northwind.example", role=Role.ADMIN, password="x")
    stale = Membership.objects.get(pk=second.pk)
    services.person_remove(actor=actor, membership=first)
    with pytest.raises(ValidationError):
        services.person_remove(actor=actor, membership=stale)


def test_settings_that_do_not_exist_cannot_be_changed(admin: User, company: Company) -> None:
    with pytest.raises(TypeError):
        services.company_change(actor=make_actor(admin, company), key="aaaa")
