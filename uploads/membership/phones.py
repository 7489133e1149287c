"""Telephone numbers as one number, however they are written: what says that two spellings are the same."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat

from audsync_web.vendors.connectors.telephone import e164


@dataclass(frozen=True)
class Number:
    """A number as far as its spelling tells: in E.164 where the country is known, and without country and zeros."""

    e164: str
    national: str


def number_of(text: str, region: str = "") -> Number:
    """Read a spelling; `region` (two letters) is the country of one that names none. `e164` is empty where that is not
    known or no such number is possible."""
    digits = "".join(char for char in text if char in "0123456789")
    abroad = text.strip().startswith("+")
    full = e164(text, "") if abroad else None
    if not abroad and digits.startswith("00"):
        full = e164(f"+{digits[2:]}", "")
    if full is None and region and not abroad:
        full = e164(text, region)
    if full is None:
        return Number("", digits.lstrip("0"))
    return Number(full, phonenumbers.national_significant_number(phonenumbers.parse(full)).lstrip("0"))


def numbers_of(text: str, regions: Collection[str]) -> list[Number]:
    """The numbers that a spelling may mean: one where it names its country, else one for each of `regions`; with none,
    the number of an unknown country."""
    plain = number_of(text)
    if plain.e164 or not regions:
        return [plain]
    found = {number.e164: number for region in sorted(regions) if (number := number_of(text, region)).e164}
    return list(found.values()) or [plain]


def spellings_of(text: str, regions: Collection[str]) -> list[str]:
    """How the number is usually written, the given spelling first."""
    found = {text.strip(): None}
    for number in numbers_of(text, regions):
        if not number.e164:
            found[number.national] = found[f"0{number.national}"] = None
            continue
        parsed = phonenumbers.parse(number.e164)
        local = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
        abroad = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
        digits = number.e164.removeprefix("+")
        bare = "".join(char for char in local if char.isdigit())
        for one in (number.e164, digits, f"00{digits}", abroad, local, bare, number.national):
            found[one] = None
    return [one for one in found if one]
