"""Logging in and out, joining by invitation, changing the company."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login, logout
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from audsync_web.errors import too_many_tries
from audsync_web.http import PageRequest, client_address
from audsync_web.templatetags.formats import format_duration

from . import audit, services
from .access import home_url, page
from .forms import JoinForm, LoginForm, add_errors
from .logins import WRONG_PAIR, login_check
from .middleware import SESSION_COMPANY, place
from .models import Company, Invitation, User
from .throttle import TooManyTries, count_try, forgive

CODE_SCOPE = "invitation"


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request: HttpRequest) -> HttpResponseBase:
    """The login page. A wrong pair is 422 and does not say which half was wrong."""
    wanted = _safe_next(request)
    if request.user.is_authenticated and request.method != "POST":
        return redirect(wanted or home_url())
    form = LoginForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = login_check(
                email=form.cleaned_data["username"],
                password=form.cleaned_data["password"],
                address=client_address(request),
            )
        except TooManyTries as wait:
            return too_many_tries(request, wait.seconds, format_duration(wait.seconds))
        if user is not None:
            _enter(request, user)
            return redirect(wanted or home_url())
        form.add_error(None, WRONG_PAIR)
    status = 422 if form.errors else 200
    return render(request, "people/login.html", {"form": form, "next": wanted}, status=status)


def _safe_next(request: HttpRequest) -> str:
    """Where the person wanted to go: a path of this site, or nowhere."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else ""


def _enter(request: HttpRequest, user: User, company: Company | None = None) -> None:
    """Log `user` in under a new session key, standing in `company` or the first of theirs."""
    login(request, user, backend="audsync_web.people.backends.PeopleBackend")
    if company is not None:
        request.session[SESSION_COMPANY] = company.slug
    place(request, user)
    actor = getattr(request, "actor", None)
    if actor is not None:
        audit.record(actor, "person.login", user)


@require_POST
def log_out(request: HttpRequest) -> HttpResponseBase:
    """End the session. Safe to send twice."""
    actor = getattr(request, "actor", None)
    if actor is not None and actor.user is not None:
        audit.record(actor, "person.logout", actor.user)
    logout(request)
    return redirect("login")


@page("POST")
def company_switch(request: PageRequest) -> HttpResponseBase:
    """Stand in another company of one's own; 404 for any other."""
    slug = request.POST.get("company", "")
    if not any(membership.company.slug == slug for membership in request.memberships):
        raise Http404
    request.session[SESSION_COMPANY] = slug
    return redirect(home_url())


@never_cache
@sensitive_post_parameters("password", "code")
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest) -> HttpResponseBase:
    """Accept an invitation with its code. The code is typed, not part of a URL that logs and histories keep."""
    form = JoinForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            answer = _join(request, form)
        except TooManyTries as wait:
            return too_many_tries(request, wait.seconds, format_duration(wait.seconds))
        if answer is not None:
            return answer
    return render(request, "people/join.html", {"form": form}, status=422 if form.errors else 200)


def _join(request: HttpRequest, form: JoinForm) -> HttpResponse | None:
    address = client_address(request)
    count_try(address, CODE_SCOPE)
    invitation = services.invitation_find(form.cleaned_data["code"])
    if invitation is None:
        form.add_error("code", "This code is wrong, used, or older than seven days. Ask for a new invitation.")
        return None
    try:
        user = _accept(invitation, form, address)
    except ValidationError as error:
        add_errors(form, error)
        return None
    forgive(address, CODE_SCOPE)
    _enter(request, user, invitation.company)
    messages.success(request, f"You are in {invitation.company.name} now.")
    return redirect(home_url())


def _accept(invitation: Invitation, form: JoinForm, address: str | None) -> User:
    # A code must not become a way to try passwords of the invited person without end.
    count_try(address, invitation.email)
    user, _ = services.invitation_accept(
        invitation=invitation, password=form.cleaned_data["password"], name=form.cleaned_data["name"], address=address
    )
    forgive(address, invitation.email)
    return user
