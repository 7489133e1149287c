"""Pages of identity: look up an identifier or an x1Id, and remove an identifier everywhere.

Everything about a person goes by POST, so that no address and no history of a browser holds it.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from audsync_web.exports import csv_response
from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.people.access import page

from . import identity
from .connectors.errors import ConnectorError
from .identity_forms import LookUpForm, OpenForm, RemoveForm, add_faults
from .identity_frame import frame, governed, governed_accounts, governing, home_of
from .identity_selectors import fitting_entries, opened
from .masking import masked
from .models import VendorAccount
from .removal_views import told
from .removals import CountChanged

EXPORT_HEADER = ("identifier", "value", "endpoint")


@page(needs="manager")
def identity_home(request: PageRequest) -> HttpResponseBase:
    """The first account that has an identity page; without one, what to do about that."""
    account = governed_accounts(request).first()
    return redirect(home_of(account)) if account else render(request, "identity/none.html")


@page(needs="manager")
def identity_account(request: PageRequest, pk: int) -> HttpResponseBase:
    """The first page of an account."""
    return redirect(home_of(governed(request, pk)))


def _desk(request: PageRequest, account: VendorAccount, **more: Any) -> HttpResponse:
    """The look-up page: both forms, and what the last of them brought."""
    status = more.pop("status", 200)
    context = {"account": account, "powers": identity.key_powers(account), "look_up": LookUpForm(), "open": OpenForm()}
    context |= more
    if is_fragment(request):
        return render(request, "identity/_desk.html", context, status=status)
    context |= frame(request, account, "identity_look_up")
    return render(request, "identity/look_up.html", context, status=status)


@sensitive_post_parameters()
@page("GET", "POST", needs="manager")
def identity_look_up(request: PageRequest, pk: int) -> HttpResponseBase:
    """The x1Ids that hold an identifier, and from there its removal."""
    account = governing(request, pk)
    if request.method != "POST":
        return _desk(request, account)
    form = LookUpForm(request.POST)
    if not form.is_valid():
        return _desk(request, account, look_up=form, status=422)
    try:
        found = identity.look_up(actor=request.actor, account=account, **form.cleaned_data)
    except ConnectorError as error:
        return _desk(request, account, look_up=form, error=error, status=422)
    return _desk(
        request, account, look_up=form, found=found, remove=_remove_panel(found.name, found.value, found.count)
    )


def _remove_panel(name: str, value: str, count: int, form: RemoveForm | None = None) -> dict[str, Any]:
    initial = {"name": name, "value": value, "expected": count}
    return {
        "name": name,
        "shown": masked(value),
        "count": count,
        "form": form or RemoveForm(initial=initial, auto_id="remove-%s"),
    }


@sensitive_post_parameters()
@page("GET", "POST", needs="manager")
def identity_open(request: PageRequest, pk: int) -> HttpResponseBase:
    """Everything that an x1Id holds: searched, sorted, a page at a time, masked until it is wanted otherwise."""
    account = governing(request, pk)
    if request.method != "POST":
        return redirect("identity_look_up", pk=account.pk)
    form = OpenForm(request.POST)
    form.is_valid()
    if "x1_id" not in form.cleaned_data:
        return _desk(request, account, open=form, status=422)
    wanted = form.cleaned_data
    try:
        found = identity.open_x1id(actor=request.actor, account=account, x1_id=wanted["x1_id"])
    except ConnectorError as error:
        return _desk(request, account, open=form, error=error, status=422)
    person = opened(found, wanted) if found else None
    return _desk(request, account, open=form, person=person, unknown=found is None, wanted=wanted)


@sensitive_post_parameters()
@page("POST", needs="manager")
def identity_export(request: PageRequest, pk: int) -> HttpResponseBase:
    """The identifiers of an x1Id that fit, as CSV with their values; the audit trail says that it was taken."""
    account = governing(request, pk)
    form = OpenForm(request.POST)
    form.is_valid()
    if "x1_id" not in form.cleaned_data:
        return _desk(request, account, open=form, status=422)
    wanted = form.cleaned_data
    try:
        found = identity.open_x1id(actor=request.actor, account=account, x1_id=wanted["x1_id"], purpose="export")
    except ConnectorError as error:
        return _desk(request, account, open=form, error=error, status=422)
    if found is None:
        return _desk(request, account, open=form, unknown=True)
    rows = ((entry.name, entry.value, entry.endpoint_id) for entry in fitting_entries(found, wanted))
    return csv_response("x1id-identifiers.csv", EXPORT_HEADER, rows)


@sensitive_post_parameters()
@page("GET", "POST", needs="manager")
def identity_remove(request: PageRequest, pk: int) -> HttpResponseBase:
    """Remove an identifier everywhere, once its value has been typed again; ends at the receipt."""
    account = governing(request, pk)
    form = RemoveForm(request.POST, auto_id="remove-%s")
    form.is_valid()
    given = form.cleaned_data if request.method == "POST" else {}
    if not {"name", "value", "expected"} <= given.keys():
        return redirect("identity_look_up", pk=account.pk)
    if "confirm" not in given:
        return _unconfirmed(request, account, form)
    try:
        receipt = identity.remove(actor=request.actor, account=account, **given)
    except CountChanged as changed:
        return _shown_anew(request, account, given, changed)
    except ValidationError as faults:
        add_faults(form, faults)
        return _unconfirmed(request, account, form)
    except ConnectorError as error:
        return _desk(
            request, account, look_up=_again(given), error=error, error_title="Nothing was removed", status=422
        )
    text, level = told(receipt, account)
    return go_to(request, reverse("identity_receipt", args=[account.pk, receipt.number]), text, level=level)


def _unconfirmed(request: PageRequest, account: VendorAccount, form: RemoveForm) -> HttpResponse:
    """The removal again, with what is wrong with its confirmation."""
    given = {name: str(form[name].value()) for name in ("name", "value", "expected")}
    panel = _remove_panel(given["name"], given["value"], int(given["expected"]), form)
    return _desk(request, account, look_up=_again(given), remove=panel, status=422)


def _shown_anew(
    request: PageRequest, account: VendorAccount, given: dict[str, Any], changed: CountChanged
) -> HttpResponse:
    """The removal again with the number of people that it would touch by now, to be confirmed anew."""
    form = RemoveForm({**given, "expected": changed.found}, auto_id="remove-%s")
    add_faults(form, changed)
    panel = _remove_panel(given["name"], given["value"], changed.found, form)
    nobody = None if changed.found else identity.Holders(given["name"], given["value"], ())
    return _desk(request, account, look_up=_again(given), found=nobody, remove=panel, status=422)


def _again(given: dict[str, Any]) -> LookUpForm:
    """The look-up form, filled in for another look."""
    return LookUpForm(initial={"name": given["name"], "value": given["value"]})
