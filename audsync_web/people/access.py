"""Who may open a page, and which rows they may see."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, cast

from django.contrib.auth.views import redirect_to_login
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from audsync_web.http import PageRequest

P = ParamSpec("P")
M = TypeVar("M", bound=models.Model)
View = Callable[Concatenate[PageRequest, P], HttpResponseBase]
AnyView = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
Needs = Literal["member", "manager", "admin"]
# In the head of a poll's 403: nobody is logged in. Without it a role is refused. static/js/app.js reads it.
LOGGED_OUT = "X-AudSync-Logged-Out"


def page(*methods: str, needs: Needs = "member", poll: bool = False) -> Callable[[View[P]], AnyView[P]]:
    """Open a view to people who stand in a company, by these methods (GET when none is named; HEAD comes with GET).

    Anonymous: the login page (htmx is told to go there; a `poll` gets 403 that says so in its head, so that the page
    can tell it where it stands). In no company: a page that says so. A role that `needs` more: `NotAllowed`, 403.
    """
    allowed = {method.upper() for method in methods} or {"GET"}
    if "GET" in allowed:
        allowed.add("HEAD")

    def decorate(view: View[P]) -> AnyView[P]:
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method not in allowed:
                return HttpResponseNotAllowed(sorted(allowed))
            refusal = _refusal(request, poll)
            if refusal is not None:
                return refusal
            known = cast("PageRequest", request)
            _require(known, needs)
            response = view(known, *args, **kwargs)
            # One URL has two bodies, and none of them belongs into a shared cache or survives a log-out.
            patch_vary_headers(response, ["HX-Request", "Cookie"])
            response.headers.setdefault("Cache-Control", "no-store, private")
            return response

        update_wrapper(guarded, view)
        return guarded

    return decorate


def _refusal(request: HttpRequest, poll: bool) -> HttpResponseBase | None:
    if not request.user.is_authenticated:
        return login_wanted(request, poll=poll)
    if getattr(request, "actor", None) is None:
        return render(request, "people/no_company.html", status=403)
    return None


def login_wanted(request: HttpRequest, *, poll: bool = False) -> HttpResponseBase:
    """The answer to somebody who is not logged in."""
    if poll:
        return HttpResponse("You are logged out.", status=403, content_type="text/plain", headers={LOGGED_OUT: "1"})
    htmx = getattr(request, "htmx", None)
    if htmx:
        back = htmx.current_url_abs_path or "/"
        return HttpResponseClientRedirect(redirect_to_login(back).url)
    # A form that was sent cannot be sent again after the login: go to the start instead.
    back = request.get_full_path() if request.method in {"GET", "HEAD"} else home_url()
    return redirect_to_login(back)


def home_url() -> str:
    """Where somebody who has just logged in goes: the overview, or their account while there is none."""
    try:
        return reverse("overview")
    except NoReverseMatch:
        return reverse("account")


def _require(request: PageRequest, needs: Needs) -> None:
    if needs == "manager":
        request.actor.require_manager()
    elif needs == "admin":
        request.actor.require_admin()


def get_visible_or_404(rows: models.QuerySet[M] | type[M], company: Any, **lookup: Any) -> M:
    """The one row of `company` that fits, else 404: what belongs to others does not exist.

    `rows` is a model or queryset; with a `visible_to(company)` of its own that decides, else its `company` column.
    A lookup that the column cannot even hold (a word for a number) is 404, too.
    """
    queryset: Any = rows._default_manager.all() if isinstance(rows, type) else rows
    visible = queryset.visible_to(company) if hasattr(queryset, "visible_to") else queryset.filter(company=company)
    try:
        found: M | None = visible.filter(**lookup).first()
    except (ValueError, TypeError, OverflowError):
        found = None
    if found is None:
        raise Http404("Nothing is here.")
    return found
