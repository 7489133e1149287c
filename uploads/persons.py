"""One person as memberships know them: the kinds that an identifier may be of, and the values to look for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from audsync_web.vendors.connectors.identifiers import KINDS

from .erased import forms_of, plain_form

LONGEST = 255


@dataclass(frozen=True)
class Person:
    """An identifier and its kind; without a kind it may be of any that it fits. `value` never stands in a log."""

    value: str = field(repr=False)
    kind: str = ""
    identity_name: str = ""
    """The name under which an identity vendor knows the kind."""

    @property
    def kinds(self) -> list[str]:
        """The kinds it is taken for: the one that was chosen, else all that it fits."""
        if self.kind:
            return [self.kind]
        return [key for key, known in KINDS.items() if known.rule.accepts(plain_form(key, self.value))]

    @property
    def sure_kinds(self) -> list[str]:
        """The kinds that can be told without a choice: an e-mail address is nothing else."""
        return [self.kind] if self.kind else [kind for kind in self.kinds if kind == "email"]

    def values_in(self, membership_kind: str) -> list[str]:
        """How the person would be written in a membership of that kind; nothing where they cannot be in it."""
        return sorted({value for kind in self.kinds for value in _values(kind, self.value, membership_kind)})

    @property
    def all_values(self) -> list[str]:
        """Every form of the identifier."""
        return sorted({form for kind in self.kinds for form in forms_of(kind, self.value).values()})

    def stored(self) -> Any:
        """The person as they are sealed."""
        return {"kind": self.kind, "value": self.value, "identityName": self.identity_name}


def person_of(sealed: dict[str, str]) -> Person:
    """The person out of a sealed value."""
    return Person(sealed["value"], sealed["kind"], sealed.get("identityName", ""))


def _values(kind: str, value: str, membership_kind: str) -> Iterable[str]:
    forms = forms_of(kind, value)
    if membership_kind in forms:
        yield forms[membership_kind]
    # Provider ids pass byte for byte, whatever a destination calls them.
    if "provider_id" in (kind, membership_kind):
        yield value.strip()


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
