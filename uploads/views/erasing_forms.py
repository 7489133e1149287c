"""Forms of finding and erasing a person; the services decide."""

from __future__ import annotations

from typing import Any

from django import forms

from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.connectors.registry import connector_class
from uploads.models import PersonSearch


class FindForm(forms.Form):
    """Whom to look for. The value is never shown again in a page's address."""

    value = forms.CharField(
        label="Identifier",
        max_length=255,
        help_text="An e-mail address is also looked for as its SHA-256 and MD5, a telephone number in every spelling.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )
    kind = forms.ChoiceField(
        label="Kind",
        required=False,
        choices=[("", "Any that it fits"), *((kind.key, kind.label) for kind in KINDS.values())],
    )
    identity_name = forms.CharField(
        label="Name at Acoustic Exchange",
        max_length=60,
        required=False,
        help_text="Only where the account's settings do not say how Exchange calls this kind.",
    )


def _reach(rows: list[dict[str, Any]]) -> str:
    """What a removal at Exchange does, account by account: several of one application find the same people."""
    held = "; ".join(f"{row['accountName']}, {row['name']}: {row['count']}" for row in rows if row["count"])
    return (
        f"{f'x1Ids that hold it: {held}. ' if held else ''}It is taken from every x1Id and every endpoint of the "
        "application, for good, and sent once. Other identifiers of the same x1Id stay; they are seen, and removed, "
        "under Identity."
    )


class EraseForm(forms.Form):
    """The decision: where, and the identifier typed once more."""

    destinations = forms.TypedMultipleChoiceField(
        label="Remove from", coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    identities = forms.BooleanField(label="Remove the identity at {}", required=False, initial=True)
    profiles = forms.BooleanField(
        label="Erase the profile at {}, with its whole history there", required=False, initial=False
    )
    confirm = forms.CharField(
        label="Type the identifier to confirm",
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )

    def __init__(self, *args: Any, search: PersonSearch, **named: Any) -> None:
        super().__init__(*args, **named)
        places = [row for row in search.findings if not row["released"]]
        choices = [(row["destination"], f"{row['segmentName']} at {row['accountName']}") for row in places]
        self.fields["destinations"].choices = choices  # type: ignore[attr-defined]
        self.initial.setdefault("destinations", [pk for pk, _ in choices])
        for name, what in (("identities", "identity"), ("profiles", "profile")):
            rows = [row for row in search.profiles if row["what"] == what and (row["count"] or row["error"])]
            if not rows:
                del self.fields[name]
                continue
            vendors = dict.fromkeys(connector_class(row["vendor"]).short_label for row in rows)
            self.fields[name].label = str(self.fields[name].label).format(" and ".join(vendors))
            if what == "identity":
                self.fields[name].help_text = _reach(rows)
        if not choices:
            del self.fields["destinations"]
