"""Pages of one's own account, the company's people, API keys and settings."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.db.models import Max, QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django_htmx.http import HttpResponseClientRedirect

from audsync_web.http import PageRequest, is_fragment

from . import services, tokens
from .access import get_visible_or_404, page
from .forms import CompanyForm, InviteForm, KeyForm, NameForm, PasswordForm, RoleForm, add_errors
from .models import ApiToken, Invitation, Membership, Role
from .once import keep_once, take_once

NEW_KEY = "key"
NEW_INVITATION = "invitation"


def done(request: PageRequest, route: str, text: str) -> HttpResponseBase:
    """After a change: say so, and go where its result is seen."""
    messages.success(request, text)
    url = reverse(route)
    return HttpResponseClientRedirect(url) if is_fragment(request) else redirect(url)


def refused(request: PageRequest, route: str, error: ValidationError) -> HttpResponseBase:
    """After a button whose change was refused: say why where the button stood."""
    messages.error(request, " ".join(error.messages))
    url = reverse(route)
    return HttpResponseClientRedirect(url) if is_fragment(request) else redirect(url)


def form_refused(
    request: PageRequest, page_template: str, context: dict[str, Any], form_context: dict[str, Any]
) -> HttpResponse:
    """422 with the form and its faults: the form alone for htmx, else the whole page around it."""
    if is_fragment(request):
        return render(request, "people/_form.html", form_context, status=422)
    return render(request, page_template, context, status=422)


# --- one's own account -----------------------------------------------------------------------------------------------


def _account_context(request: PageRequest, **forms: Any) -> dict[str, Any]:
    name = request.actor.user.name if request.actor.user else ""
    return {"name_form": NameForm(initial={"name": name}), "password_form": PasswordForm(), "roles": Role, **forms}


@page("GET", "POST")
def account(request: PageRequest) -> HttpResponseBase:
    """Name and password, and the companies one is in. POST changes the name."""
    if request.method != "POST":
        return render(request, "people/account.html", _account_context(request))
    form = NameForm(request.POST)
    if form.is_valid():
        services.person_rename(actor=request.actor, name=form.cleaned_data["name"])
        return done(request, "account", "Your name is changed.")
    context = _account_context(request, name_form=form)
    return form_refused(
        request,
        "people/account.html",
        context,
        {"form": form, "action": reverse("account"), "name": "name-form", "label": "Save"},
    )


@sensitive_post_parameters("old", "new")
@page("POST")
def account_password(request: PageRequest) -> HttpResponseBase:
    """A new password; every other session of the person ends."""
    form = PasswordForm(request.POST)
    if form.is_valid():
        try:
            user = services.password_change(
                actor=request.actor, old=form.cleaned_data["old"], new=form.cleaned_data["new"]
            )
        except ValidationError as error:
            add_errors(form, error)
        else:
            update_session_auth_hash(request, user)
            return done(request, "account", "Your password is changed. You are logged out everywhere else.")
    context = _account_context(request, password_form=form)
    return form_refused(
        request,
        "people/account.html",
        context,
        {"form": form, "action": reverse("account_password"), "name": "password-form", "label": "Change the password"},
    )


# --- the company's people --------------------------------------------------------------------------------------------


def _people_context(request: PageRequest, **more: Any) -> dict[str, Any]:
    members = Membership.objects.filter(company=request.company).select_related("user").order_by("user__email")
    keys = ApiToken.objects.filter(company=request.company).values("user").annotate(at=Max("last_used_at"))
    used = {row["user"]: row["at"] for row in keys}
    return {
        "rows": [
            {
                "membership": member,
                "form": RoleForm(initial={"role": member.role}, auto_id=f"role-{member.pk}-%s"),
                "api_used_at": used.get(member.user_id),
            }
            for member in members
        ],
        "invitations": _open_invitations(request),
        "invite_form": InviteForm(),
        "now": timezone.now(),
        **more,
    }


def _open_invitations(request: PageRequest) -> QuerySet[Invitation]:
    found = Invitation.objects.filter(company=request.company, accepted_at__isnull=True)
    return found.select_related("invited_by").order_by("-pk")


@page(needs="admin")
def people(request: PageRequest) -> HttpResponseBase:
    """Everybody in the company with their roles, and who is invited; the code of a new invitation once."""
    shown = _new_invitation(request) if request.method == "GET" else {}  # HEAD shows nobody anything
    return render(request, "people/people.html", _people_context(request, **shown))


def _new_invitation(request: PageRequest) -> dict[str, Any]:
    kept = take_once(request, NEW_INVITATION)
    made = _open_invitations(request).filter(pk=kept["pk"]).first() if kept else None
    if made is None:
        return {}
    join_url = request.build_absolute_uri(reverse("join"))
    return {"invited": {"invitation": made, "code": kept["code"], "join_url": join_url}}


@page("POST", needs="admin")
def person_invite(request: PageRequest) -> HttpResponseBase:
    """Invite somebody; the code is shown on the page it leads to and never again."""
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            invitation, code = services.person_invite(
                actor=request.actor, email=form.cleaned_data["email"], role=Role(form.cleaned_data["role"])
            )
        except ValidationError as error:
            add_errors(form, error)
        else:
            # By a redirect: to invite again would make the code useless that was passed on meanwhile.
            keep_once(request, NEW_INVITATION, {"pk": invitation.pk, "code": code})
            return redirect("people")
    return render(request, "people/people.html", _people_context(request, invite_form=form), status=422)


@page("POST", needs="admin")
def invitation_withdraw(request: PageRequest, pk: int) -> HttpResponseBase:
    """Make an invitation useless."""
    invitation = get_visible_or_404(_open_invitations(request), request.company, pk=pk)
    services.invitation_withdraw(actor=request.actor, invitation=invitation)
    return done(request, "people", "The invitation is withdrawn.")


@page("POST", needs="admin")
def person_role(request: PageRequest, pk: int) -> HttpResponseBase:
    """Another role for one person; `pk` is the membership's."""
    membership = get_visible_or_404(Membership, request.company, pk=pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return refused(request, "people", ValidationError("Choose one of the three roles."))
    try:
        services.person_change_role(actor=request.actor, membership=membership, role=Role(form.cleaned_data["role"]))
    except ValidationError as error:
        return refused(request, "people", error)
    return done(
        request, "people", f"{membership.user} is {membership.company}'s {Role(form.cleaned_data['role']).label} now."
    )


@page("POST", needs="admin")
def person_remove(request: PageRequest, pk: int) -> HttpResponseBase:
    """Take one person out of the company."""
    membership = get_visible_or_404(Membership, request.company, pk=pk)
    try:
        services.person_remove(actor=request.actor, membership=membership)
    except ValidationError as error:
        return refused(request, "people", error)
    return done(request, "people", f"{membership.user} is no longer in the company. Their keys have ended.")


# --- API keys --------------------------------------------------------------------------------------------------------


def _visible_keys(request: PageRequest) -> QuerySet[ApiToken]:
    """One's own keys; all of the company's for admins."""
    keys = ApiToken.objects.filter(company=request.company, kind=ApiToken.Kind.KEY).select_related("user")
    return keys if request.actor.administers else keys.filter(user=request.actor.user)


def _keys_context(request: PageRequest, **more: Any) -> dict[str, Any]:
    return {"keys": _visible_keys(request).order_by("-pk"), "key_form": KeyForm(), "now": timezone.now(), **more}


@page("GET", "POST")
def keys(request: PageRequest) -> HttpResponseBase:
    """API keys. POST makes one, whose secret is shown on the page it leads to and never again."""
    if request.method != "POST":
        shown = _new_key(request) if request.method == "GET" else {}  # HEAD shows nobody anything
        return render(request, "people/keys.html", _keys_context(request, **shown))
    form = KeyForm(request.POST)
    if form.is_valid():
        try:
            token, secret = tokens.key_create(actor=request.actor, **form.cleaned_data)
        except ValidationError as error:
            add_errors(form, error)
        else:
            # By a redirect: whoever loads the page with the secret again must not make a second key.
            keep_once(request, NEW_KEY, {"pk": token.pk, "secret": secret})
            return redirect("keys")
    return render(request, "people/keys.html", _keys_context(request, key_form=form), status=422)


def _new_key(request: PageRequest) -> dict[str, Any]:
    """The key that was just made, and its secret; nothing when it has ended meanwhile or is of another company."""
    kept = take_once(request, NEW_KEY)
    made = _visible_keys(request).filter(pk=kept["pk"]).first() if kept else None
    return {} if made is None else {"made": made, "secret": kept["secret"]}


@page("POST")
def key_revoke(request: PageRequest, pk: int) -> HttpResponseBase:
    """End a key at once. The key of somebody else is 404 for who is no admin."""
    token = get_visible_or_404(_visible_keys(request), request.company, pk=pk)
    tokens.key_revoke(actor=request.actor, token=token)
    return done(request, "keys", f"The key “{token.name}” has ended.")


# --- the company's settings ------------------------------------------------------------------------------------------


@page("GET", "POST", needs="admin")
def company_settings(request: PageRequest) -> HttpResponseBase:
    """Retention, caution and quota."""
    if request.method != "POST":
        form = CompanyForm(initial=CompanyForm.initial_of(request.company))
        return render(request, "people/company_settings.html", {"form": form})
    form = CompanyForm(request.POST)
    if form.is_valid():
        try:
            services.company_change(actor=request.actor, **form.changes())
        except ValidationError as error:
            add_errors(form, error)
        else:
            return done(request, "company_settings", "The settings are saved.")
    form_context = {"form": form, "action": reverse("company_settings"), "name": "company-form", "label": "Save"}
    return form_refused(request, "people/company_settings.html", {"form": form}, form_context)
