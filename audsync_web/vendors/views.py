"""Pages of vendor accounts: the list, connecting one, and one account with what can be done about it."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.people.access import get_visible_or_404, page

from . import services
from .abilities import abilities, vendor_choices
from .connectors.errors import ConnectorError, InvalidConfiguration
from .connectors.registry import VENDORS, connector_class
from .forms import AccountForm, RenameForm, shown_value
from .identity_frame import has_page, home_of
from .models import AccountStatus, VendorAccount
from .selectors import destinations_of, has_destinations, quotas_in_use, standing, with_pressure

DESTINATIONS_SHOWN = 50


def _account(request: PageRequest, pk: int) -> VendorAccount:
    return get_visible_or_404(VendorAccount, request.company, pk=pk)


def _url(account: VendorAccount) -> str:
    return reverse("vendor_account", args=[account.pk])


# --- connect ---------------------------------------------------------------------------------------------------------


@sensitive_post_parameters()
@page("GET", "POST", needs="manager")
def account_new(request: PageRequest) -> HttpResponseBase:
    """Choose a vendor, fill in what its connector declares; saved when a live call has proved it."""
    vendor = request.POST.get("vendor") or request.GET.get("vendor", "")
    if vendor not in VENDORS:
        return render(request, "vendors/new.html", {"vendors": vendor_choices()})
    connector = connector_class(vendor)
    if request.method != "POST":
        return _connect_page(request, vendor, AccountForm(connector))
    form, error = AccountForm(connector, request.POST), None
    if form.is_valid():
        try:
            account = services.account_connect(actor=request.actor, vendor=vendor, **_given(form))
        except InvalidConfiguration as faults:
            form.add_faults(faults)
        except ConnectorError as refusal:
            error = refusal
        else:
            return go_to(request, _url(account), f"{account.name} is connected. {account.check_text}")
    form.ask_for_secrets_again()
    return _connect_page(request, vendor, form, error=error, status=422)


def _connect_page(request: PageRequest, vendor: str, form: AccountForm, **more: Any) -> HttpResponse:
    status = more.pop("status", 200)
    context = {"vendors": vendor_choices(), "vendor": vendor, "form": form}
    context |= {"abilities": abilities(connector_class(vendor)), "action": reverse("vendor_account_new"), **more}
    template = "vendors/_connect.html" if is_fragment(request) else "vendors/new.html"
    return render(request, template, context, status=status)


def _given(form: AccountForm) -> dict[str, Any]:
    return {
        "name": form.cleaned_data["name"],
        "base_url": form.cleaned_data["base_url"],
        "credentials": form.values("credentials"),
        "settings": form.values("settings"),
    }


# --- one account -----------------------------------------------------------------------------------------------------


@page()
def account_one(request: PageRequest, pk: int) -> HttpResponseBase:
    """One account: health, limits in use, who uses it, what its vendor can do."""
    account = get_visible_or_404(with_pressure(VendorAccount.objects.all()), request.company, pk=pk)
    used_by = destinations_of(account, DESTINATIONS_SHOWN)
    context = {
        **_health_context(account),
        "quotas": quotas_in_use(account),
        "destinations": used_by[:DESTINATIONS_SHOWN],
        "has_more_destinations": len(used_by) > DESTINATIONS_SHOWN,
        "abilities": abilities(account.connector),
        "identity_url": home_of(account) if has_page(account) else "",
        "facts": _settings_facts(account) if request.actor.manages else [],
    }
    return render(request, "vendors/account.html", context)


def _health_context(account: VendorAccount) -> dict[str, Any]:
    return {"account": account, "standing": standing(account), "capabilities": account.connector.capabilities}


def _settings_facts(account: VendorAccount) -> list[tuple[str, Any]]:
    """Settings that differ from the vendor's usual ones or have none; secrets only as being there."""
    facts: list[tuple[str, Any]] = [("API address", account.base_url)]
    for declared in account.connector.fields:
        stored = account.credentials if declared.group == "credentials" else account.settings
        value = stored.get(declared.name)
        if declared.secret:
            facts.append((declared.label, "Stored, never shown" if value else "Not set"))
        elif value not in (None, "", []) and not (declared.advanced and value == declared.default):
            facts.append((declared.label, _in_words(value, dict(declared.choices))))
    return facts


def _in_words(value: Any, choices: dict[str, str]) -> Any:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return choices.get(str(value), shown_value(value))


@page(poll=True)
def account_health(request: PageRequest, pk: int) -> HttpResponseBase:
    """The health of one account as a part of its page; asks again by itself while a check runs."""
    account = get_visible_or_404(with_pressure(VendorAccount.objects.all()), request.company, pk=pk)
    return render(request, "vendors/_health.html", _health_context(account))


@page("POST", needs="manager")
def account_check(request: PageRequest, pk: int) -> HttpResponseBase:
    """Look now, by a harmless call, whether the vendor takes the credentials."""
    account = services.account_check(actor=request.actor, account=_account(request, pk))
    if not is_fragment(request):
        return redirect(_url(account))
    account = get_visible_or_404(with_pressure(VendorAccount.objects.all()), request.company, pk=pk)
    return render(request, "vendors/_health.html", _health_context(account))


@sensitive_post_parameters()
@page("GET", "POST", needs="manager")
def account_change(request: PageRequest, pk: int) -> HttpResponseBase:
    """Another name, address, credentials or settings; what was entered is proved by a live call before it is saved."""
    account = _account(request, pk)
    if request.method != "POST":
        return _change_page(request, account, AccountForm(account.connector, account=account))
    form, error = AccountForm(account.connector, request.POST, account=account), None
    if form.is_valid():
        try:
            services.account_change(actor=request.actor, account=account, **_given(form))
        except InvalidConfiguration as faults:
            form.add_faults(faults)
        except ConnectorError as refusal:
            error = refusal
        else:
            return go_to(request, _url(account), f"{account.name} is saved.")
    form.ask_for_secrets_again()
    return _change_page(request, _account(request, pk), form, error=error, status=422)


def _change_page(request: PageRequest, account: VendorAccount, form: AccountForm, **more: Any) -> HttpResponse:
    status = more.pop("status", 200)
    action = reverse("vendor_account_change", args=[account.pk])
    context = {"account": account, "form": form, "action": action, **more}
    template = "vendors/_account_form.html" if is_fragment(request) else "vendors/change.html"
    return render(request, template, context, status=status)


@page("GET", "POST", needs="manager")
def account_rename(request: PageRequest, pk: int) -> HttpResponseBase:
    """Another name and nothing else: the vendor is not asked."""
    account = _account(request, pk)
    form = RenameForm(request.POST or None, initial={"name": account.name})
    if request.method == "POST" and form.is_valid():
        try:
            services.account_change(actor=request.actor, account=account, name=form.cleaned_data["name"])
        except InvalidConfiguration as faults:
            form.add_error("name", "; ".join(faults.errors.values()))
        else:
            return go_to(request, _url(account), f"The account is called {account.name} now.")
    stored = _account(request, pk)
    status = 422 if request.method == "POST" else 200
    return render(request, "vendors/rename.html", {"account": stored, "form": form}, status=status)


@page("POST", needs="manager")
def account_pause(request: PageRequest, pk: int) -> HttpResponseBase:
    """Hold the account's jobs."""
    account = services.account_pause(actor=request.actor, account=_account(request, pk))
    return go_to(request, _url(account), f"{account.name} is paused. Its jobs wait, and nothing is lost.")


@page("POST", needs="manager")
def account_resume(request: PageRequest, pk: int) -> HttpResponseBase:
    """Let the account's jobs go on, after a look whether it works."""
    account = services.account_resume(actor=request.actor, account=_account(request, pk))
    works = account.status == AccountStatus.OK
    text = "works again; its jobs go on by themselves" if works else "is resumed, and needs attention"
    return go_to(request, _url(account), f"{account.name} {text}.")


@page("GET", "POST", needs="manager")
def account_disconnect(request: PageRequest, pk: int) -> HttpResponseBase:
    """Forget an account that no segment uses; one in use is paused instead, and the page says so first."""
    account = _account(request, pk)
    in_use = has_destinations(account)
    if request.method != "POST":
        return render(request, "vendors/disconnect.html", {"account": account, "in_use": in_use})
    services.account_disconnect(actor=request.actor, account=account, has_destinations=in_use)
    if in_use:
        return go_to(request, _url(account), f"{account.name} is paused, because segments use it.")
    return go_to(request, reverse("vendor_accounts"), f"{account.name} is disconnected; its credentials are deleted.")


def account_or_404(request: PageRequest, pk: int, *, needs_history: bool = False) -> VendorAccount:
    """The account, for the modules beside this one; 404 where its vendor lists nothing and a list is wanted."""
    account = _account(request, pk)
    if needs_history and not account.connector.capabilities.history:
        raise Http404
    return account
