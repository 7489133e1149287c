"""Telephone numbers in E.164, the form in which accounts that name a country are fed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import phonenumbers


def e164(value: str, region: str) -> str | None:
    """A telephone number in E.164, read as one of `region` (two letters) when it has no country code; None when it is
    no possible number."""
    try:
        number = phonenumbers.parse(value, region or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def phone_region(settings: Mapping[str, Any], identifier: str) -> str:
    """The country, in two letters, of the telephone numbers that an account is fed with and that name none."""
    return str(settings.get("phoneRegion") or "").upper() if identifier == "phone" else ""
