"""Forms of sources and of erasing a person; the services decide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from audsync_web.people.models import Company
from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.connectors.registry import connector_class
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from uploads.intake.sources import IDENTIFIERS, ways_of
from uploads.models import PersonSearch, PullWay

from .forms import MODES
from .selectors import segments_to_upload_to

WAY_WORDS = {
    PullWay.EXPORT: "Frozen export: exact as of now, up to 10 000 profiles a page",
    PullWay.MATERIALISE: "Frozen list: exact as of now, 100 profiles a page",
    PullWay.PAGES: "Page by page: who joins or leaves while it is read may be missed",
}


class ListForm(forms.Form):
    """Which rows of a list are wanted, and in which order. A value that fits nothing is ignored."""

    q = forms.CharField(required=False, max_length=100)
    status = forms.ChoiceField(required=False)
    sort = forms.ChoiceField(required=False)

    def __init__(
        self, *args: Any, statuses: Iterable[tuple[str, str]] = (), orders: Iterable[str] = (), **named: Any
    ) -> None:
        super().__init__(*args, **named)
        self.fields["status"].choices = list(statuses)  # type: ignore[attr-defined]
        self.fields["sort"].choices = [(order, order) for order in orders]  # type: ignore[attr-defined]


class SegmentationForm(forms.Form):
    """Which segmentation to open."""

    uuid = forms.UUIDField(
        label="Segmentation (UUID)",
        help_text="It stands in the segmentation's address in Synerise.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"invalid": "That is not a UUID (8-4-4-4-12 hexadecimal digits)."},
    )


class PullForm(forms.Form):
    """Where a segmentation is to go, and how it is read."""

    segment = forms.ModelChoiceField(Segment.objects.none(), label="Segment", empty_label="Choose a segment")
    identifier = forms.ChoiceField(label="Read", choices=[(one, KINDS[one].label) for one in IDENTIFIERS])
    mode = forms.ChoiceField(
        label="What it means",
        choices=[(value, text.replace("this file", "it").replace("the file", "it")) for value, text in MODES],
        widget=forms.RadioSelect,
        initial="replace",
    )
    way = forms.ChoiceField(label="How it is read", widget=forms.RadioSelect)

    def __init__(self, *args: Any, company: Company, account: VendorAccount, **named: Any) -> None:
        super().__init__(*args, **named)
        self.fields["segment"].queryset = segments_to_upload_to(company)  # type: ignore[attr-defined]
        ways = ways_of(account)
        self.fields["way"].choices = [(way.value, WAY_WORDS[way]) for way in ways]  # type: ignore[attr-defined]
        self.initial.setdefault("way", ways[0].value)
        self.initial.setdefault("identifier", account.settings.get("identifier"))


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
