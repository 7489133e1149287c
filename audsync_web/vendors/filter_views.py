"""Pages of identity filters: the list with its export, adding, changing and removing one."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.people.access import page

from . import identity
from .connectors.errors import ConnectorError
from .connectors.identity import IdentityFilter
from .identity import FilterExists, FilterMissing, State
from .identity_forms import EFFECTS, FilterForm, FilterListForm
from .identity_frame import frame, governing
from .identity_selectors import fitting_filters
from .models import VendorAccount

EXPORT_HEADER = (
    "identifier",
    "hidden from every destination",
    "hidden from this endpoint",
    "endpoint",
    "filter id",
    "effect",
)
TAB = "identity_filters"


def _url(account: VendorAccount) -> str:
    return reverse(TAB, args=[account.pk])


def _read(request: PageRequest, account: VendorAccount) -> dict[str, Any]:
    """The vendor's list now, or why there is none."""
    form = FilterListForm(request.GET)
    form.is_valid()
    wanted = form.cleaned_data
    context: dict[str, Any] = {"filtered": bool(wanted.get("q") or wanted.get("effect")), "account": account}
    if not identity.key_powers(account).is_endpoint_key:
        return {**context, "filters": [], "needs_endpoint_key": True}
    try:
        found = identity.filters_of(actor=request.actor, account=account)
    except ConnectorError as error:
        return {**context, "filters": [], "error": error}
    return {**context, "filters": fitting_filters(found, wanted), "total": len(found)}


def _list_page(request: PageRequest, account: VendorAccount, **more: Any) -> HttpResponse:
    status = more.pop("status", 200)
    export, query = reverse("identity_filters_export", args=[account.pk]), request.GET.urlencode()
    context = {
        "form": FilterForm(),
        "effects": EFFECTS[1:],
        "chosen": request.GET,
        "export_url": f"{export}?{query}" if query else export,
        **_read(request, account),
        **frame(request, account, TAB),
        **more,
    }
    return render(request, "identity/filters.html", context, status=status)


@page(needs="manager")
def identity_filters(request: PageRequest, pk: int) -> HttpResponseBase:
    """The filters of the key's endpoint, as the vendor holds them now."""
    account = governing(request, pk)
    if is_fragment(request):
        return render(request, "identity/_filter_rows.html", _read(request, account))
    return _list_page(request, account)


@page(needs="manager")
def identity_filters_export(request: PageRequest, pk: int) -> HttpResponseBase:
    """The filters that fit, as CSV."""
    account = governing(request, pk)
    read = _read(request, account)
    if read.get("error") or read.get("needs_endpoint_key"):
        return redirect(_url(account))
    return csv_response("identity-filters.csv", EXPORT_HEADER, (_cells(held) for held in read["filters"]))


def _cells(held: IdentityFilter) -> tuple[str, ...]:
    flags = ("yes" if held.publish else "no", "yes" if held.subscribe else "no")
    return (held.identifier_name, *flags, held.endpoint_id, held.filter_id, held.effect)


def _save(request: PageRequest, account: VendorAccount, form: FilterForm, when: State) -> ConnectorError | bool:
    """True when saved; False with the form's faults; or what the vendor said."""
    if not form.is_valid():
        return False
    given = form.cleaned_data
    try:
        identity.filter_save(actor=request.actor, account=account, when=when, **given)
    except FilterExists:
        form.add_error("name", f"{given['name']} has a filter already. Change that one in the list.")
        return False
    except FilterMissing:
        form.add_error(None, f"{given['name']} has no filter any more. Add one instead.")
        return False
    except ConnectorError as error:
        return error
    return True


@page("GET", "POST", needs="manager")
def identity_filter_add(request: PageRequest, pk: int) -> HttpResponseBase:
    """Add a filter."""
    account = governing(request, pk)
    if request.method != "POST":
        return redirect(_url(account))
    form = FilterForm(request.POST)
    outcome = _save(request, account, form, "absent")
    if outcome is True:
        return go_to(request, _url(account), f"The filter for {form.cleaned_data['name']} holds from now on.")
    error = outcome if isinstance(outcome, ConnectorError) else None
    if is_fragment(request):
        context = {"account": account, "form": form, "error": error}
        return render(request, "identity/_filter_add.html", context, status=422)
    return _list_page(request, account, form=form, save_error=error, status=422)


@page("GET", "POST", needs="manager")
def identity_filter_change(request: PageRequest, pk: int) -> HttpResponseBase:
    """Change one filter; its identifier's name stands in the address, which names no person."""
    account = governing(request, pk)
    if request.method != "POST":
        return _change_page(request, account, *_stored(request, account))
    form = FilterForm(request.POST, fixed=True)
    outcome = _save(request, account, form, "present")
    if outcome is True:
        return go_to(request, _url(account), f"The filter for {form.cleaned_data['name']} is changed from now on.")
    return _change_page(request, account, form, outcome if isinstance(outcome, ConnectorError) else None, status=422)


def _stored(request: PageRequest, account: VendorAccount) -> tuple[FilterForm | None, ConnectorError | None]:
    """The form of the filter that the address names; None with the error where it cannot be read."""
    name = request.GET.get("name", "")
    try:
        held = identity.filter_of(actor=request.actor, account=account, name=name)
    except FilterMissing:
        return None, None
    except ConnectorError as error:
        return None, error
    flags = {"publish": held.publish, "subscribe": held.subscribe}
    return FilterForm(initial={"name": held.identifier_name, **flags}, fixed=True), None


def _change_page(
    request: PageRequest,
    account: VendorAccount,
    form: FilterForm | None,
    error: ConnectorError | None,
    status: int = 200,
) -> HttpResponse:
    context = {
        **frame(request, account, TAB),
        "form": form,
        "error": error,
        "name": form["name"].value() if form else "",
    }
    return render(request, "identity/filter_change.html", context, status=status if form or error else 404)


@page("POST", needs="manager")
def identity_filter_remove(request: PageRequest, pk: int) -> HttpResponseBase:
    """Remove one filter, so that the identifier passes again."""
    account = governing(request, pk)
    name = request.POST.get("name", "")
    try:
        removed = identity.filter_remove(actor=request.actor, account=account, name=name)
    except ConnectorError as error:
        return _list_page(request, account, save_error=error, status=422)
    gone = f"The filter for {name} is removed: the identifier passes again from now on."
    return go_to(request, _url(account), gone if removed else f"The filter for {name} was gone already.")
