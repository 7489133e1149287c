"""Forms of people and companies. They read what was typed; the services decide."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from .models import Company, Role

GIGABYTE = 1_000_000_000
GOOD_SECRETS = "At least 10 characters; a few words are easier to keep than a riddle."
KEY_LIFETIMES = [("", "No end"), ("30", "30 days"), ("90", "90 days"), ("365", "One year")]


class LoginForm(forms.Form):
    """E-mail and password."""

    username = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class JoinForm(forms.Form):
    """An invitation's code, and the password that goes with it."""

    code = forms.CharField(
        label="Invitation code",
        max_length=100,
        help_text="The admin who invited you has it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    name = forms.CharField(
        label="Your name",
        max_length=120,
        required=False,
        help_text="Left empty, your e-mail address is shown.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=1024,
        help_text=f"{GOOD_SECRETS} If you have a login here already, enter its password.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class NameForm(forms.Form):
    """The name a person is shown under."""

    name = forms.CharField(
        label="Name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )


class PasswordForm(forms.Form):
    """The present password and a new one."""

    old = forms.CharField(
        label="Present password",
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="New password",
        strip=False,
        max_length=1024,
        help_text=GOOD_SECRETS,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class InviteForm(forms.Form):
    """Whom to invite, as what."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.MARKETER)


class RoleForm(forms.Form):
    """Another role."""

    role = forms.ChoiceField(label="Role", choices=Role.choices)


class KeyForm(forms.Form):
    """An API key's name and life."""

    name = forms.CharField(label="Name", max_length=80, help_text="Say what will use it: “nightly export”.")
    days = forms.TypedChoiceField(
        label="Ends after", choices=KEY_LIFETIMES, coerce=int, empty_value=None, required=False
    )


class CompanyForm(forms.Form):
    """Retention, caution and quota, in the units people think in."""

    name = forms.CharField(label="Company name", max_length=120)
    keep_originals_days = forms.IntegerField(
        label="Keep uploaded files (days)", min_value=0, max_value=3650, help_text="The files as they were uploaded."
    )
    delete_originals_when_confirmed = forms.BooleanField(
        label="Delete an uploaded file as soon as every vendor has confirmed it", required=False
    )
    keep_reports_days = forms.IntegerField(
        label="Keep reports of rejected rows (days)",
        min_value=0,
        max_value=3650,
        help_text="They hold the rows that were refused.",
    )
    keep_snapshots_days = forms.IntegerField(
        label="Keep superseded memberships (days)",
        min_value=0,
        max_value=3650,
        help_text="For as long as this a delivery can be undone. What a vendor holds now is always kept.",
    )
    max_removed_percent = forms.FloatField(
        label="Ask again when a file removes more than (%)",
        min_value=0,
        max_value=100,
        help_text="The share of a segment's members that one upload may take out without a second question.",
    )
    max_stored_gigabytes = forms.FloatField(
        label="Space for uploaded files (GB)",
        min_value=0.001,
        max_value=1_000_000,
        required=False,
        help_text="Empty means without limit.",
    )

    @staticmethod
    def initial_of(company: Company) -> dict[str, Any]:
        """The company's present settings as the form shows them."""
        stored = company.max_stored_bytes
        plain = (
            "name",
            "keep_originals_days",
            "keep_reports_days",
            "keep_snapshots_days",
            "delete_originals_when_confirmed",
        )
        return {
            **{name: getattr(company, name) for name in plain},
            "max_removed_percent": f"{company.max_removed_share * 100:g}",
            "max_stored_gigabytes": None if stored is None else f"{stored / GIGABYTE:g}",
        }

    def changes(self) -> dict[str, Any]:
        """What was entered, as `company_change` takes it."""
        values = dict(self.cleaned_data)
        gigabytes = values.pop("max_stored_gigabytes")
        values["max_removed_share"] = values.pop("max_removed_percent") / 100
        values["max_stored_bytes"] = None if gigabytes is None else int(gigabytes * GIGABYTE)
        return values


class AuditFilterForm(forms.Form):
    """What of the audit trail is wanted. A value that fits nothing is ignored, never an error page."""

    person = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    action = forms.CharField(required=False, max_length=60)
    object = forms.CharField(required=False, max_length=100)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)


def add_errors(form: forms.Form, error: ValidationError) -> None:
    """Put a service's refusal onto the form: at its field where the form has it, else above all fields."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for field, faults in error.error_dict.items():
        form.add_error(field if field in form.fields else None, [*faults])
