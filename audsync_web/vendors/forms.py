"""Forms of vendor accounts, made from what their connector declares. The services read and decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .connectors.base import Connector
from .connectors.errors import InvalidConfiguration
from .connectors.fields import Field
from .connectors.registry import VENDOR_CHOICES
from .models import AccountStatus, VendorAccount
from .selectors import ORDERS

LONGEST_VALUE = 4000
KEEP = "Stored and never shown. Leave it empty to keep it."
KEYBOARDS = {"integer": "numeric", "number": "decimal"}


class AccountFilterForm(forms.Form):
    """What of the list is wanted. A value that fits nothing is ignored, never an error page."""

    q = forms.CharField(required=False, max_length=100)
    vendor = forms.ChoiceField(required=False, choices=VENDOR_CHOICES)
    status = forms.ChoiceField(
        required=False, choices=[choice for choice in AccountStatus.choices if choice[0] != AccountStatus.DISCONNECTED]
    )
    sort = forms.ChoiceField(required=False, choices=[(key, key) for key in ORDERS])


class RenameForm(forms.Form):
    """Another name for an account."""

    name = forms.CharField(label="Name", max_length=80)


ADDRESS = {"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}


class AddressInput(forms.TextInput):
    """An address: one of those that are offered by name, or any other."""

    def __init__(self, offered: Sequence[tuple[str, str]], attrs: Mapping[str, str]) -> None:
        super().__init__(attrs=dict(attrs))
        self.offered = offered

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The input and its list, which browsers show as suggestions."""
        list_id = f"{name}_offered"
        typed = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        options = format_html_join("", '<option value="{}">{}</option>', self.offered)
        return format_html('{}<datalist id="{}">{}</datalist>', typed, list_id, options)


class AccountForm(forms.Form):
    """Name, address, credentials and settings of one account, as its connector declares them.

    A secret is never rendered back, not even when the form is refused; on a stored account an empty one is kept.
    """

    name = forms.CharField(
        label="Name",
        max_length=80,
        help_text="How your company knows this account.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    base_url = forms.CharField(
        label="API address",
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs=ADDRESS),
    )

    def __init__(self, connector: type[Connector], data: Any = None, *, account: VendorAccount | None = None) -> None:
        super().__init__(data, initial=_initial(connector, account))
        self.connector = connector
        self.account = account
        self.fields["base_url"].help_text = _address_help(connector)
        self.fields["base_url"].required = not connector.default_base_url
        if connector.base_urls:
            self.fields["base_url"].widget = AddressInput(connector.base_urls, attrs=ADDRESS)
        for declared in connector.fields:
            self.fields[key_of(declared)] = form_field(declared, stored=account is not None)

    @property
    def credential_fields(self) -> list[BoundField]:
        """The sealed group."""
        return self._group(lambda declared: declared.group == "credentials")

    @property
    def setting_fields(self) -> list[BoundField]:
        """Settings that somebody has to think about."""
        return self._group(lambda declared: declared.group == "settings" and not declared.advanced)

    @property
    def advanced_fields(self) -> list[BoundField]:
        """Pacing and limits, folded away."""
        return self._group(lambda declared: declared.group == "settings" and declared.advanced)

    @property
    def advanced_open(self) -> bool:
        """Whether the folded part holds a fault, which must be seen."""
        return any(bound.errors for bound in self.advanced_fields)

    def _group(self, fits: Any) -> list[BoundField]:
        return [self[key_of(declared)] for declared in self.connector.fields if fits(declared)]

    def values(self, group: str) -> dict[str, Any]:
        """What was entered for one group, by the declared names."""
        return {
            declared.name: self.cleaned_data[key_of(declared)]
            for declared in self.connector.fields
            if declared.group == group
        }

    def add_faults(self, error: InvalidConfiguration) -> None:
        """Put a refusal onto the form: at its field where the form has it, else above all fields."""
        keys = {declared.name: key_of(declared) for declared in self.connector.fields}
        keys |= {"name": "name", "baseUrl": "base_url"}
        for name, line in error.errors.items():
            key = keys.get(name)
            self.add_error(key, line if key else f"{name} {line}")

    def ask_for_secrets_again(self) -> None:
        """Say at every secret that was typed that it is gone: a refused form never brings one back.

        On a stored account an empty one would be read as the old one that is kept, and the new one be lost unseen.
        """
        for declared in self.connector.fields:
            key = key_of(declared)
            if declared.secret and self.data.get(key) and key not in self.errors:
                label = _within_a_sentence(declared.label)
                self.add_error(key, f"Enter the {label} again: a page never shows a secret.")


def key_of(declared: Field) -> str:
    """A declared field's name in the form; the groups may use the same word."""
    return f"{declared.group}_{declared.name}"


def _within_a_sentence(label: str) -> str:
    """`Password` becomes `password`, and `API token` stays as it is."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def form_field(declared: Field, *, stored: bool) -> forms.Field:
    """The form field of a declared one. Types and ranges are read by the declaration, so that no two readers differ."""
    optional = not declared.required or (stored and declared.secret)
    common: dict[str, Any] = {"label": declared.label, "help_text": _help(declared, stored), "required": not optional}
    if declared.type == "boolean":
        return forms.BooleanField(**common | {"required": False})
    if declared.type == "choice":
        blank = [] if declared.default is not None else [("", "Not chosen")]
        return forms.ChoiceField(choices=[*blank, *declared.choices], **common)
    # A secret's spaces may be part of it.
    return forms.CharField(max_length=LONGEST_VALUE, widget=_widget(declared), strip=not declared.secret, **common)


def _widget(declared: Field) -> forms.Widget:
    plain = {"autocomplete": "off", "spellcheck": "false"}
    if declared.secret:
        return forms.PasswordInput(attrs={"autocomplete": "new-password"})
    if declared.type == "list":
        return forms.Textarea(attrs={**plain, "rows": 3})
    if declared.type == "day":
        return forms.DateInput(attrs={"type": "date"})
    # Not type=number: a browser sends nothing for what is no number, and nothing would mean the default.
    keyboard = {"inputmode": KEYBOARDS[declared.type]} if declared.type in KEYBOARDS else {}
    return forms.TextInput(attrs={**plain, **keyboard})


def _help(declared: Field, stored: bool) -> str:
    lines = [declared.help, "One a line." if declared.type == "list" else ""]
    if stored and declared.secret:
        lines.append(KEEP)
    return " ".join(line for line in lines if line)


def _address_help(connector: type[Connector]) -> str:
    if connector.base_urls:
        offered = ", ".join(f"{label} {url}" for url, label in connector.base_urls)
        return f"One of {offered}, or another. Left empty: {connector.default_base_url}"
    if connector.default_base_url:
        return f"Left empty: {connector.default_base_url}"
    return f"{connector.label} assigns one to each customer."


def _initial(connector: type[Connector], account: VendorAccount | None) -> dict[str, Any]:
    stored: Mapping[str, Mapping[str, Any]] = (
        {"credentials": account.credentials, "settings": account.settings} if account else {}
    )
    initial: dict[str, Any] = {
        key_of(declared): shown_value(stored.get(declared.group, {}).get(declared.name, declared.default))
        for declared in connector.fields
        if not declared.secret
    }
    return initial | {
        "name": account.name if account else "",
        "base_url": account.base_url if account else connector.default_base_url,
    }


def shown_value(value: Any) -> Any:
    """A stored value as a form shows it: whole numbers without a fraction, a list one item a line."""
    if isinstance(value, list | tuple):
        return "\n".join(str(item) for item in value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
