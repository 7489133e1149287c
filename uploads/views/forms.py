"""Forms of uploads: what was typed and chosen; the services decide."""

from __future__ import annotations

import re
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from audsync_web.people.models import Company, User
from audsync_web.vendors.connectors.identifiers import KINDS, kind_of_header
from audsync_web.vendors.models import VendorAccount
from segments.models import Segment
from uploads.engine.reading import CheckOptions
from uploads.models import DeliveryStatus, Mode, UploadStatus

from .selectors import SEGMENTS_OFFERED, segments_to_upload_to

# None is chosen beforehand: the script proposes Replace for a file and Add for pasted identifiers, and without it a
# handful of these must not empty a segment because nobody looked here.
MODES = [
    (Mode.REPLACE.value, "Replace: this file is the segment now. Whoever is not in it leaves."),
    (Mode.ADD.value, "Add: everybody in the file joins. Nobody leaves."),
    (Mode.REMOVE.value, "Remove: everybody in the file leaves. Nobody joins."),
]
DELIMITERS = [("", "Comma"), (";", "Semicolon"), ("\t", "Tab"), ("|", "Vertical bar")]
ENCODINGS = [
    ("", "UTF-8"),
    ("utf-16", "UTF-16"),
    ("cp1252", "Windows-1252 (Western Europe)"),
    ("latin-1", "ISO 8859-1 (Latin-1)"),
]
HEADERS = [("yes", "The first line names the column"), ("no", "The first line is a member already")]
PASTED_MOST = 200_000


def kind_choices() -> list[tuple[str, str]]:
    """Every identifier kind, after the choice to read it from the header."""
    return [("", "As the header says"), *((kind.key, kind.label) for kind in KINDS.values())]


def pasted_kind_choices() -> list[tuple[str, str]]:
    """Every identifier kind for pasted identifiers, after the demand to choose one."""
    return [("", "Choose the identifier kind"), *kind_choices()[1:]]


class UploadForm(forms.Form):
    """A file or a few pasted ids, the segment they are for, and how to read them."""

    segment = forms.ModelChoiceField(Segment.objects.none(), label="Segment", empty_label="Choose a segment")
    file = forms.FileField(
        label="File",
        required=False,
        allow_empty_file=True,
        max_length=255,
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.tsv,.gz,text/csv,text/plain,application/gzip"}),
    )
    ids = forms.CharField(
        label="Or paste a few identifiers",
        required=False,
        max_length=PASTED_MOST,
        help_text="One a line. Good for a handful; a longer list is better off as a file.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
    )
    ids_kind = forms.ChoiceField(
        label="What the pasted identifiers are",
        choices=pasted_kind_choices,
        required=False,
        help_text="Needed, unless the first line is a column name such as email.",
    )
    mode = forms.ChoiceField(
        label="What this file means",
        choices=MODES,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what it means: replace, add or remove."},
    )
    kind = forms.ChoiceField(label="Identifier kind", choices=kind_choices, required=False)
    header = forms.ChoiceField(label="First line", choices=HEADERS, required=False, initial="yes")
    column = forms.IntegerField(
        label="Column",
        required=False,
        min_value=1,
        max_value=1000,
        help_text="When the file has several: 1 is the first.",
    )
    delimiter = forms.ChoiceField(label="Columns are parted by", choices=DELIMITERS, required=False)
    encoding = forms.ChoiceField(label="Encoding", choices=ENCODINGS, required=False)
    caution = forms.DecimalField(
        label="Ask again when more than this share would leave",
        required=False,
        min_value=0,
        max_value=100,
        decimal_places=1,
        help_text="In percent of a destination's members.",
    )

    def __init__(self, *args: Any, company: Company, **options: Any) -> None:
        super().__init__(*args, **options)
        field = cast("forms.ModelChoiceField[Segment]", self.fields["segment"])
        field.queryset = segments_to_upload_to(company)
        field.widget.choices = [("", "Choose a segment"), *self._offered(field.queryset)]
        self.fields["caution"].initial = f"{company.max_removed_share * 100:g}"

    def _offered(self, rows: Any) -> list[tuple[int, str]]:
        """The newest segments, and the one that was chosen however old it is."""
        offered = [(row.pk, row.name) for row in rows[:SEGMENTS_OFFERED]]
        chosen = str(self.data.get("segment") or self.initial.get("segment") or "")
        if chosen.isdecimal() and len(chosen) < 19 and int(chosen) not in {pk for pk, _ in offered}:
            offered += [(row.pk, row.name) for row in rows.filter(pk=int(chosen))]
        return offered

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("file") is None and not data.get("ids", "").strip():
            self.add_error("file", "Choose a file, or paste a few identifiers.")
        elif data.get("file") is not None and data.get("ids", "").strip():
            self.add_error("ids", "Send either a file or pasted identifiers, not both.")
        elif data.get("ids", "").strip() and not data.get("ids_kind") and self.pasted_kind() is None:
            self.add_error("ids_kind", "Say what the pasted identifiers are.")
        return data

    def pasted_lines(self) -> list[str]:
        """The pasted identifiers, one a line, without blank ones."""
        text: str = self.cleaned_data.get("ids", "")
        return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]

    def pasted_kind(self) -> str | None:
        """The kind that the first pasted line names, if it is a header."""
        lines = self.pasted_lines()
        return kind_of_header(lines[0]) if lines else None

    def uploaded(self) -> UploadedFile[Any] | None:
        """The file, when one was chosen."""
        return cast("UploadedFile[Any] | None", self.cleaned_data.get("file"))

    def check_options(self, max_bytes: int) -> CheckOptions:
        """How the file is to be read."""
        data = self.cleaned_data
        if self.uploaded() is None:
            return self._pasted_options(max_bytes)
        kind = data.get("kind") or None
        return CheckOptions(
            kind=kind,
            any_header=kind is not None,
            has_header=data.get("header") != "no",
            encoding=data.get("encoding") or None,
            column=data["column"] - 1 if data.get("column") else None,
            delimiter=data.get("delimiter") or None,
            max_bytes=max_bytes,
        )

    def _pasted_options(self, max_bytes: int) -> CheckOptions:
        """How pasted lines are to be read: what was chosen about a file's columns and encoding is not about them."""
        kind = self.cleaned_data.get("ids_kind") or None
        has_header = self.pasted_kind() is not None
        return CheckOptions(kind=kind, any_header=kind is not None, has_header=has_header, max_bytes=max_bytes)

    def removed_share(self) -> float | None:
        """The share above which the page asks again, of one; None for the company's own."""
        given = self.cleaned_data.get("caution")
        return None if given is None else float(given) / 100


class GoForm(forms.Form):
    """The second question: the segment's name, typed, where a file removes more than the share of caution."""

    typed = forms.CharField(required=False, max_length=300)

    def __init__(self, *args: Any, wanted: str | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.wanted = wanted

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data.get("typed", "").strip()
        if self.wanted is not None and typed != self.wanted.strip():
            raise ValidationError("Type the segment's name exactly as it stands above.")
        return typed


class HistoryForm(forms.Form):
    """A list's filter. What cannot be read is left out: a bookmarked URL never breaks."""

    q = forms.CharField(required=False, max_length=255)
    status = forms.ChoiceField(required=False)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)
    account = forms.ModelChoiceField(VendorAccount.objects.none(), required=False)
    segment = forms.ModelChoiceField(Segment.objects.none(), required=False)
    person = forms.ModelChoiceField(User.objects.none(), required=False)

    def __init__(self, *args: Any, company: Company, deliveries: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        words = DeliveryStatus.choices if deliveries else UploadStatus.choices
        cast("forms.ChoiceField", self.fields["status"]).choices = [("", "Any"), *words]
        rows = {
            "account": VendorAccount.objects.filter(company=company),
            "segment": Segment.objects.visible_to(company),
            "person": User.objects.filter(memberships__company=company),
        }
        for name, queryset in rows.items():
            cast("forms.ModelChoiceField[Any]", self.fields[name]).queryset = queryset

    def wanted(self) -> dict[str, Any]:
        """The values that could be read."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
