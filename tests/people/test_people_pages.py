"""The company's people, its settings, and one's own account: who may, and what comes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audsync_web.people import services
from audsync_web.people.actors import NotAllowed
from audsync_web.people.models import ApiToken, AuditEntry, Company, Invitation, Membership, Role, User
from audsync_web.people.tokens import key_create
from tests.conftest import LoggedIn
from tests.factories import PASSWORD, make_actor, make_person

NEW_PASSWORD = "purple rain on monday"
ADMIN_PAGES = ["/people", "/audit", "/audit/export", "/company/settings"]
MEMBER_PAGES = ["/account", "/keys"]


@pytest.mark.parametrize("url", ADMIN_PAGES)
def test_admin_pages_open_to_admins_alone(
    url: str, logged_in: LoggedIn, admin: User, manager: User, marketer: User, client: Client
) -> None:
    assert logged_in(admin).get(url).status_code == 200
    assert logged_in(manager).get(url).status_code == 403
    assert logged_in(marketer).get(url).status_code == 403
    assert client.get(url).headers["Location"].startswith("/login")


@pytest.mark.parametrize("url", MEMBER_PAGES)
def test_pages_of_ones_own_open_to_every_role(
    url: str, logged_in: LoggedIn, admin: User, manager: User, marketer: User, client: Client
) -> None:
    assert [logged_in(user).get(url).status_code for user in (admin, manager, marketer)] == [200, 200, 200]
    assert client.get(url).headers["Location"].startswith("/login")


def role_of(user: User, company: Company) -> str:
    return Membership.objects.get(user=user, company=company).role


def membership_of(user: User) -> Membership:
    return Membership.objects.get(user=user)


def test_an_admin_changes_a_role(logged_in: LoggedIn, admin: User, marketer: User, company: Company) -> None:
    url = f"/people/{membership_of(marketer).pk}/role"
    assert logged_in(admin).post(url, {"role": "manager"}).status_code == 302
    assert role_of(marketer, company) == Role.MANAGER


@pytest.mark.parametrize("action", ["role", "remove"])
def test_nobody_but_an_admin_of_the_company_changes_its_people(
    action: str, logged_in: LoggedIn, manager: User, marketer: User, stranger: User, company: Company, client: Client
) -> None:
    url = f"/people/{membership_of(marketer).pk}/{action}"
    assert logged_in(manager).post(url, {"role": "admin"}).status_code == 403
    assert logged_in(stranger).post(url, {"role": "admin"}).status_code == 404
    assert client.post(url, {"role": "admin"}).status_code == 302
    assert logged_in(stranger).post(f"/people/999999/{action}", {"role": "admin"}).status_code == 404
    assert role_of(marketer, company) == Role.MARKETER


def test_the_last_admin_can_be_neither_demoted_nor_removed(logged_in: LoggedIn, admin: User, company: Company) -> None:
    client, membership = logged_in(admin), membership_of(admin)
    client.post(f"/people/{membership.pk}/role", {"role": "marketer"})
    client.post(f"/people/{membership.pk}/remove")
    assert role_of(admin, company) == Role.ADMIN
    make_person(company, Role.ADMIN)
    client.post(f"/people/{membership.pk}/remove")
    assert not Membership.objects.filter(pk=membership.pk).exists()


def test_who_is_removed_loses_access_and_keys(
    logged_in: LoggedIn, admin: User, marketer: User, company: Company
) -> None:
    key_create(actor=make_actor(marketer, company), name="nightly")
    theirs = logged_in(marketer)
    logged_in(admin).post(f"/people/{membership_of(marketer).pk}/remove")
    assert theirs.get("/account").status_code == 403
    assert not ApiToken.objects.filter(user=marketer).exists()


def invite(client: Client, email: str, role: str = "marketer") -> str:
    answer = client.post("/people/invite", {"email": email, "role": role}, follow=True)
    assert answer.redirect_chain == [("/people", 302)]
    return str(answer.context["invited"]["code"])


def join(code: str, password: str = NEW_PASSWORD, **more: str) -> tuple[Client, Any]:
    client = Client()
    return client, client.post("/join", {"code": code, "password": password, **more})


def test_an_invited_person_joins_with_the_code_and_a_password_of_their_own(
    logged_in: LoggedIn, admin: User, company: Company
) -> None:
    code = invite(logged_in(admin), "New@People.example", "manager")
    client, answer = join(code, name="Nia")
    assert answer.status_code == 302
    joined = User.objects.get(email="new@people.example")
    assert (joined.name, role_of(joined, company)) == ("Nia", Role.MANAGER)
    assert client.get("/account").context["company"] == company


def test_a_code_works_once_and_not_after_seven_days(logged_in: LoggedIn, admin: User) -> None:
    code = invite(logged_in(admin), "new@people.example")
    assert join(code)[1].status_code == 302
    assert join(code)[1].status_code == 422
    late = invite(logged_in(admin), "late@people.example")
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert join(late)[1].status_code == 422
    assert not User.objects.filter(email="late@people.example").exists()


def test_loading_the_page_of_an_invitation_again_leaves_its_code_good(logged_in: LoggedIn, admin: User) -> None:
    client = logged_in(admin)
    code = invite(client, "new@people.example")
    assert code not in client.get("/people").content.decode()
    assert join(code)[1].status_code == 302


def test_a_second_invitation_replaces_the_first(logged_in: LoggedIn, admin: User) -> None:
    first, second = (invite(logged_in(admin), "new@people.example") for _ in range(2))
    assert join(first)[1].status_code == 422
    assert join(second)[1].status_code == 302


def test_who_has_a_login_proves_it_to_join(logged_in: LoggedIn, stranger: User, admin: User, company: Company) -> None:
    code = invite(logged_in(admin), stranger.email)
    assert join(code, "not their password")[1].status_code == 422
    assert not Membership.objects.filter(user=stranger, company=company).exists()
    assert join(code, PASSWORD)[1].status_code == 302
    assert role_of(stranger, company) == Role.MARKETER


def test_a_weak_password_does_not_use_the_code_up(logged_in: LoggedIn, admin: User) -> None:
    code = invite(logged_in(admin), "new@people.example")
    assert join(code, "password")[1].status_code == 422
    assert join(code)[1].status_code == 302


def test_codes_cannot_be_guessed_at_without_end(db: None) -> None:
    answers = [join(f"join_{number}")[1].status_code for number in range(9)]
    assert answers == [422] * 8 + [429]


def test_an_invitation_can_be_withdrawn_by_its_company_alone(
    logged_in: LoggedIn, admin: User, manager: User, stranger: User
) -> None:
    code = invite(logged_in(admin), "new@people.example")
    url = f"/people/invitations/{Invitation.objects.get().pk}/withdraw"
    assert logged_in(stranger).post(url).status_code == 404
    assert logged_in(manager).post(url).status_code == 403
    assert logged_in(admin).post(url).status_code == 302
    assert join(code)[1].status_code == 422


def test_somebody_in_the_company_is_not_invited_again(logged_in: LoggedIn, admin: User, marketer: User) -> None:
    answer = logged_in(admin).post("/people/invite", {"email": marketer.email, "role": "admin"})
    assert answer.status_code == 422
    assert not Invitation.objects.exists()


def test_a_new_password_ends_the_other_sessions_and_login_tokens_but_not_keys(
    logged_in: LoggedIn, manager: User, company: Company
) -> None:
    actor = make_actor(manager, company)
    key_create(actor=actor, name="nightly")
    here, elsewhere = logged_in(manager), logged_in(manager)
    answer = here.post("/account/password", {"old": PASSWORD, "new": NEW_PASSWORD})
    assert answer.status_code == 302
    assert here.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302
    assert [token.kind for token in ApiToken.objects.all()] == ["key"]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [("wrong", NEW_PASSWORD, "old"), (PASSWORD, "short", "new"), (PASSWORD, "password12", "new")],
)
def test_a_password_is_not_changed_without_the_old_one_or_to_a_weak_one(
    old: str, new: str, field: str, logged_in: LoggedIn, manager: User
) -> None:
    answer = logged_in(manager).post("/account/password", {"old": old, "new": new})
    assert answer.status_code == 422
    assert field in answer.context["password_form"].errors
    manager.refresh_from_db()
    assert manager.check_password(PASSWORD)


def test_htmx_gets_the_refused_form_alone_and_a_redirect_after_success(logged_in: LoggedIn, manager: User) -> None:
    client = logged_in(manager)
    refused = client.post("/account/password", {"old": "x", "new": "y"}, headers={"HX-Request": "true"})
    assert refused.status_code == 422
    assert "<html" not in refused.content.decode()
    assert 'id="password-form"' in refused.content.decode()
    saved = client.post("/account", {"name": "Mo the Second"}, headers={"HX-Request": "true"})
    assert saved.headers["HX-Redirect"] == "/account"
    manager.refresh_from_db()
    assert manager.name == "Mo the Second"


SETTINGS = {
    "name": "Northwind Outdoor",
    "keep_originals_days": "7",
    "keep_reports_days": "8",
    "keep_snapshots_days": "9",
    "delete_originals_when_confirmed": "on",
    "max_removed_percent": "12.5",
    "max_stored_gigabytes": "2",
}


def test_an_admin_changes_the_companys_settings(logged_in: LoggedIn, admin: User, company: Company) -> None:
    assert logged_in(admin).post("/company/settings", SETTINGS).status_code == 302
    company.refresh_from_db()
    assert (company.keep_originals_days, company.max_removed_share) == (7, 0.125)
    assert (company.max_stored_bytes, company.delete_originals_when_confirmed) == (2_000_000_000, True)
    entry = AuditEntry.objects.get(action="company.change")
    assert entry.detail["changed"]["keep_originals_days"] == [30, 7]


def test_settings_out_of_range_change_nothing(logged_in: LoggedIn, admin: User, company: Company) -> None:
    answer = logged_in(admin).post("/company/settings", {**SETTINGS, "max_removed_percent": "101"})
    assert answer.status_code == 422
    company.refresh_from_db()
    assert company.keep_originals_days == 30


def test_only_admins_change_settings(logged_in: LoggedIn, manager: User, company: Company) -> None:
    assert logged_in(manager).post("/company/settings", SETTINGS).status_code == 403
    company.refresh_from_db()
    assert company.name == "Northwind"


def test_services_refuse_what_pages_would(manager: User, company: Company) -> None:
    actor = make_actor(manager, company)
    with pytest.raises(NotAllowed):
        services.person_invite(actor=actor, email="x@people.example", role=Role.ADMIN)
