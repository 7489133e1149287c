"""Forms of the identity and profile pages. Values of people are never rendered into an address, only into the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from .identity import LONGEST_NAME, LONGEST_VALUE, filter_checked
from .removals import UNCONFIRMED

PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
EFFECTS = (("", "Any"), ("everywhere", "Hidden from every destination"), ("here", "Hidden from this endpoint only"))
FILTER_ORDERS = ("name", "-name")


def _text(label: str, longest: int, help_text: str = "", **attrs: Any) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=longest, help_text=help_text, widget=forms.TextInput(attrs={**PLAIN, **attrs})
    )


class LookUpForm(forms.Form):
    """An identifier: its name and value."""

    name = _text(
        "Identifier name",
        LONGEST_NAME,
        "Exactly as it was registered in Exchange, letter case included.",
    )
    value = _text("Value", LONGEST_VALUE, "It goes to Exchange and nowhere else: no address, no log, no history.")


class OpenForm(forms.Form):
    """An x1Id to open, and which of its identifiers to show. What does not fit the list is ignored, never an error."""

    x1_id = _text("x1Id", LONGEST_VALUE, "Exchange's own number of one person.")
    q = forms.CharField(required=False, max_length=LONGEST_VALUE, strip=True)
    kind = forms.CharField(required=False, max_length=LONGEST_NAME)
    sort = forms.ChoiceField(required=False, choices=[("", "Name"), ("value", "Value"), ("endpoint", "Endpoint")])
    page = forms.IntegerField(required=False, min_value=1, max_value=1000)
    shown = forms.BooleanField(required=False)


class RemoveForm(forms.Form):
    """A removal: what, how many were shown, and the value typed again."""

    name = forms.CharField(max_length=LONGEST_NAME, widget=forms.HiddenInput)
    value = forms.CharField(max_length=LONGEST_VALUE, widget=forms.HiddenInput)
    expected = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    confirm = forms.CharField(
        label="Type the value to confirm",
        max_length=LONGEST_VALUE,
        error_messages={"required": UNCONFIRMED},
        widget=forms.TextInput(attrs=PLAIN),
    )


class FilterForm(forms.Form):
    """One identity filter. Both flags off would filter nothing, and is refused in words."""

    name = _text(
        "Identifier name",
        LONGEST_NAME,
        "Exactly as it was registered in Exchange, letter case included; Acoustic advises lower case.",
    )
    publish = forms.BooleanField(
        label="Hide it from every destination",
        required=False,
        help_text="Exchange goes on accepting the identifier from sources, and passes it to nobody.",
    )
    subscribe = forms.BooleanField(
        label="Hide it from this endpoint",
        required=False,
        help_text="Exchange goes on accepting it, and passes it to others but not to this endpoint.",
    )

    def __init__(self, *args: Any, fixed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if fixed:
            self.fields["name"].widget = forms.HiddenInput()

    def clean(self) -> dict[str, Any]:
        """Both flags together."""
        given = super().clean() or {}
        if "name" in given:
            try:
                filter_checked(given["name"], publish=given["publish"], subscribe=given["subscribe"])
            except ValidationError as faults:
                add_faults(self, faults)
        return given


class FilterListForm(forms.Form):
    """Which filters of the list are wanted. A value that fits nothing is ignored."""

    q = forms.CharField(required=False, max_length=LONGEST_NAME)
    effect = forms.ChoiceField(required=False, choices=EFFECTS)
    sort = forms.ChoiceField(required=False, choices=[(order, order) for order in FILTER_ORDERS])


class ProfileForm(forms.Form):
    """A profile's identifier: its kind and value."""

    kind = forms.ChoiceField(label="Identifier")
    value = _text("Value", LONGEST_VALUE, "It goes to the vendor and nowhere else: no address of ours, no log.")

    def __init__(self, kinds: Sequence[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"] = forms.ChoiceField(label="Identifier", choices=list(kinds))


class EraseForm(forms.Form):
    """A profile to erase, and its custom id typed again."""

    custom_id = forms.CharField(max_length=LONGEST_VALUE, widget=forms.HiddenInput)
    confirm = forms.CharField(
        label="Type the custom id to confirm",
        max_length=LONGEST_VALUE,
        error_messages={"required": UNCONFIRMED},
        widget=forms.TextInput(attrs=PLAIN),
    )


def add_faults(form: forms.Form, faults: ValidationError) -> None:
    """Put a refusal onto a form: at its field where the form has it, else above all fields."""
    for name, lines in faults.message_dict.items():
        at = name if name in form.fields and name != NON_FIELD_ERRORS else None
        for line in lines:
            form.add_error(at, line)
