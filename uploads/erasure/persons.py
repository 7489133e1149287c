"""One person as memberships know them: the kinds that an identifier may be of, and the values to look for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from audsync_web.vendors.connectors.identifiers import KINDS
from uploads.membership.erased import CASELESS, PHONE, ErasedTest, forms_of, hashes_of, plain_form
from uploads.membership.phones import number_of, numbers_of, spellings_of

LONGEST = 255


@dataclass(frozen=True)
class Person:
    """An identifier and its kind; without a kind it may be of any that it fits. `value` never stands in a log."""

    value: str = field(repr=False)
    kind: str = ""
    identity_name: str = ""
    """The name under which an identity vendor knows the kind."""
    regions: tuple[str, ...] = ()
    """Countries that a telephone number may be of which names none: those of the company's accounts."""

    @property
    def kinds(self) -> list[str]:
        """The kinds it is taken for: the one that was chosen, else all that it fits."""
        if self.kind:
            return [self.kind]
        return [key for key, known in KINDS.items() if known.rule.accepts(plain_form(key, self.value))]

    @property
    def sure_kinds(self) -> list[str]:
        """The kinds that can be told without a choice: an e-mail address is nothing else, nor is a telephone number
        that names its country."""
        if self.kind:
            return [self.kind]
        is_number = PHONE in self.kinds and self.value.startswith("+") and bool(number_of(self.value).e164)
        return [PHONE] if is_number else [kind for kind in self.kinds if kind == "email"]

    def values_in(self, membership_kind: str) -> list[str]:
        """How the person would be written in a membership of that kind; nothing where they cannot be in it."""
        return sorted({value for kind in self.kinds for value in self._values(kind, membership_kind)})

    def _values(self, kind: str, membership_kind: str) -> Iterable[str]:
        if kind == membership_kind:
            yield from self._written(kind)
        yield from filter(None, [forms_of(kind, self.value).get(membership_kind)])
        # Provider ids pass byte for byte, whatever a destination calls them.
        if "provider_id" in (kind, membership_kind):
            yield self.value.strip()

    def _written(self, kind: str) -> Iterable[str]:
        """How a value of a kind is written: telephone numbers and ids of devices in more than one way."""
        if kind == PHONE:
            return spellings_of(self.value, self.regions)
        text = plain_form(kind, self.value)
        return {text, text.lower(), text.upper()} if kind in CASELESS and text != text.lower() else {text}

    def forms_at_vendor(self, kind: str, *, every_spelling: bool = False) -> list[str]:
        """How a vendor is asked for the person under a kind: as AudSync feeds it, and as it was given."""
        values = [form for known in self.kinds if (form := forms_of(known, self.value).get(kind))]
        if kind == PHONE and kind in self.kinds and every_spelling:
            values = spellings_of(self.value, self.regions)
        elif kind == PHONE and kind in self.kinds:
            values = [number.e164 for number in numbers_of(self.value, self.regions) if number.e164]
        given = [self.value.strip()] if kind in self.kinds else []
        return list(dict.fromkeys([*values, *given]))

    @property
    def all_values(self) -> list[str]:
        """Every form of the identifier."""
        forms = {form for kind in self.kinds for form in forms_of(kind, self.value).values()}
        return sorted(forms.union(*(self._written(kind) for kind in self.kinds)))

    def number_test(self, region: str = "") -> ErasedTest | None:
        """Finds the telephone number in every spelling; None where the identifier is none."""
        if PHONE not in self.kinds:
            return None
        return ErasedTest(hashes_of(PHONE, self.value, self.regions), {PHONE}, region)

    def stored(self) -> Any:
        """The person as they are sealed."""
        return {
            "kind": self.kind,
            "value": self.value,
            "identityName": self.identity_name,
            "regions": list(self.regions),
        }


def person_of(sealed: dict[str, Any]) -> Person:
    """The person out of a sealed value."""
    regions = tuple(sealed.get("regions", ()))
    return Person(sealed["value"], sealed["kind"], sealed.get("identityName", ""), regions)


def fault_of(value: str, kind: str) -> dict[str, str]:
    """What is wrong with an identifier that somebody pasted, by the API's field names."""
    if not value.strip():
        return {"value": "is missing"}
    if len(value.strip().encode()) > LONGEST:
        return {"value": f"is longer than {LONGEST} bytes"}
    if kind and kind not in KINDS:
        return {"kind": "is no identifier kind that is known"}
    if kind and not KINDS[kind].rule.accepts(plain_form(kind, value)):
        return {"value": KINDS[kind].rule.reason}
    if not Person(value, kind).kinds:
        return {"value": "fits no identifier kind"}
    return {}
