"""Forms of segments and destinations. They read what was typed; the services decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundField

from audsync_web.vendors.connectors.errors import InvalidConfiguration
from audsync_web.vendors.connectors.fields import read_values
from audsync_web.vendors.connectors.registry import VENDOR_CHOICES
from audsync_web.vendors.forms import form_field, shown_value
from audsync_web.vendors.models import VendorAccount

from .models import LONGEST_DURATION_DAYS, Destination, SegmentStatus
from .selectors import EVERYTHING, ORDERS
from .services import SEGMENT_TYPES, DestinationWish, identifier_label, release_choices

LARGEST_ID = 2**63 - 1
# The services speak the API's words.
FORM_NAMES = {"durationDays": "duration_days"}


class SegmentFilterForm(forms.Form):
    """What of the list is wanted. A value that fits nothing is ignored, never an error page."""

    q = forms.CharField(required=False, max_length=255)
    status = forms.ChoiceField(required=False, choices=[*SegmentStatus.choices, (EVERYTHING, EVERYTHING)])
    vendor = forms.ChoiceField(required=False, choices=VENDOR_CHOICES)
    account = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID)
    sort = forms.ChoiceField(required=False, choices=[(key, key) for key in ORDERS])


class SegmentForm(forms.Form):
    """A segment's own facts."""

    name = forms.CharField(
        label="Name",
        max_length=255,
        help_text="As vendors and colleagues will see it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    duration_days = forms.IntegerField(
        label="Members stay for (days)",
        initial=365,
        min_value=1,
        max_value=LONGEST_DURATION_DAYS,
        help_text="Counted from the upload that brings them. Where a vendor allows less, AudSync renews them in time.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    type = forms.ChoiceField(label="Type", choices=[(key, key.capitalize()) for key in SEGMENT_TYPES])


class RenameForm(forms.Form):
    """Another name for a segment."""

    name = forms.CharField(label="Name", max_length=255, widget=forms.TextInput(attrs={"autocomplete": "off"}))


class DestinationForm(forms.Form):
    """One vendor account as a destination: whether, by which identifier, and the vendor's own options."""

    use = forms.BooleanField(required=False)
    identifier = forms.ChoiceField(label="Members are named by", required=False)
    remote_id = forms.CharField(
        label="Existing segment's id at the vendor",
        max_length=120,
        required=False,
        help_text="Left empty, AudSync makes a new segment. Who is in an existing one is not known to AudSync.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, account: VendorAccount, data: Any = None, *, use: bool = True) -> None:
        declared = account.connector.destination_fields
        initial = {f"option_{field.name}": shown_value(field.default) for field in declared}
        initial |= {"use": use, "identifier": account.settings.get("identifier")}
        super().__init__(data, prefix=f"account-{account.pk}", initial=initial)
        self.account = account
        identifier: Any = self.fields["identifier"]
        identifier.choices = [(kind, identifier_label(kind)) for kind in account.connector.identifier_rules]
        if not account.connector.capabilities.links_existing:
            del self.fields["remote_id"]
        for field in declared:
            self.fields[f"option_{field.name}"] = form_field(field, stored=False)

    @property
    def options(self) -> list[BoundField]:
        """Everything but the choice whether, for the page."""
        return [bound for bound in self if bound.name != "use"]

    @property
    def longest_days(self) -> int | None:
        """The longest that a member stays at this vendor; None where it is no shorter than our own longest."""
        longest = self.account.connector.capabilities.longest_days
        return longest if longest and longest < LONGEST_DURATION_DAYS else None

    @property
    def renews(self) -> bool:
        """Whether AudSync sends members again before they end there."""
        return self.account.connector.capabilities.expires

    @property
    def fed_with(self) -> str:
        """The identifier as it stands, for people."""
        return identifier_label(str(self["identifier"].value()))

    @property
    def is_used(self) -> bool:
        """Whether the account is ticked, or was ticked when the form was sent."""
        return bool(self["use"].value())

    @property
    def is_open(self) -> bool:
        """Whether the folded part must be seen."""
        return bool(self.errors) if self.is_bound else False

    def clean_remote_id(self) -> str:
        """An id is printable text."""
        text: str = self.cleaned_data["remote_id"].strip()
        if not text.isprintable():
            raise ValidationError("must be one line of printable characters")
        return text

    def clean(self) -> dict[str, Any]:
        """The vendor's options as its connector declares them."""
        values = super().clean() or {}
        declared = self.account.connector.destination_fields
        given = {field.name: values.get(f"option_{field.name}") for field in declared}
        try:
            read = read_values(declared, "settings", given)
        except InvalidConfiguration as faults:
            for name, line in faults.errors.items():
                self.add_error(f"option_{name}", line)
            return values
        values["options"] = {name: value for name, value in read.items() if value is not None}
        return values

    def wish(self) -> DestinationWish:
        """The destination that was asked for."""
        return DestinationWish(
            vendor_account=self.account,
            identifier=self.cleaned_data.get("identifier") or "",
            remote_id=self.cleaned_data.get("remote_id") or "",
            options=self.cleaned_data["options"],
        )


class NewSegment:
    """The forms of one new segment: its own, and one for each vendor account that it can go to."""

    def __init__(self, accounts: Sequence[VendorAccount], data: Any = None) -> None:
        self.segment = SegmentForm(data)
        self.destinations = [DestinationForm(account, data, use=account.is_working) for account in accounts]

    @property
    def used(self) -> list[DestinationForm]:
        """Those that are ticked."""
        return [form for form in self.destinations if form.is_used]

    def is_valid(self) -> bool:
        """Whether all that counts can be read; every fault is on its form afterwards."""
        valid = [self.segment.is_valid(), *(form.is_valid() for form in self.used)]
        if not self.used:
            self.segment.add_error(None, "Choose at least one vendor account that the segment goes to.")
        return all(valid) and bool(self.used)

    def values(self) -> dict[str, Any]:
        """What was entered, as `segment_create` takes it."""
        return {**self.segment.cleaned_data, "destinations": [form.wish() for form in self.used]}


class ReleaseForm(forms.Form):
    """What is done at the vendor when a destination is removed."""

    release = forms.ChoiceField(label="At the vendor", widget=forms.RadioSelect)

    def __init__(self, destination: Destination, data: Any = None) -> None:
        super().__init__(data)
        choices = [(choice.key, choice.label) for choice in release_choices(destination)]
        field: Any = self.fields["release"]
        field.choices = choices
        field.initial = choices[0][0]


def add_faults(form: forms.Form, error: ValidationError) -> None:
    """Put a service's refusal onto the form: at its field where the form has it, else above all fields."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, faults in error.error_dict.items():
        key = FORM_NAMES.get(name, name)
        form.add_error(key if key in form.fields else None, [*faults])
