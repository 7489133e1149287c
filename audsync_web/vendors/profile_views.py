"""Pages of profiles: look one up by identifier, see its tags, erase it by custom id.

What names a person goes by POST, so that no address and no history of a browser holds it.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.people.access import page

from . import profiles
from .connectors.errors import ConnectorError
from .connectors.identifiers import KINDS
from .identity_forms import EraseForm, ProfileForm, add_faults
from .identity_frame import frame, profiling
from .masking import masked
from .models import VendorAccount
from .profiles import FoundProfile
from .removal_views import told


def _desk(request: PageRequest, account: VendorAccount, form: ProfileForm, **more: Any) -> HttpResponse:
    status = more.pop("status", 200)
    context = {"account": account, "form": form, **more}
    if is_fragment(request):
        return render(request, "identity/_profile_desk.html", context, status=status)
    return render(request, "identity/profile.html", context | frame(request, account, "profile"), status=status)


def _form(account: VendorAccount, *args: Any, **kwargs: Any) -> ProfileForm:
    kinds = profiles.lookup_kinds(account)
    return ProfileForm(kinds, *args, **{"initial": {"kind": account.settings.get("identifier")}, **kwargs})


@sensitive_post_parameters()
@page("GET", "POST", needs="manager")
def profile(request: PageRequest, pk: int) -> HttpResponseBase:
    """The profile that has an identifier, and its tags."""
    account = profiling(request, pk)
    if request.method != "POST":
        return _desk(request, account, _form(account))
    form = _form(account, request.POST)
    if not form.is_valid():
        return _desk(request, account, form, status=422)
    try:
        found = profiles.look_up(actor=request.actor, account=account, **form.cleaned_data)
    except ConnectorError as error:
        return _desk(request, account, form, error=error, status=422)
    shown = bool(request.POST.get("shown"))
    context: dict[str, Any] = {"found": found, "shown": shown, "facts": _facts(found, shown)}
    if found.custom_id:
        initial = {"custom_id": found.custom_id}
        context |= {
            "erase": EraseForm(initial=initial, auto_id="erase-%s"),
            "custom_id_shown": masked(found.custom_id),
        }
    return _desk(request, account, form, **context)


def _facts(found: FoundProfile, shown: bool) -> list[tuple[str, str]]:
    if found.profile is None:
        return []
    return [(KINDS[kind].label, value if shown else masked(value)) for kind, value in found.profile.identifiers.items()]


@sensitive_post_parameters()
@page("GET", "POST", needs="manager")
def profile_erase(request: PageRequest, pk: int) -> HttpResponseBase:
    """Erase a profile, once its custom id has been typed again; ends at the receipt."""
    account = profiling(request, pk)
    form = EraseForm(request.POST, auto_id="erase-%s")
    form.is_valid()
    given = form.cleaned_data if request.method == "POST" else {}
    if "custom_id" not in given:
        return redirect("profile", pk=account.pk)
    custom_id = given["custom_id"]
    again = _form(account, initial={"kind": profiles.CUSTOM_ID, "value": custom_id})
    try:
        receipt = profiles.erase(
            actor=request.actor, account=account, custom_id=custom_id, confirm=given.get("confirm", "")
        )
    except ValidationError as faults:
        if not form.errors:
            add_faults(form, faults)
        return _desk(request, account, again, erase=form, custom_id_shown=masked(custom_id), status=422)
    except ConnectorError as error:
        return _desk(request, account, again, error=error, error_title="Nothing was erased", status=422)
    text, level = told(receipt, account)
    return go_to(request, reverse("identity_receipt", args=[account.pk, receipt.number]), text, level=level)
