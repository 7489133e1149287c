"""API keys and the audit trail."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from audsync_web.people import audit, services
from audsync_web.people.models import ApiToken, AuditEntry, Company, Role, User, secret_hash
from audsync_web.people.tokens import key_create
from tests.conftest import LoggedIn
from tests.factories import PASSWORD, make_actor, make_membership, make_vendor_account


def make_key(client: Client, name: str = "nightly export", **more: str) -> str:
    answer = client.post("/keys", {"name": name, **more})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/keys")
    return str(client.get("/keys").context["secret"])


def test_a_key_is_shown_once_and_stored_as_a_hash(logged_in: LoggedIn, marketer: User) -> None:
    client = logged_in(marketer)
    secret = make_key(client, days="30")
    token = ApiToken.objects.get()
    assert token.hash == secret_hash(secret)
    assert token.expires_at is not None
    assert secret not in client.get("/keys").content.decode()


def test_loading_the_page_of_a_new_key_again_makes_no_second_one(logged_in: LoggedIn, marketer: User) -> None:
    client = logged_in(marketer)
    shown = client.post("/keys", {"name": "nightly"}, follow=True)
    assert shown.redirect_chain == [("/keys", 302)]
    secret = shown.context["secret"]
    assert secret in shown.content.decode()
    for _ in range(2):
        again = client.get("/keys")
        assert (again.status_code, secret in again.content.decode()) == (200, False)
    assert ApiToken.objects.get().hash == secret_hash(secret)


def test_the_secret_of_a_new_key_lies_nowhere_openly_and_is_gone_once_shown(
    logged_in: LoggedIn, marketer: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = logged_in(marketer)
    client.post("/keys", {"name": "nightly"})
    client.head("/keys")  # shows nothing, and so takes nothing
    waiting = Session.objects.get().get_decoded()
    secret = client.get("/keys").context["secret"]
    assert "once:key" in waiting
    assert secret not in str(waiting)
    assert not [name for name in Session.objects.get().get_decoded() if name.startswith("once:")]
    assert secret not in caplog.text


def test_a_new_key_is_not_shown_in_another_company_or_after_it_has_ended(
    logged_in: LoggedIn, marketer: User, other_company: Company
) -> None:
    make_membership(marketer, other_company)
    client = logged_in(marketer)
    client.post("/keys", {"name": "nightly"})
    client.post("/company/switch", {"company": other_company.slug})
    assert "secret" not in client.get("/keys").context
    client.post("/keys", {"name": "nightly"})
    ApiToken.objects.all().delete()
    assert "secret" not in client.get("/keys").context


def test_a_key_without_a_name_is_refused(logged_in: LoggedIn, marketer: User) -> None:
    assert logged_in(marketer).post("/keys", {"name": "  "}).status_code == 422
    assert not ApiToken.objects.exists()


def test_one_sees_ones_own_keys_and_an_admin_sees_all(
    logged_in: LoggedIn, admin: User, manager: User, marketer: User, stranger: User
) -> None:
    make_key(logged_in(manager), "of the manager")
    seen = {user.name: "of the manager" in logged_in(user).get("/keys").content.decode() for user in User.objects.all()}
    assert seen == {"Ada": True, "Mo": True, "Kim": False, "Sid": False}


def test_a_key_is_revoked_by_its_person_or_an_admin(
    logged_in: LoggedIn, admin: User, manager: User, marketer: User, stranger: User, client: Client
) -> None:
    make_key(logged_in(manager))
    url = f"/keys/{ApiToken.objects.get().pk}/revoke"
    assert logged_in(marketer).post(url).status_code == 404
    assert logged_in(stranger).post(url).status_code == 404
    assert client.post(url).status_code == 302
    assert ApiToken.objects.exists()
    assert logged_in(admin).post(url).status_code == 302
    assert not ApiToken.objects.exists()
    assert logged_in(admin).post(url).status_code == 404


def entries_of(answer: Any) -> list[str]:
    return [entry.action for entry, _, _ in answer.context["rows"]]


@pytest.fixture
def trail(admin: User, manager: User, company: Company) -> None:
    """Sixty changes of the manager and one of the admin two days ago."""
    for number in range(60):
        audit.record(make_actor(manager, company), "segment.change", company, name=f"Segment {number}")
    old = audit.record(make_actor(admin, company), "company.change", company, name="=SUM(1)")
    AuditEntry.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=2))


@pytest.mark.usefixtures("trail")
def test_the_trail_is_filtered_by_person_action_object_and_date(
    logged_in: LoggedIn, admin: User, manager: User
) -> None:
    client = logged_in(admin)
    assert entries_of(client.get("/audit", {"person": admin.pk})) == ["company.change"]
    assert entries_of(client.get("/audit", {"action": "company.change"})) == ["company.change"]
    assert entries_of(client.get("/audit", {"object": "segment 17"})) == ["segment.change"]
    yesterday = (timezone.now() - timedelta(days=1)).date().isoformat()
    assert entries_of(client.get("/audit", {"until": yesterday})) == ["company.change"]
    assert "company.change" not in entries_of(client.get("/audit", {"since": yesterday}))


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize(
    "query",
    [{"person": "x"}, {"since": "yesterday"}, {"action": "none.such"}, {"person": "9" * 30}, {"until": "9999-12-31"}],
)
def test_a_filter_that_makes_no_sense_is_no_error(query: dict[str, str], logged_in: LoggedIn, admin: User) -> None:
    assert logged_in(admin).get("/audit", query).status_code == 200


@pytest.mark.usefixtures("trail")
def test_the_trail_is_paged_both_ways_without_loss(logged_in: LoggedIn, admin: User) -> None:
    client = logged_in(admin)
    first = client.get("/audit")
    second = client.get(first.context["older_url"])
    assert (len(entries_of(first)), len(entries_of(second))) == (50, 11)
    again = client.get(second.context["newer_url"])
    assert [row[0].pk for row in again.context["rows"]] == [row[0].pk for row in first.context["rows"]]
    assert client.get("/audit?cursor=nonsense").status_code == 404


@pytest.mark.usefixtures("trail")
def test_a_page_of_the_trail_costs_the_same_however_long_it_is(
    logged_in: LoggedIn, admin: User, django_assert_max_num_queries: Any
) -> None:
    client = logged_in(admin)
    with django_assert_max_num_queries(6):
        client.get("/audit")
    with django_assert_max_num_queries(3):
        fragment = client.get("/audit", headers={"HX-Request": "true"})
    assert "<html" not in fragment.content.decode()


@pytest.mark.usefixtures("trail")
def test_the_export_has_what_the_filter_shows_and_no_formulas(logged_in: LoggedIn, admin: User) -> None:
    answer = logged_in(admin).get("/audit/export", {"action": "company.change"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [(row["who"], row["object"]) for row in rows] == [(admin.email, "'=SUM(1)")]


def test_details_read_as_words_and_not_as_code(logged_in: LoggedIn, admin: User, company: Company) -> None:
    changed = {"keep_originals_days": [30, 7], "delete_originals_when_confirmed": [False, True]}
    audit.record(make_actor(admin, company), "company.change", company, changed=changed, role=["admin", "manager"])
    page = logged_in(admin).get("/audit").content.decode()
    for text in ("30 → 7", "no → yes", "admin → manager"):
        assert text in page


def test_what_an_entry_is_about_is_named_in_words(logged_in: LoggedIn, admin: User, company: Company) -> None:
    account = make_vendor_account(company)
    audit.record(make_actor(admin, company), "vendor_account.pause", account)
    audit.record(make_actor(admin, company), "person.role", admin)
    page = logged_in(admin).get("/audit").content.decode()
    assert f"vendor account {account.pk}" in page
    assert f"person {admin.pk}" in page
    assert "vendoraccount" not in page


@pytest.mark.usefixtures("trail")
def test_one_company_never_sees_the_trail_of_another(logged_in: LoggedIn, stranger: User, admin: User) -> None:
    client = logged_in(stranger)
    assert entries_of(client.get("/audit")) == []
    assert entries_of(client.get("/audit", {"person": admin.pk})) == []
    assert len(client.get("/audit/export").getvalue().splitlines()) == 1


def test_the_trail_never_holds_a_secret(
    client: Client, logged_in: LoggedIn, admin: User, manager: User, company: Company
) -> None:
    actor = make_actor(admin, company)
    _, code = services.person_invite(actor=actor, email="new@people.example", role=Role.MARKETER)
    _, secret = key_create(actor=make_actor(manager, company), name="nightly")
    services.password_change(actor=make_actor(manager, company), old=PASSWORD, new="purple rain on monday")
    answer = client.post(
        "/api/public/v3/login", {"email": admin.email, "password": PASSWORD}, content_type="application/json"
    )
    everything = "\n".join(str(list(entry.values())) for entry in AuditEntry.objects.values())
    assert AuditEntry.objects.count() >= 4
    for hidden in (code, secret, PASSWORD, "purple rain", answer.json()["token"], secret_hash(secret)):
        assert hidden not in everything
