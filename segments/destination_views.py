"""Pages of a segment's destinations: add one later, remove one, renew one, try one again."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from audsync_web.http import PageRequest, go_to, is_fragment
from audsync_web.people.access import page
from audsync_web.vendors.models import VendorAccount

from . import renewing, services
from .forms import DestinationForm, ReleaseForm, add_faults
from .models import Destination, Segment
from .selectors import accounts_not_used
from .views import do_and_tell, segment_or_404, segment_url
from .wording import removal_warning


@page("GET", "POST", needs="manager")
def destination_new(request: PageRequest, pk: int) -> HttpResponseBase:
    """Choose an account that the segment does not go to yet, and how it is fed."""
    segment = segment_or_404(request, pk)
    accounts = list(accounts_not_used(segment))
    account = _chosen(request, accounts)
    if request.method != "POST" or account is None:
        return _new_page(request, segment, accounts, account, DestinationForm(account) if account else None)
    form = DestinationForm(account, request.POST)
    if form.is_valid():
        try:
            services.destination_add(actor=request.actor, segment=segment, wish=form.wish())
        except (ValidationError, services.SegmentConflict) as error:
            add_faults(form, error if isinstance(error, ValidationError) else ValidationError(str(error)))
        else:
            return go_to(request, segment_url(segment), f"{account.name} is being added.")
    return _new_page(request, segment, accounts, account, form, status=422)


def _chosen(request: PageRequest, accounts: list[VendorAccount]) -> VendorAccount | None:
    given = request.POST.get("account") or request.GET.get("account", "")
    fitting = [account for account in accounts if str(account.pk) == given]
    if request.method == "POST" and not fitting:
        raise Http404
    if fitting:
        return fitting[0]
    return accounts[0] if len(accounts) == 1 else None


def _new_page(
    request: PageRequest,
    segment: Segment,
    accounts: list[VendorAccount],
    account: VendorAccount | None,
    form: DestinationForm | None,
    status: int = 200,
) -> HttpResponse:
    action = reverse("destination_new", args=[segment.pk])
    context: dict[str, Any] = {"segment": segment, "accounts": accounts, "account": account, "form": form}
    template = "segments/_destination_new.html" if is_fragment(request) else "segments/destination_new.html"
    return render(request, template, {**context, "action": action}, status=status)


def _destination(request: PageRequest, pk: int, destination_pk: int) -> Destination:
    segment = segment_or_404(request, pk)
    rows = segment.destinations.current().select_related("vendor_account", "segment__company")
    found: Destination | None = rows.filter(pk=destination_pk).first()
    if found is None:
        raise Http404
    return found


@page("GET", "POST", needs="manager")
def destination_remove(request: PageRequest, pk: int, destination_pk: int) -> HttpResponseBase:
    """Take a destination out of its segment, with the vendor's own choices of what is left behind."""
    destination = _destination(request, pk, destination_pk)
    form = ReleaseForm(destination, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        services.destination_release(actor=request.actor, destination=destination, choice=form.cleaned_data["release"])
        text = f"{destination.vendor_account.name} is being removed from {destination.segment.name}."
        return go_to(request, segment_url(destination.segment), text)
    context = {
        "destination": destination,
        "segment": destination.segment,
        "form": form,
        "warning": removal_warning(destination),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "segments/destination_remove.html", context, status=status)


@page("GET", "POST", needs="manager")
def destination_renew(request: PageRequest, pk: int, destination_pk: int) -> HttpResponseBase:
    """Say what a new segment at the vendor means, then make it."""
    destination = _destination(request, pk, destination_pk)
    if not renewing.can_be_renewed(destination):
        raise Http404
    if request.method != "POST":
        context = {"destination": destination, "segment": destination.segment}
        return render(request, "segments/destination_renew.html", context)
    text = f"A new segment is being made at {destination.vendor_account.name}. Upload the whole list to it."
    return do_and_tell(
        request,
        destination.segment,
        lambda: renewing.destination_renew(actor=request.actor, destination=destination),
        text,
    )


@page("POST", needs="manager")
def left_segment_delete(request: PageRequest, pk: int, destination_pk: int) -> HttpResponseBase:
    """Delete what a new version has replaced at the vendor."""
    segment = segment_or_404(request, pk)
    destination = renewing.left_at_vendors(segment).filter(pk=destination_pk).first()
    if destination is None:
        raise Http404
    text = f"{destination.remote_id} is being deleted at its vendor."
    return do_and_tell(
        request, segment, lambda: renewing.left_segment_delete(actor=request.actor, destination=destination), text
    )


@page("POST", needs="manager")
def destination_retry(request: PageRequest, pk: int, destination_pk: int) -> HttpResponseBase:
    """Try a stopped destination again."""
    segment = segment_or_404(request, pk)
    rows = segment.destinations.exclude(status="released").select_related("vendor_account", "segment__company")
    destination: Destination | None = rows.filter(pk=destination_pk).first()
    if destination is None:
        raise Http404
    text = f"{destination.vendor_account.name} is tried again."
    return do_and_tell(
        request, segment, lambda: services.destination_retry(actor=request.actor, destination=destination), text
    )
