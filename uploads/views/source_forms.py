"""Forms of segmentations that are read; the services decide."""

from __future__ import annotations

from typing import Any

from django import forms

from audsync_web.people.models import Company
from audsync_web.vendors.connectors.identifiers import KINDS
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from uploads.intake.sources import IDENTIFIERS, ways_of
from uploads.models import PullWay

from .forms import MODES
from .selectors import segments_to_upload_to

WAY_WORDS = {
    PullWay.EXPORT: "Frozen export: exact as of now, up to 10 000 profiles a page",
    PullWay.MATERIALISE: "Frozen list: exact as of now, 100 profiles a page",
    PullWay.PAGES: "Page by page: who joins or leaves while it is read may be missed",
}


class SegmentationForm(forms.Form):
    """Which segmentation to open."""

    uuid = forms.UUIDField(
        label="Segmentation (UUID)",
        help_text="It stands in the segmentation's address at the vendor.",
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
